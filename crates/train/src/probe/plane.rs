//! `[probe.plane]`: the loss on a plane through the point after an update (Li et al., 2018).

use walk_core::Model;
use walk_core::probes::path::PathLoss;
use walk_core::probes::plane::{filter_normalized, move_along, principal};
use walk_record::rows::Directions;

use super::prelude::*;
use crate::Conditions;

/// Losses of all training samples on a grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaneSection {
    /// When to measure, which determines the plane's origin.
    pub when: Schedule,
    /// The directions that span the plane.
    #[serde(default)]
    pub directions: Directions,
    /// Number of positions along each direction.
    #[serde(default = "Within::<2, 201>::preset::<21>")]
    pub points: Within<2, 201>,
    /// Extent on each side along random directions, which are scaled filter by filter to the norm of θ.
    #[serde(default = "usual_radius")]
    pub radius: f64,
    /// Updates whose points, together with θ_0, form the trajectory for principal directions; the ends of epochs by default.
    #[serde(default = "ends_of_epochs")]
    pub trajectory: Schedule,
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

const fn usual_radius() -> f64 {
    1.0
}

fn ends_of_epochs() -> Schedule {
    Conditions { at_end_of_epochs: true, ..Conditions::default() }.into()
}

/// Margin beyond the trajectory, as a fraction of its extent.
const MARGIN: f64 = 0.2;

impl Section for PlaneSection {
    fn check(&self, key: &str, _updates: u64) -> Result<(), TrainError> {
        if !(self.radius > 0.0 && self.radius.is_finite()) {
            let (key, expected) = (format!("{key}.radius"), "a finite number above 0");
            return Err(TrainError::value(&key, self.radius, expected));
        }
        Ok(())
    }

    fn schedules(&self) -> Vec<(&'static str, &Schedule)> {
        vec![("trajectory", &self.trajectory)]
    }

    fn without_effect(&self) -> Vec<Option<Unused>> {
        let is_unused =
            self.directions == Directions::Principal && self.radius.total_cmp(&usual_radius()).is_ne();
        let radius = is_unused
            .then_some(("radius", "with `directions` = \"principal\", the grid covers the trajectory"));
        vec![radius, unused_statistics(self.batch_norm, self.statistics_samples)]
    }

    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let ProbeContext { model, train, seed, .. } = context;
        let Self { chunk, batch_norm, statistics_samples, .. } = *self;
        let path = PathSection { key: "probe.plane", chunk, batch_norm, statistics_samples };
        let (section, path) = (self.clone(), context.path_loss(path, train.len())?);
        Ok(Box::new(PlaneProbe { section, model, path, train, seed, trajectory: vec![], unseen: None }))
    }
}

struct PlaneProbe<'a> {
    section: PlaneSection,
    model: &'a Model,
    path: PathLoss<'a>,
    train: &'a Subset,
    seed: Seed,
    /// θ_0 and the later points, for principal directions.
    trajectory: Vec<Vec<f32>>,
    /// Number of updates made before the probe was turned on, in a run from which this one was forked.
    unseen: Option<u64>,
}

/// A plane through θ.
struct Plane {
    directions: [Vec<f32>; 2],
    x: Vec<f64>,
    y: Vec<f64>,
    explained: Option<[f64; 2]>,
    trajectory: Vec<[f64; 2]>,
}

impl Probe for PlaneProbe<'_> {
    fn work(&self) -> Work {
        Work::losses(self.section.points.get().pow(2) * self.train.len(), self.section.chunk.get())
    }

    fn remembered(&self, span: Span) -> usize {
        match self.section.directions {
            Directions::Random => 0,
            Directions::Principal => 1 + self.section.trajectory.count(span) as usize,
        }
    }

    fn held(&self, span: Span) -> usize {
        // the directions, and the trajectory relative to its last point
        2 + self.remembered(span)
    }

    fn observe(&mut self, update: &Update<'_>) -> Result<(), TrainError> {
        if self.section.directions == Directions::Principal {
            if self.trajectory.is_empty() {
                self.trajectory.push(update.initial.params.clone());
                self.unseen = Some(update.start.0).filter(|&updates| updates > 0);
            }
            if self.section.trajectory.includes(update.at) {
                self.trajectory.push(update.after.params.clone());
            }
        }
        Ok(())
    }

    fn memory(&self) -> Memory {
        if self.trajectory.is_empty() {
            return Memory::default();
        }
        let unseen = self.unseen.map(|updates| Values::U64(vec![updates]));
        Memory::default().with("trajectory", Values::F32(self.trajectory.concat())).with("unseen", unseen)
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        let n_params = self.model.network().n_params();
        let trajectory = memory.get("trajectory", |values| match values {
            Values::F32(points) if points.len().is_multiple_of(n_params) => {
                Some(points.chunks_exact(n_params).map(<[f32]>::to_vec).collect())
            }
            _ => None,
        });
        self.trajectory = trajectory?.unwrap_or_default();
        self.unseen = memory.get("unseen", |values| match values {
            Values::U64(updates) => updates.first().copied(),
            _ => None,
        })?;
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let origin = update.after;
        let plane = match self.section.directions {
            Directions::Random => self.random(update),
            // a trajectory on a line does not span a plane
            Directions::Principal => match self.principal(&origin.params) {
                Some(plane) => plane,
                None => return Ok(vec![]),
            },
        };
        let PlaneSection { batch_norm, directions, .. } = self.section;
        let mut point = origin.clone();
        let mut losses = vec![];
        for &y in &plane.y {
            let mut row = vec![];
            for &x in &plane.x {
                move_along(origin, &plane.directions, [x, y], &mut point);
                row.push(self.path.evaluate(&mut point, &Fixed(self.train))?.mean_loss().into());
            }
            losses.push(row);
        }
        let Plane { x, y, explained, trajectory, .. } = plane;
        let row = rows::Plane {
            directions,
            x: measured(&x),
            y: measured(&y),
            losses,
            explained: explained.map(|explained| explained.map(Into::into)),
            trajectory: trajectory.into_iter().map(|place| place.map(Into::into)).collect(),
            unseen: self.unseen.filter(|_| directions == Directions::Principal),
            samples: self.train.len(),
            batch_norm,
            statistics_samples: self.path.estimated_on(),
        };
        Ok(vec![row.into()])
    }
}

impl PlaneProbe<'_> {
    fn random(&self, update: &Update<'_>) -> Plane {
        let mut rng = self.seed.rng(Stream::Plane, [update.at.step.0]);
        let mut direction = || filter_normalized(self.model.network(), &update.after.params, &mut rng);
        let directions = [direction(), direction()];
        let radius = self.section.radius;
        let axis = self.grid(-radius, radius);
        Plane { directions, x: axis.clone(), y: axis, explained: None, trajectory: vec![] }
    }

    /// `None` if the trajectory spans less than a plane.
    fn principal(&self, origin: &[f32]) -> Option<Plane> {
        let found = principal(&self.trajectory, origin)?;
        let seen = |theta: &Vec<f32>| {
            let apart: Vec<f32> = theta.iter().zip(origin).map(|(a, b)| a - b).collect();
            [0, 1].map(|axis: usize| dot(&apart, &found.directions[axis]))
        };
        let mut trajectory: Vec<[f64; 2]> = self.trajectory.iter().map(seen).collect();
        trajectory.push([0.0, 0.0]);
        let axis = |axis: usize| {
            let along = trajectory.iter().map(|at| at[axis]);
            let (low, high) = (along.clone().fold(0.0, f64::min), along.fold(0.0, f64::max));
            let margin = MARGIN * (high - low);
            self.grid(low - margin, high + margin)
        };
        let (x, y) = (axis(0), axis(1));
        Some(Plane { directions: found.directions, x, y, explained: Some(found.explained), trajectory })
    }

    fn grid(&self, low: f64, high: f64) -> Vec<f64> {
        let last = self.section.points.get() - 1;
        (0..=last).map(|i| low + (high - low) * i as f64 / last as f64).collect()
    }
}
