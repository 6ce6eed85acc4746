#![no_main]
//! Fuzzes `chunked_body`; what must hold is told in `tests/properties`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oneloop_fuzz::chunked_body(bytes);
});
