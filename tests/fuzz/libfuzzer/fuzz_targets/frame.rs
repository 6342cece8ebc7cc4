#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oa_fuzz::targets::frame(data));
