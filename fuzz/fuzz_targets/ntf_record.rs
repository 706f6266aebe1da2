#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sxlab_fuzz::ntf_record(bytes));
