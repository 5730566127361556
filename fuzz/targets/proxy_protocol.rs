#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| holdfast::fuzzing::proxy_protocol(octets));
