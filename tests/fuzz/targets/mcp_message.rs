#![no_main]
//! Fuzzes `mcp_message`; what must hold is told in `tests/properties`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oneloop_fuzz::mcp_message(bytes);
});
