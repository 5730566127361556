#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| holdfast_control::fuzzing::control(octets));
