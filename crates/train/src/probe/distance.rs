//! `[probe.distance]`: ‖θ_{t+1} - θ_0‖₂.

use std::path::PathBuf;

use walk_core::probes::cosine::cosine_of_displacements;
use walk_core::probes::distance::distance_sq;
use walk_record::rows::OtherPoint;

use super::prelude::*;
use crate::import::read_point;

/// The distance of θ from its initial value after each update, and from a point of another run; trainable parameters only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistanceSection {
    /// When to measure.
    #[serde(default)]
    pub when: Schedule,
    /// A safetensors file with a point of another run, as for `init.from`: the distance of θ from it, and the angle between the
    /// displacements of the two points from θ_0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
}

impl Section for DistanceSection {
    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let network = context.model.network();
        let read = |path: &PathBuf| {
            let point = read_point(path, network, "probe.distance.from")?;
            Ok::<_, TrainError>(Other { file: path.display().to_string(), params: point.params })
        };
        Ok(Box::new(DistanceProbe { other: self.from.as_ref().map(read).transpose()? }))
    }
}

struct DistanceProbe {
    other: Option<Other>,
}

/// A point of another run.
struct Other {
    file: String,
    params: Vec<f32>,
}

impl Probe for DistanceProbe {
    fn work(&self) -> Work {
        Work::default()
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let (here, start) = (&update.after.params, &update.initial.params);
        let other = self.other.as_ref().map(|Other { file, params }| OtherPoint {
            file: file.clone(),
            distance: distance_sq(here, params).sqrt().into(),
            cosine: cosine_of_displacements(start, here, params).into(),
        });
        Ok(vec![rows::Distance { distance: distance_sq(here, start).sqrt().into(), other }.into()])
    }
}
