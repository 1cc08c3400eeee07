//! Large buffers: filled by all threads in parallel, with their memory kept for reuse.
#![expect(unsafe_code, reason = "buffers that are allocated uninitialized; a call into the C library")]

use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

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

/// Elements of a cache line. A vector as long as a line is read and written at once if it does not straddle two.
pub(crate) const LINE: usize = 16;

/// `len` elements of a buffer that is at least [`LINE`] longer, from a boundary of a line on.
pub(crate) fn on_a_line(buffer: &mut [f32], len: usize) -> &mut [f32] {
    let start = to_a_line(buffer);
    &mut buffer[start..][..len]
}

/// Elements before the first boundary of a line.
fn to_a_line(buffer: &[f32]) -> usize {
    buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE)
}

/// A buffer of unspecified contents that starts at a cache line boundary and is reused after it is dropped: a training step
/// needs many megabytes for filters in a new layout, and filling them with zeros first would take a tenth of its time.
#[derive(Debug)]
pub(crate) struct Reused {
    values: Vec<f32>,
    start: usize,
    len: usize,
}

/// Buffers that were dropped.
static SPARE: Mutex<Vec<Vec<f32>>> = Mutex::new(vec![]);
/// Maximum number of dropped buffers that are kept.
const MOST_SPARE: usize = 12;

impl Reused {
    /// A buffer of `len` elements: one that was dropped, if it is at most twice as long.
    pub(crate) fn new(len: usize) -> Self {
        let mut spare = SPARE.lock().expect("no holder of this lock panics");
        let fitting = spare
            .iter()
            .enumerate()
            .filter(|(_, values)| (len + LINE..=2 * (len + LINE)).contains(&values.len()));
        let shortest = fitting.min_by_key(|(_, values)| values.len()).map(|(index, _)| index);
        let values = shortest.map(|index| spare.remove(index));
        drop(spare);
        let values = values.unwrap_or_else(|| zeros(len + LINE));
        Self { start: to_a_line(&values), values, len }
    }
}

impl Drop for Reused {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        let mut spare = SPARE.lock().expect("no holder of this lock panics");
        spare.push(values);
        if spare.len() > MOST_SPARE {
            // the least recently used one
            spare.remove(0);
        }
    }
}

impl Deref for Reused {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.start..][..self.len]
    }
}

impl DerefMut for Reused {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..][..self.len]
    }
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

    #[test]
    fn a_dropped_buffer_is_used_again_if_it_fits() {
        // a length that no other test uses
        let len = 123_457;
        let mut first = Reused::new(len);
        first.fill(1.0);
        let place = first.as_ptr();
        let other = Reused::new(len);
        assert_ne!(other.as_ptr(), place);
        drop(first);
        let again = Reused::new(len - 1);
        assert_eq!((again.as_ptr(), again.len()), (place, len - 1));
        assert_ne!(Reused::new(len / 3).as_ptr(), place);
    }
}
