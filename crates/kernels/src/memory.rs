//! The allocator's manners.
#![expect(unsafe_code, reason = "a call into the C library")]

/// Tells glibc to keep freed memory for the next allocation. A training step makes and frees buffers of many megabytes;
/// given back to the system each time, they cost a page fault per 4 KiB. Elsewhere it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets numbers of the allocator; the program calls it before it starts threads
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}
