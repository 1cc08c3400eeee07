//! `[probe.connectivity]`: linear mode connectivity of copies of the run that split at different updates.

use rand::RngCore;
use walk_arch::{Network, Op};
use walk_core::probes::cosine::cosine_of_displacements;
use walk_core::probes::distance::distance_sq;
use walk_core::probes::line::{LineLosses, barrier_height};
use walk_core::probes::path::PathLoss;

use super::prelude::*;
use crate::gradients::Gradients;
use crate::order::epoch_order;
use crate::{Method, OptimizerState, Position};

/// For each of several updates k, a twin of the run that starts from θ_k with the optimizer's memory, and is trained alongside the run
/// on different batches; and the loss and error barriers on the line between the two (Frankle et al., 2020, arXiv 1912.05671). Training a
/// twin costs as much as training the run from θ_k on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectivitySection {
    /// When to measure the lines; twins are trained at every update.
    pub when: Schedule,
    /// The updates k after which a twin splits from the run, in ascending order; 0 for the initial point. In a fork that adds the
    /// probe, only updates after the fork's checkpoint get a twin.
    pub split_after: Vec<u64>,
    /// Number of positions on each line, including both ends.
    #[serde(default = "AtLeast::<3>::preset::<11>")]
    pub points: AtLeast<3>,
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

impl Section for ConnectivitySection {
    fn check(&self, key: &str, updates: u64) -> Result<(), TrainError> {
        if self.split_after.is_empty() || !self.split_after.is_sorted_by(|a, b| a < b) {
            let (key, found) = (format!("{key}.split_after"), format!("{:?}", self.split_after));
            return Err(TrainError::value(
                &key,
                found,
                "a non-empty list of distinct updates in ascending order",
            ));
        }
        if let Some(late) = self.split_after.iter().find(|&&split_after| split_after >= updates) {
            let expected = format!("updates before the last, which is update {updates}");
            return Err(TrainError::value(&format!("{key}.split_after"), late, expected));
        }
        Ok(())
    }

    fn without_effect(&self) -> Vec<Option<Unused>> {
        vec![unused_statistics(self.batch_norm, self.statistics_samples)]
    }

    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let ProbeContext { model, train, optim, .. } = context;
        let draws_batches =
            optim.method == Method::Sgd && (optim.replacement || optim.updates_per_epoch(train.len()) > 1);
        if !draws_batches
            && !train.is_augmented()
            && !model.network().layers().iter().any(|layer| matches!(layer.op, Op::Dropout(_)))
        {
            let (key, found) = ("probe.connectivity.split_after", format!("{:?}", self.split_after));
            let expected = "a run whose updates depend on its seed: with every sample in each update, and without augmentation and \
                            dropout, a twin makes the same updates as the run";
            return Err(TrainError::value(key, found, expected));
        }
        let Self { chunk, batch_norm, statistics_samples, .. } = *self;
        let path = PathSection { key: "probe.connectivity", chunk, batch_norm, statistics_samples };
        let path = context.path_loss(path, train.len())?;
        let twins = self.split_after.iter().map(|&split_after| Twin::new(context, split_after)).collect();
        Ok(Box::new(ConnectivityProbe { section: self.clone(), path, train, twins }))
    }
}

struct ConnectivityProbe<'a> {
    section: ConnectivitySection,
    path: PathLoss<'a>,
    train: &'a Subset,
    twins: Vec<Twin<'a>>,
}

/// A copy of the run that is trained on other batches.
struct Twin<'a> {
    split_after: u64,
    /// Of its batches, crops and dropout masks.
    seed: Seed,
    optim: &'a OptimConfig,
    train: &'a Subset,
    network: &'a Network,
    gradients: Gradients<'a>,
    /// The epoch of `order`, 0 before the first.
    epoch: u32,
    /// The samples of the epoch's updates.
    order: Vec<usize>,
    /// Where it is, once it has split.
    now: Option<TwinState>,
}

struct TwinState {
    point: Point,
    /// Room for the next point.
    next: Point,
    optimizer: OptimizerState,
    /// θ where it split from the run.
    start: Vec<f32>,
}

impl<'a> Twin<'a> {
    fn new(context: ProbeContext<'a>, split_after: u64) -> Self {
        let ProbeContext { model, train, optim, .. } = context;
        let seed = Seed(context.seed.rng(Stream::Twin, [split_after]).next_u64());
        Self {
            split_after,
            seed,
            optim,
            train,
            network: model.network(),
            gradients: Gradients::new(model, train, optim, seed),
            epoch: 0,
            order: vec![],
            now: None,
        }
    }

    /// Starts it from a point of the run.
    fn split(&mut self, point: &Point, mut optimizer: OptimizerState) {
        optimizer.prepare(self.optim.rule, point.params.len());
        let (next, start) = (point.clone(), point.params.clone());
        self.now = Some(TwinState { point: point.clone(), next, optimizer, start });
    }

    /// Makes its own update, at the same place in training as the run's; does nothing before it has split.
    fn train(&mut self, at: Position) -> Result<(), TrainError> {
        let Some(now) = &mut self.now else { return Ok(()) };
        if self.epoch != at.epoch {
            self.order = epoch_order(self.seed, at.epoch, self.optim, self.train.len());
            self.epoch = at.epoch;
        }
        now.next.buffers.copy_from_slice(&now.point.buffers);
        self.gradients.next(&now.point, &mut now.next.buffers, &self.order, at)?;
        let (lr, grad) = (self.optim.learning_rate(at), &self.gradients.grad);
        now.optimizer.update(self.optim, lr, &now.point.params, grad, &mut now.next.params);
        std::mem::swap(&mut now.point, &mut now.next);
        Ok(())
    }

    /// The prefix of its lists in the probe's memory.
    fn name(&self, list: &str) -> String {
        format!("twin.{}.{list}", self.split_after)
    }
}

impl Probe for ConnectivityProbe<'_> {
    fn work(&self) -> Work {
        let evaluated = self.section.points.get() * self.train.len();
        Work::losses(self.twins.len() * evaluated, self.section.chunk.get())
    }

    fn remembered(&self, _span: Span) -> usize {
        self.twins.iter().map(|twin| 2 + twin.optim.remembered()).sum()
    }

    fn held(&self, _span: Span) -> usize {
        // a twin's gradient and next point
        2 + 2 * self.twins.len()
    }

    fn work_between(&self, updates: Step) -> Work {
        let batch = match self.twins.first() {
            Some(twin) if twin.optim.method == Method::Sgd => twin.optim.batch_size,
            _ => self.train.len(),
        };
        let updates = self.twins.iter().map(|twin| updates.0.saturating_sub(twin.split_after));
        let differentiated = batch.saturating_mul(updates.sum::<u64>() as usize);
        Work { differentiated, ..Work::default() }
    }

    fn observe(&mut self, update: &Update<'_>) -> Result<(), TrainError> {
        for twin in &mut self.twins {
            if twin.split_after == 0 && update.start.0 == 0 {
                twin.split(update.before, OptimizerState::default());
            }
            twin.train(update.at)?;
            if twin.split_after == update.at.step.0 {
                twin.split(update.after, update.optimizer.clone());
            }
        }
        Ok(())
    }

    fn memory(&self) -> Memory {
        self.twins.iter().fold(Memory::default(), |memory, twin| {
            let Some(TwinState { point, optimizer, start, .. }) = &twin.now else { return memory };
            let lists = [("params", &point.params), ("buffers", &point.buffers), ("start", start)];
            let memory = lists.into_iter().fold(memory, |memory, (list, values)| {
                memory.with(&twin.name(list), Values::F32(values.clone()))
            });
            let optimizer = optimizer.lists();
            optimizer.into_iter().fold(memory, |memory, (list, values)| memory.with(&twin.name(list), values))
        })
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        for twin in &mut self.twins {
            let (n_params, n_buffers) = (twin.network.n_params(), twin.network.n_buffers());
            let list = |list: &str, len: usize| memory.f32s(&twin.name(list), len);
            let lists = (list("params", n_params)?, list("buffers", n_buffers)?, list("start", n_params)?);
            let (Some(params), Some(buffers), Some(start)) = lists else { continue };
            let mut optimizer = OptimizerState::from_lists(|name| memory.0.get(&twin.name(name)), n_params)?;
            // a velocity of 0 is not saved, and a fork may have another rule
            optimizer.prepare(twin.optim.rule, n_params);
            let point = Point { params, buffers };
            twin.now = Some(TwinState { next: point.clone(), point, optimizer, start });
        }
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let ConnectivitySection { points, batch_norm, .. } = self.section;
        let (run, mut rows) = (update.after, vec![]);
        for twin in &self.twins {
            let Some(TwinState { point: other, start, .. }) = &twin.now else { continue };
            let samples = Fixed(self.train);
            let line = LineLosses::evaluate(&mut self.path, [run, other], points.get(), &samples)?;
            let LineLosses { alphas, losses, errors } = line;
            let row = rows::Connectivity {
                split_after: twin.split_after,
                distance: distance_sq(&run.params, &other.params).sqrt().into(),
                cosine: cosine_of_displacements(start, &run.params, &other.params).into(),
                loss_barrier: barrier_height(&losses).into(),
                error_barrier: barrier_height(&errors).into(),
                alphas,
                losses: measured(&losses),
                errors: measured(&errors),
                samples: self.train.len(),
                batch_norm,
                statistics_samples: self.path.estimated_on(),
            };
            rows.push(row.into());
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;

    use walk_arch::{Activation, Net, Problem, flatten, linear};
    use walk_core::{Fused, Loss, Model};
    use walk_data::{DataConfig, DataSet, Part, Split};
    use walk_record::rows::Connectivity;
    use walk_record::{MetricsMark, RecordError, Row, checkpoint_bytes, rows_of};

    use super::*;
    use crate::probe::ProbeConfig;
    use crate::test_support::Rows;
    use crate::{
        After, Ranks, Rule, Sink, Solo, TrainConfig, TrainState, state_from_bytes, state_tensors, train,
    };

    /// Keeps every row, and ends training after an update.
    #[derive(Default)]
    struct Until {
        rows: Rows,
        step: u64,
    }

    impl Sink for Until {
        fn row(&mut self, row: &Row) -> Result<(), RecordError> {
            self.rows.row(row)
        }

        fn begins(&mut self, _: Position, _: &'static str) {}

        fn after(&mut self, at: Position) -> After {
            if at.step.0 == self.step { After::SaveAndStop } else { After::Continue }
        }
    }

    struct Training {
        split: Split,
        model: Model,
        config: TrainConfig,
        probes: ProbeConfig,
    }

    impl Training {
        /// Three epochs of four updates, by Adam unless another rule is given.
        fn new(split_after: &[u64]) -> Self {
            Self::by(Rule::Adam, split_after)
        }

        fn by(rule: Rule, split_after: &[u64]) -> Self {
            let data = DataConfig {
                train: Some(Part::Count(100)),
                valid: Some(Part::Count(20)),
                ..DataConfig::new(DataSet::Digits)
            };
            let net = Net::new();
            let hidden =
                net.input().then("flat", flatten()).then("a", linear(8)).then("tanh", Activation::Tanh);
            let problem = Problem { input: vec![1, 8, 8], classes: 10 };
            let network = net.finish(hidden.then("b", linear(10))).check(&problem).unwrap();
            let optim = OptimConfig { rule, lr: 0.01, batch_size: 25, ..crate::optim::tests::config() };
            let section = serde_json::json!({ "when": {}, "split_after": split_after, "points": 3 });
            Self {
                split: data.load().unwrap(),
                model: Model::new(Rc::new(Fused::default()), network, Loss::CrossEntropy),
                config: TrainConfig { epochs: 3, seed: Seed(5), optim, record_order: false },
                probes: serde_json::from_value(serde_json::json!({ "connectivity": section })).unwrap(),
            }
        }

        fn start(&self) -> TrainState {
            TrainState::new(self.model.initial(Seed(5)))
        }

        /// Trains up to an update, with the seed of the experiment or another.
        fn run(&self, start: TrainState, step: u64, seed: Seed) -> (TrainState, Vec<Connectivity>) {
            let ranks: Arc<dyn Ranks> = Arc::new(Solo);
            let config = TrainConfig { seed, ..self.config.clone() };
            let (train_part, optim) = (&self.split.train, &config.optim);
            let context = ProbeContext { model: &self.model, train: train_part, optim, seed, ranks: &ranks };
            let mut probes = self.probes.probes(context).unwrap();
            let mut sink = Until { step, ..Until::default() };
            let end =
                train(&self.model, &self.split, &config, start, &mut probes, &mut sink, &ranks).unwrap();
            (end, rows_of::<Connectivity>(&sink.rows.0).map(|row| row.row.clone()).collect())
        }
    }

    #[test]
    fn a_twin_is_the_run_with_other_batches() {
        let training = Training::new(&[0, 6]);
        let (end, rows) = training.run(training.start(), 12, Seed(5));
        // one row per update for the first, and from the split on for the second, where the two are one
        assert_eq!(rows.len(), 12 + 7);
        let last: Vec<&Connectivity> = rows.iter().rev().take(2).collect();
        assert_eq!((last[1].split_after, last[0].split_after), (0, 6));
        let at_split = rows.iter().find(|row| row.split_after == 6).unwrap();
        assert_eq!((at_split.distance.or_nan(), at_split.cosine.get()), (0.0, None));
        // from the start on, it is a run with the twin's seed
        let seed = Seed(Seed(5).rng(Stream::Twin, [0]).next_u64());
        let (other, _) = Training::new(&[100]).run(training.start(), 12, seed);
        let apart = distance_sq(&end.point.params, &other.point.params).sqrt();
        assert_eq!(last[1].distance.or_nan(), apart);
        assert!(apart > 0.0 && last[0].distance.or_nan() < apart);
    }

    #[test]
    fn a_twin_that_would_make_the_updates_of_the_run_is_refused() {
        let refused = |change: fn(&mut OptimConfig)| {
            let mut training = Training::new(&[0]);
            change(&mut training.config.optim);
            let ranks: Arc<dyn Ranks> = Arc::new(Solo);
            let (optim, seed) = (&training.config.optim, Seed(5));
            let (model, train) = (&training.model, &training.split.train);
            let probes = training.probes.probes(ProbeContext { model, train, optim, seed, ranks: &ranks });
            probes.err().is_some_and(|error| error.to_string().contains("a twin makes the same updates"))
        };
        assert!(refused(|optim| optim.method = Method::Gd) && refused(|optim| optim.batch_size = 100));
        assert!(!refused(|optim| (optim.batch_size, optim.replacement) = (100, true)) && !refused(|_| ()));
    }

    #[test]
    fn twins_continue_from_a_checkpoint_with_the_same_bits() {
        for rule in [Rule::Adam, Rule::Sgd] {
            twins_continue(&Training::by(rule, &[0, 2, 5]));
        }
    }

    fn twins_continue(training: &Training) {
        let (_, whole) = training.run(training.start(), 12, Seed(5));
        let (half, first) = training.run(training.start(), 3, Seed(5));
        let network = training.model.network();
        let bytes = checkpoint_bytes(&state_tensors(network, &half, &MetricsMark::default())).unwrap();
        let (_, rest) = training.run(state_from_bytes(&bytes, network).unwrap().state, 12, Seed(5));
        assert!([first, rest].concat() == whole);
    }
}
