//! How much memory a run needs, and how much is available.

use walk_core::{Model, PassKind};
use walk_data::Images;
use walk_train::{OptimConfig, Work};

/// What determines a run's memory use.
pub(crate) struct Footprint<'a> {
    pub(crate) model: &'a Model,
    pub(crate) images: &'a Images,
    pub(crate) samples: usize,
    pub(crate) optim: &'a OptimConfig,
    pub(crate) threads: usize,
}

/// Memory of the program itself, apart from what is counted.
const PROGRAM: usize = 30 << 20;

impl Footprint<'_> {
    /// Approximate peak memory of the run in bytes, with probes of this work, which remember and hold so many vectors of the
    /// size of θ; `None` if the device does not report it.
    pub(crate) fn bytes(&self, probes: &[Work], remembered: usize, held: usize) -> Option<usize> {
        let Self { model, images, samples, optim, threads } = *self;
        let network = model.network();
        let params = network.n_params() * size_of::<f32>();
        let features: usize = network.problem().input.iter().product();
        let rows = optim.batch_size.min(samples);
        // the batch, the next one, and their copies on the device
        let inputs = 4 * rows * features * size_of::<f32>();
        let training = model.bytes(PassKind::Gradient, rows)? + inputs;
        let mut most = training;
        for work in probes {
            let pass = |done: usize, kind: PassKind, threads: usize| {
                if done == 0 { Some(0) } else { model.bytes(kind, work.at_once).map(|bytes| threads * bytes) }
            };
            let evaluation = pass(work.evaluated, PassKind::Evaluation, threads)?;
            let gradient = pass(work.differentiated, PassKind::Gradient, 1)?;
            let product = pass(work.multiplied, PassKind::HessianVector, 1)?;
            most = most.max(evaluation).max(gradient).max(product);
        }
        // θ, the next θ, gradient, and copies on the device, in the layout of convolutions, and in checkpoints
        let always = 16;
        // what is remembered, and its copies in a checkpoint and in its file
        let vectors = always + 3 * (optim.remembered() + remembered) + held;
        // the archive that images are read from is in memory as well, but only until training begins
        let images = images.pixels.len();
        Some(PROGRAM + (2 * images).max(images + vectors * params + most))
    }
}

/// The memory of this machine that the process may use, in bytes; `None` if the system does not report it.
pub(crate) fn machine() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total = line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024;
    // the limit of a container; "max" if there is none
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<usize>().ok());
    Some(limit.map_or(total, |limit| limit.min(total)))
}
