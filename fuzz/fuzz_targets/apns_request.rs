#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sxlab_fuzz::apns_request(bytes));
