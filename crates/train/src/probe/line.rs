//! `[probe.line]`: the loss along the line from θ_0, or from another run's θ, to the point after an update.

use std::path::PathBuf;

use walk_core::probes::distance::distance_sq;
use walk_core::probes::line::{LineLosses, barrier_height, is_monotone};
use walk_core::probes::path::PathLoss;

use super::prelude::*;
use crate::import::read_point;

/// Losses and errors of all training samples along a line: from the start of the run as in Goodfellow et al. (2014), or between
/// two runs as in linear mode connectivity (Frankle et al., 2020).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineSection {
    /// When to measure, which determines where the line ends.
    pub when: Schedule,
    /// A safetensors file with the starting point, as for `init.from`; by default θ_0, in a fork that of its first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Number of positions, including both ends.
    #[serde(default = "AtLeast::<2>::preset::<30>")]
    pub points: AtLeast<2>,
    /// Number of samples per evaluation chunk.
    #[serde(default = "super::values::paper_chunk")]
    pub chunk: ChunkSize,
    /// Batch norm statistics. Running ones are re-estimated at each point.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// With running statistics: number of samples used to re-estimate them at each point, in chunks of `chunk`, taken from the
    /// start of the mixed order.
    #[serde(default = "super::values::usual_statistics")]
    pub statistics_samples: SampleCount,
}

impl Section for LineSection {
    fn without_effect(&self) -> Vec<Option<Unused>> {
        vec![unused_statistics(self.batch_norm, self.statistics_samples)]
    }

    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let ProbeContext { model, train, .. } = context;
        let from = self.from.as_ref().map(|path| read_point(path, model.network(), "probe.line.from"));
        let (section, from) = (self.clone(), from.transpose()?);
        let Self { chunk, batch_norm, statistics_samples, .. } = *self;
        let path = PathSection { key: "probe.line", chunk, batch_norm, statistics_samples };
        let path = context.path_loss(path, train.len())?;
        Ok(Box::new(LineProbe { section, path, train, from }))
    }
}

struct LineProbe<'a> {
    section: LineSection,
    path: PathLoss<'a>,
    train: &'a Subset,
    /// The starting point of the line; θ_0 if not given.
    from: Option<Point>,
}

impl Probe for LineProbe<'_> {
    fn work(&self) -> Work {
        Work::losses(self.section.points.get() * self.train.len(), self.section.chunk.get())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let LineSection { points, batch_norm, .. } = self.section;
        let (points, to) = (points.get(), update.after);
        let from = self.from.as_ref().unwrap_or(update.initial);
        let line = LineLosses::evaluate(&mut self.path, [from, to], points, &Fixed(self.train))?;
        let LineLosses { alphas, losses, errors } = line;
        let row = rows::Line {
            from: self.section.from.as_ref().map_or("start".into(), |path| path.display().to_string()),
            length: distance_sq(&from.params, &to.params).sqrt().into(),
            loss_barrier: barrier_height(&losses).into(),
            error_barrier: barrier_height(&errors).into(),
            monotone: is_monotone(&losses),
            alphas,
            losses: measured(&losses),
            errors: measured(&errors),
            samples: self.train.len(),
            batch_norm,
            statistics_samples: self.path.estimated_on(),
        };
        Ok(vec![row.into()])
    }
}
