#![no_main]
//! Fuzzes `event_stream`; what must hold is told in `tests/properties`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oneloop_fuzz::event_stream(bytes);
});
