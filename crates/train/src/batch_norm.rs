//! Rejects batches and chunks that batch norm cannot handle.

use walk_arch::Network;

use crate::{Method, OptimConfig, TrainError};

/// An error if `network` has batch norms and splitting `samples` samples into chunks of `chunk` leaves a single sample: every
/// feature is then its own mean, its variance is 0, and the output does not depend on the sample. `remedy` suggests a fix.
pub(crate) fn check_chunks(
    key: &str,
    samples: usize,
    chunk: usize,
    network: &Network,
    remedy: &str,
) -> Result<(), TrainError> {
    if !network.has_batch_norm() || !has_single(samples, chunk) {
        return Ok(());
    }
    let fitting = (2..chunk).rev().find(|&size| !has_single(samples, size));
    let fitting = fitting.map_or(String::new(), |size| format!(", for instance {size}"));
    let expected = format!(
        "chunks of at least two of the {samples} samples{fitting}, since a single sample has no batch statistics{remedy}"
    );
    Err(TrainError::value(key, chunk, expected))
}

/// Whether one of the chunks is a single sample.
fn has_single(samples: usize, chunk: usize) -> bool {
    samples > 0 && (chunk == 1 || samples % chunk == 1)
}

impl OptimConfig {
    /// An error if `network` has batch norms and one of the batches that it is trained on is a single sample.
    ///
    /// # Errors
    /// [`TrainError::Value`] that says what to change.
    pub fn check_batch_norm(&self, samples: usize, network: &Network) -> Result<(), TrainError> {
        if !network.has_batch_norm() || !has_single(self.samples_per_epoch(samples), self.batch_size) {
            return Ok(());
        }
        let found = format!("{} for {samples} training samples", self.batch_size);
        let dropped = if self.method == Method::Sgd && self.batch_size > 1 {
            "; `optim.drop_last` = true drops the last one"
        } else {
            ""
        };
        let expected = format!(
            "batches of at least two samples, since batch norm has no statistics for a single one{dropped}"
        );
        Err(TrainError::value("optim.batch_size", found, expected))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use walk_arch::{Net, Problem, batch_norm, linear};

    use super::*;
    use crate::optim::tests::config;

    fn network(has_norm: bool) -> Network {
        let net = Net::new();
        let value = net.input().then("fc", linear(3));
        let value = if has_norm { value.then("bn", batch_norm()) } else { value };
        net.finish(value).check(&Problem { input: vec![4], classes: 3 }).unwrap()
    }

    #[test]
    fn batches_of_one_sample_are_refused_where_there_are_batch_norms() {
        let check = |optim: &OptimConfig, samples| optim.check_batch_norm(samples, &network(true));
        let message = check(&config(), 401).unwrap_err().to_string();
        assert!(
            message.starts_with(
                "`optim.batch_size` = 100 for 401 training samples, expected batches of at least two"
            ) && message.contains("drop_last"),
            "{message}"
        );
        check(&config(), 400).unwrap();
        check(&OptimConfig { drop_last: true, ..config() }, 401).unwrap();
        check(&OptimConfig { replacement: true, ..config() }, 401).unwrap();
        assert!(check(&OptimConfig { replacement: true, batch_size: 1, ..config() }, 401).is_err());
        assert!(check(&OptimConfig { method: Method::Gd, ..config() }, 401).is_err());
        config().check_batch_norm(401, &network(false)).unwrap();
    }

    proptest! {
        #[test]
        fn a_chunk_size_is_refused_if_and_only_if_it_makes_a_single_sample(samples in 1usize..500, chunk in 1usize..120) {
            let sizes: Vec<usize> = vec![0; samples].chunks(chunk).map(<[usize]>::len).collect();
            let found = check_chunks("x", samples, chunk, &network(true), "");
            prop_assert_eq!(found.is_err(), sizes.contains(&1));
            // and the size suggested by the message fits
            if let Err(error) = found
                && let Some((_, size)) = error.to_string().split_once("for instance ")
            {
                let size = size.split(',').next().unwrap().parse().unwrap();
                check_chunks("x", samples, size, &network(true), "").unwrap();
            }
        }
    }
}
