#![no_main]
//! Fuzzes `http_head`; what must hold is told in `tests/properties`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oneloop_fuzz::http_head(bytes);
});
