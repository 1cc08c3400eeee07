//! Compares a device with the f64 reference: every layer in a small network, and whole networks.

mod networks;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use walk_arch::Network;

pub use self::networks::layer_networks;
use crate::composite::{CompositeEvaluator, Reference};
use crate::tensors::samples_have_gradients;
use crate::{
    Backend, Batch, BatchNormMode, Composite, CoreError, Cpu, DropoutDraw, Evaluator, Loss, Model, Point,
    Seed, Stream,
};

/// The losses that are compared.
const LOSSES: [Loss; 4] = [
    Loss::CrossEntropy,
    Loss::SmoothedCrossEntropy { smoothing: 0.1 },
    Loss::SquaredError,
    Loss::MeanSquaredError,
];

/// The quantities compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The losses of the samples, by the evaluator.
    Losses,
    /// The gradient of the mean loss.
    Gradient,
    /// The Hessian of the mean loss times a direction.
    HessianVector,
    /// The Gauss-Newton matrix of the mean loss times a direction.
    GaussNewtonVector,
    /// The squared norms of per-sample gradients.
    SampleNorms,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Losses, Self::Gradient, Self::HessianVector, Self::GaussNewtonVector, Self::SampleNorms];
}

/// The largest difference of one quantity from the reference over all losses and both modes of batch norm.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The quantity compared.
    pub quantity: Quantity,
    /// ‖found - reference‖ / ‖reference‖; infinite if something is not a number.
    pub error: f64,
    /// The total time that the device took.
    pub time: Duration,
}

/// Compares a device with the reference on `samples` random samples, at a random point of the network.
///
/// # Errors
/// [`CoreError::Device`] if the device fails.
pub fn differences(
    backend: &dyn Backend,
    network: &Arc<Network>,
    samples: usize,
) -> Result<[Difference; Quantity::ALL.len()], CoreError> {
    let (point, batch, direction) = random_case(network, samples)?;
    let mut found = Quantity::ALL.map(|quantity| Difference { quantity, error: 0.0, time: Duration::ZERO });
    let mut note = |quantity: Quantity, (values, time): (Vec<f64>, Duration), reference: &[f64]| {
        let difference = &mut found[quantity as usize];
        difference.time += time;
        difference.error = difference.error.max(relative_error(&values, reference));
    };
    let without_dropout = Batch { dropout: None, ..batch.clone() };
    let modes: &[BatchNormMode] = if network.has_batch_norm() {
        &[BatchNormMode::Batch, BatchNormMode::Running]
    } else {
        &[BatchNormMode::Running]
    };
    for loss in LOSSES {
        let at = backend.at(network, loss, &point)?;
        for &mode in modes {
            let reference = Reference::new(network, loss, &point, mode)?;
            let losses = |mut evaluator: Box<dyn Evaluator>| {
                let evaluation = evaluator.evaluate(&point, &batch, samples, mode)?;
                Ok(evaluation.chunks.into_iter().flat_map(|chunk| chunk.losses).collect())
            };
            let found = timed(|| losses(backend.evaluator(network, loss)));
            let exact: Vec<f64> =
                losses(Box::new(CompositeEvaluator::<f64, _>::new(Cpu::default(), network.clone(), loss)))?;
            note(Quantity::Losses, found?, &exact);
            let gradient = timed(|| Ok(wide(&at.gradient(&batch, mode)?.grad)));
            note(Quantity::Gradient, gradient?, &reference.gradient(&batch)?);
            let product = timed(|| Ok(wide(&at.hessian_vector(&batch, &direction, mode)?)));
            note(Quantity::HessianVector, product?, &reference.hessian_vector(&batch, &direction)?);
            let product = timed(|| Ok(wide(&at.gauss_newton_vector(&batch, &direction, mode)?)));
            note(Quantity::GaussNewtonVector, product?, &reference.gauss_newton_vector(&batch, &direction)?);
            if samples_have_gradients(network, mode) {
                let norms = timed(|| at.sample_norms_sq(&without_dropout, mode));
                note(Quantity::SampleNorms, norms?, &reference.sample_norms_sq(&without_dropout)?);
            }
        }
    }
    Ok(found)
}

/// A point with no parameter at exactly 0 or 1 and with the running statistics of the samples, samples, and a direction of θ.
fn random_case(network: &Network, samples: usize) -> Result<(Point, Batch, Vec<f32>), CoreError> {
    let mut rng = Seed(1).rng(Stream::SelfCheck, []);
    let reference = Model::new(Rc::new(Composite::<Cpu>::default()), network.clone(), Loss::CrossEntropy);
    let mut point = reference.initial(Seed(1));
    for x in &mut point.params {
        let part: f32 = rng.gen_range(-0.1..0.1);
        *x += if *x == 0.0 { part } else { part * *x };
    }
    let direction = point.params.iter().map(|_| rng.gen_range(-1.0..1.0)).collect();
    let problem = network.problem();
    let features: usize = problem.input.iter().product();
    let inputs = (0..samples * features).map(|_| rng.gen_range(-1.0..1.0)).collect();
    let labels = (0..samples).map(|_| rng.gen_range(0..problem.classes)).collect();
    let dropout = Some(DropoutDraw { seed: Seed(1), step: 0, part: 0 });
    let batch = Batch { inputs, labels, dropout };
    reference.restate(&mut point, &batch, samples)?;
    Ok((point, batch, direction))
}

fn timed(work: impl FnOnce() -> Result<Vec<f64>, CoreError>) -> Result<(Vec<f64>, Duration), CoreError> {
    let started = Instant::now();
    Ok((work()?, started.elapsed()))
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

fn relative_error(found: &[f64], reference: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let apart = norm(&mut found.iter().zip(reference).map(|(found, expected)| found - expected));
    let error = apart / norm(&mut reference.iter().copied());
    if error.is_nan() || found.len() != reference.len() { f64::INFINITY } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AtPoint, Fused, PassKind};

    #[test]
    fn every_layer_of_the_fused_backend_passes() {
        for (name, network) in layer_networks() {
            for Difference { quantity, error, .. } in differences(&Fused::default(), &network, 5).unwrap() {
                // Winograd's F(4x4) has the largest rounding error
                assert!(error < 1e-5, "{name}, {quantity:?}: {error:e}");
            }
        }
    }

    /// Computes gradients at another point.
    #[derive(Debug)]
    struct Broken(Fused);

    impl Backend for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }

        fn at<'a>(
            &'a self,
            network: &'a Arc<Network>,
            loss: Loss,
            point: &'a Point,
        ) -> Result<Box<dyn AtPoint + 'a>, CoreError> {
            let mut other = point.clone();
            other.params[0] += 0.1;
            self.0.at(network, loss, Box::leak(Box::new(other)))
        }

        fn evaluator(&self, network: &Arc<Network>, loss: Loss) -> Box<dyn Evaluator> {
            Backend::evaluator(&self.0, network, loss)
        }

        fn bytes(&self, _: &Network, _: PassKind, _: usize) -> Option<usize> {
            None
        }
    }

    #[test]
    fn a_broken_device_is_found() {
        let (_, network) = &layer_networks()[0];
        let found = differences(&Broken(Fused::default()), network, 5).unwrap();
        let is_wrong = |difference: &Difference| difference.error > 1e-3;
        assert_eq!(found.iter().map(is_wrong).collect::<Vec<bool>>(), [false, true, true, true, true]);
    }

    #[test]
    fn what_is_not_a_number_is_an_infinite_error() {
        assert_eq!(relative_error(&[1.0, f64::NAN], &[1.0, 2.0]), f64::INFINITY);
        assert_eq!(relative_error(&[1.0], &[1.0, 2.0]), f64::INFINITY);
        assert_eq!(relative_error(&[3.0, 0.0], &[0.0, 4.0]), 1.25);
    }
}
