//! Every probe on a linear network with squared error, whose loss is quadratic: the results are known in closed form.

mod alignment;
mod covariance;
mod noise;
mod paths;
mod ranks;
mod remembered;
mod spectrum;
mod without_effect;

use std::rc::Rc;
use std::sync::Arc;

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use walk_arch::{Net, Problem, flatten, linear};
use walk_core::{Fused, Loss, Model, Point, Samples, Seed};
use walk_data::{DataConfig, DataSet, Part, Split};
use walk_record::rows::{
    Alignment, Completeness, Cosine, Covariance, CriticalLr, CriticalLrOutcome, GradientUnit, Line, Noise,
    Plane, RowKind, Spectrum,
};
use walk_record::{Measured, Row, Stamped, rows_of};

use super::*;
use crate::samples::Fixed;
use crate::test_support::Rows;
use crate::{Method, OptimConfig, Ranks, Solo, TrainConfig, TrainState, point_tensors, train};

const SAMPLES: usize = 200;
const CLASSES: usize = 10;

/// z = W x + b on the digits; L = 1/N Σ ½ ‖z - y‖².
struct Quadratic {
    split: Split,
    model: Model,
    /// One row (x, 1) per sample.
    inputs: DMatrix<f64>,
    /// One row y per sample.
    targets: DMatrix<f64>,
}

impl Quadratic {
    fn new() -> Self {
        let config = DataConfig {
            train: Some(Part::Count(SAMPLES)),
            valid: Some(Part::Count(20)),
            ..DataConfig::new(DataSet::Digits)
        };
        let split = config.load().unwrap();
        let problem = Problem { input: vec![1, 8, 8], classes: CLASSES };
        let net = Net::new();
        let mut layers = net.sequential("");
        layers.push(flatten()).push(linear(CLASSES));
        let network = net.finish(layers.output()).check(&problem).unwrap();
        let model = Model::new(Rc::new(Fused::default()), network, Loss::SquaredError);
        let (mut values, mut labels) = (vec![0.0; SAMPLES * 64], vec![0; SAMPLES]);
        Fixed(&split.train).fill(0..SAMPLES, &mut values, &mut labels);
        let inputs = DMatrix::from_fn(SAMPLES, 65, |row, column| {
            if column < 64 { f64::from(values[row * 64 + column]) } else { 1.0 }
        });
        let targets =
            DMatrix::from_fn(SAMPLES, CLASSES, |row, class| f64::from(u8::from(labels[row] == class)));
        Self { split, model, inputs, targets }
    }

    /// M = 1/N Σ (x, 1)(x, 1)ᵀ: the Hessian has M once per class.
    fn moment(&self) -> DMatrix<f64> {
        self.inputs.transpose() * &self.inputs / SAMPLES as f64
    }

    /// (W, b) as `[65, classes]`.
    fn weights(&self, point: &Point) -> DMatrix<f64> {
        let params = &point.params;
        DMatrix::from_fn(65, CLASSES, |row, class| {
            f64::from(if row < 64 { params[class * 64 + row] } else { params[CLASSES * 64 + class] })
        })
    }

    /// z - y, one row per sample.
    fn residuals(&self, point: &Point) -> DMatrix<f64> {
        &self.inputs * self.weights(point) - &self.targets
    }

    /// ḡ as `[65, classes]`.
    fn grad(&self, point: &Point) -> DMatrix<f64> {
        self.inputs.transpose() * self.residuals(point) / SAMPLES as f64
    }

    fn loss(&self, point: &Point) -> f64 {
        0.5 * self.residuals(point).norm_squared() / SAMPLES as f64
    }

    /// Trains with `probes`; every row, and the last point.
    fn run(&self, method: Method, lr: f64, epochs: u32, probes: &ProbeConfig) -> (Vec<Row>, Point) {
        self.run_on(Arc::new(Solo), (method, lr, epochs), probes)
    }

    fn run_on(
        &self,
        ranks: Arc<dyn Ranks>,
        (method, lr, epochs): (Method, f64, u32),
        probes: &ProbeConfig,
    ) -> (Vec<Row>, Point) {
        let batch_size = if method == Method::Gd { SAMPLES } else { 50 };
        let optim =
            OptimConfig { method, lr, batch_size, weight_decay: 0.0, ..crate::optim::tests::config() };
        let config = TrainConfig { epochs, seed: Seed(3), optim, record_order: false };
        let (model, train_part) = (&self.model, &self.split.train);
        let (optim, seed) = (&config.optim, config.seed);
        let mut active =
            probes.probes(ProbeContext { model, train: train_part, optim, seed, ranks: &ranks }).unwrap();
        let mut rows = Rows::default();
        let start = TrainState::new(self.model.initial(Seed(3)));
        let end = train(&self.model, &self.split, &config, start, &mut active, &mut rows, &ranks).unwrap();
        (rows.0, end.point)
    }
}

/// The sections of a TOML text, as an experiment has them under `[probe]`.
fn probes(text: serde_json::Value) -> ProbeConfig {
    let probes: ProbeConfig = serde_json::from_value(text).unwrap();
    probes.check(100, 4).unwrap();
    probes
}

/// The rows of one kind.
fn kind<T: RowKind>(records: &[Row]) -> Vec<Stamped<'_, T>> {
    rows_of(records).collect()
}

fn numbers(values: &[Measured]) -> Vec<f64> {
    values.iter().map(|value| value.or_nan()).collect()
}

fn close(found: impl Into<Measured>, expected: f64, relative: f64) -> bool {
    (found.into().or_nan() - expected).abs() <= relative * expected.abs()
}
