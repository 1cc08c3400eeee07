//! Threads that stay awake between short pieces of parallel work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

use crate::matmul::MAX_TASKS;

/// How long a thread stays awake without work, which bounds the delay that a waiting thread can cause.
const PATIENCE: Duration = Duration::from_micros(500);

/// Whether some threads are already kept awake: a second time would pile up on their stacks.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// Does `work`, during which other threads of the pool, at most as many as a product has tasks, look for work instead of going
/// to sleep. Waking a thread takes tens of microseconds, as long as a layer of a small network.
pub fn awake<R>(work: impl FnOnce() -> R) -> R {
    if ACTIVE.swap(true, Ordering::AcqRel) {
        return work();
    }
    let _inactive = Inactive;
    let done = AtomicBool::new(false);
    let own = rayon::current_thread_index();
    rayon::in_place_scope(|scope| {
        scope.spawn_broadcast(|_, context| {
            if Some(context.index()) != own && context.index() < MAX_TASKS {
                look_for_work(&done);
            }
        });
        let result = work();
        done.store(true, Ordering::Release);
        result
    })
}

/// Ends the activity, even if the work panics.
struct Inactive;

impl Drop for Inactive {
    fn drop(&mut self) {
        ACTIVE.store(false, Ordering::Release);
    }
}

fn look_for_work(done: &AtomicBool) {
    let mut idle_since = Instant::now();
    while !done.load(Ordering::Acquire) {
        if rayon::yield_now() == Some(Yield::Executed) {
            idle_since = Instant::now();
        } else if idle_since.elapsed() > PATIENCE {
            return;
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn work_is_done_inside_and_outside_a_pool() {
        let sum = || -> u64 { awake(|| (0..10_000u64).into_par_iter().map(|i| awake(|| i)).sum()) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!([sum(), pool.install(sum)], [49_995_000; 2]);
    }
}
