//! The `sxlab` command line.

fn main() {}
