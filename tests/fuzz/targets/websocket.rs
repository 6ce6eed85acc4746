#![no_main]
//! Fuzzes `websocket`; what must hold is told in `tests/properties`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oneloop_fuzz::websocket(bytes);
});
