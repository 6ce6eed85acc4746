//! Memory that was freed and that the allocator has not given back to the system.
//!
//! glibc gives back what lies at the top of its heap, above the last block in use. After an attack such a block is
//! always there, so all that was freed below it would stay with the process (malloc_trim(3); mallopt(3),
//! `M_TRIM_THRESHOLD`). Other allocators are left alone: musl's gives whole pages back by itself.

/// Gives all whole pages that are free back to the system, wherever they lie. It takes some microseconds for each
/// free stretch, so it is for the quiet after a crowd.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the only way to tell the allocator")]
    // SAFETY: malloc_trim(3) is MT-safe, takes a number and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}
