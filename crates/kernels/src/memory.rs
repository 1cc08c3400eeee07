//! Large buffers: filled by all threads at once, their memory kept for the next one.
#![expect(unsafe_code, reason = "buffers that are allocated uninitialized; a call into the C library")]

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Elements per task.
const TASK: usize = 1 << 16;

/// A copy of `values`, written by all threads.
pub fn copied(values: &[f32]) -> Vec<f32> {
    let mut out: Box<[MaybeUninit<f32>]> = Box::new_uninit_slice(values.len());
    let tasks = out.par_chunks_mut(TASK).zip(values.par_chunks(TASK));
    tasks.for_each(|(out, values)| {
        out.write_copy_of_slice(values);
    });
    // SAFETY: the chunks cover the buffer and each was written
    unsafe { out.assume_init() }.into_vec()
}

/// `len` zeros, written by all threads.
pub fn zeros(len: usize) -> Vec<f32> {
    let mut out: Box<[MaybeUninit<f32>]> = Box::new_uninit_slice(len);
    out.par_chunks_mut(TASK).for_each(|out| {
        for value in out {
            value.write(0.0);
        }
    });
    // SAFETY: the chunks cover the buffer and each was written
    unsafe { out.assume_init() }.into_vec()
}

/// Tells glibc to keep freed memory for the next allocation. A training step allocates and frees many megabytes;
/// returned to the system each time, they would cost a page fault per 4 KiB. Does nothing on other systems.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets numbers of the allocator; the program calls it before it starts threads
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_hold_what_they_should() {
        let values: Vec<f32> = (0..200_000u32).map(|i| i as f32).collect();
        assert_eq!(copied(&values), values);
        assert_eq!(zeros(150_001), vec![0.0; 150_001]);
        assert!(copied(&[]).is_empty());
    }
}
