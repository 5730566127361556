#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| holdfast::fuzzing::policy(octets));
