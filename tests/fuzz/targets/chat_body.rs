#![no_main]
//! Fuzzes `chat_body`; what must hold is told in `tests/properties`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oneloop_fuzz::chat_body(bytes);
});
