//! The processes that share a run: only this one, or those that `mpirun` started.

use std::sync::Arc;

use anyhow::Result;
use walk_train::{Ranks, Solo};

use crate::failure::Failure;

/// Environment variables in which MPI launchers give the number of processes.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// The processes that share a run, including this one.
pub(crate) struct ProcessGroup {
    pub(crate) ranks: Arc<dyn Ranks>,
    #[cfg(feature = "mpi")]
    _universe: Option<mpi::environment::Universe>,
}

impl ProcessGroup {
    /// Whether this process writes and prints.
    pub(crate) fn leads(&self) -> bool {
        self.ranks.rank() == 0
    }

    /// Only this process.
    fn solo() -> Self {
        Self {
            ranks: Arc::new(Solo),
            #[cfg(feature = "mpi")]
            _universe: None,
        }
    }

    /// Every rank's result of the same work. If all of them failed, only the first reports it.
    pub(crate) fn agree<T>(&self, result: Result<T>) -> Result<T, Failure> {
        let failed = self.ranks.gather(&[f64::from(u8::from(result.is_err()))]);
        let all_failed = failed.iter().all(|&failed| failed > 0.0);
        result.map_err(|error| {
            let failure = Failure::from(error);
            let silent = Failure::Silent { exit_code: failure.exit_code() };
            if all_failed && !self.leads() { silent } else { failure }
        })
    }
}

#[cfg(not(feature = "mpi"))]
mod solo {
    use anyhow::anyhow;

    use super::*;

    impl ProcessGroup {
        /// Only this process.
        ///
        /// # Errors
        /// If `mpirun` started several: each would run the whole experiment.
        pub(crate) fn join() -> Result<Self> {
            match SIZES.into_iter().flat_map(std::env::var).find(|size| size != "1") {
                Some(size) => Err(anyhow!(
                    "mpirun started {size} processes, but this program was built without MPI; \
                     use `cargo build -p runner --features mpi` (it needs libopenmpi-dev and libclang)"
                )),
                None => Ok(Self::solo()),
            }
        }

        /// Ends all processes after this one failed.
        pub(crate) fn end(self, _code: u8) {}
    }
}

#[cfg(feature = "mpi")]
mod with_mpi {
    use anyhow::anyhow;
    use mpi::Threading;
    use mpi::collective::{CommunicatorCollectives, Root};
    use mpi::datatype::PartitionMut;
    use mpi::topology::{Communicator, SimpleCommunicator};

    use super::*;

    /// MPI's processes. Calls come from one thread at a time, which need not be the main one.
    #[derive(Clone, Copy, Debug)]
    struct MpiRanks {
        rank: usize,
        size: usize,
    }

    fn world() -> SimpleCommunicator {
        SimpleCommunicator::world()
    }

    impl Ranks for MpiRanks {
        fn rank(&self) -> usize {
            self.rank
        }

        fn size(&self) -> usize {
            self.size
        }

        fn gather(&self, own: &[f64]) -> Vec<f64> {
            let mut counts = vec![0i32; self.size];
            world().all_gather_into(&count(own.len()), &mut counts[..]);
            let starts: Vec<i32> = counts
                .iter()
                .scan(0, |sum, &count| {
                    *sum += count;
                    Some(*sum - count)
                })
                .collect();
            let mut all = vec![0.0; counts.iter().map(|&count| count as usize).sum()];
            let mut parts = PartitionMut::new(&mut all[..], counts, &starts[..]);
            world().all_gather_varcount_into(own, &mut parts);
            all
        }

        fn broadcast(&self, root: usize, values: &mut [f64]) {
            world().process_at_rank(count(root)).broadcast_into(values);
        }

        fn broadcast_bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
            let world = world();
            let lead = world.process_at_rank(0);
            let mut len = bytes.len() as u64;
            lead.broadcast_into(&mut len);
            bytes.resize(len as usize, 0);
            // MPI counts in 32 bits
            bytes.chunks_mut(1 << 30).for_each(|part| lead.broadcast_into(part));
            bytes
        }
    }

    fn count(n: usize) -> i32 {
        i32::try_from(n).expect("a message of less than 2^31 elements")
    }

    impl ProcessGroup {
        /// This process and those that `mpirun` started with it.
        ///
        /// # Errors
        /// If MPI cannot be started.
        pub(crate) fn join() -> Result<Self> {
            // without mpirun, MPI is not initialized: it would start its own daemons
            if !SIZES.iter().any(|name| std::env::var_os(name).is_some()) {
                return Ok(Self::solo());
            }
            let (universe, threading) = mpi::initialize_with_threading(Threading::Serialized)
                .ok_or_else(|| anyhow!("MPI was started already"))?;
            if threading < Threading::Serialized {
                return Err(anyhow!("this MPI accepts calls from its main thread only"));
            }
            let (rank, size) = (world().rank() as usize, world().size() as usize);
            // a rank that panics would leave the others waiting forever
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                usual(info);
                world().abort(101);
            }));
            Ok(Self { ranks: Arc::new(MpiRanks { rank, size }), _universe: Some(universe) })
        }

        /// Ends all processes after this one failed: the others would wait for it.
        pub(crate) fn end(self, code: u8) {
            if self.ranks.size() > 1 {
                world().abort(code.into());
            }
        }
    }
}
