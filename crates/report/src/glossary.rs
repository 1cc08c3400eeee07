//! The meanings of the terms in tables and figures: the single source of the report page, `sgdwalk glossary` and
//! docs/GLOSSARY.md.

use std::fmt::Write;

/// A term and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// As tables and figures print it.
    pub name: &'static str,
    /// Its meaning, as a sentence.
    pub meaning: &'static str,
}

const fn term(name: &'static str, meaning: &'static str) -> Term {
    Term { name, meaning }
}

/// The terms by topic.
pub const GLOSSARY: &[(&str, &[Term])] = &[
    ("Runs and settings", RUNS),
    ("Walk", WALK),
    ("Training", TRAINING),
    ("Gradients", GRADIENTS),
    ("Curvature", CURVATURE),
    ("Lines", LINES),
    ("Statistics", STATISTICS),
];

const RUNS: &[Term] = &[
    term("run", "One training run, stored in its own folder."),
    term("setting", "Runs that differ only in their seeds."),
    term("seeds", "The number of runs that a row averages over, one per seed."),
    term("network", "The name of the architecture's plugin."),
    term(
        "epoch",
        "A pass over the training samples, counted from 1; for gradient descent, the range of updates grouped together.",
    ),
    term("step", "The number of updates since the start of training after which a measurement was made."),
    term("update", "One step of the optimizer, from θ_t to θ_{t+1}."),
    term("B", "The number of samples in a batch."),
    term("lr", "The learning rate η of the update; of several, the median."),
    term("measurements", "The number of measurements that the probe made in the epoch."),
];

const WALK: &[Term] = &[
    term(
        "barriers / updates",
        "The number of updates that crossed a barrier, out of those measured; in parentheses, if the noise is known, the number of barriers that exceed it. An update crosses a barrier if the loss at some point between θ_t and θ_{t+1} is higher than at both ends.",
    ),
    term(
        "undecided (not finite)",
        "Updates for which non-finite losses leave it undecided whether they crossed a barrier.",
    ),
    term("raw", "Barriers found, regardless of height."),
    term(
        "expected from noise",
        "The number of barriers that the noise of the loss alone would be expected to produce on these curves, ± the standard deviation of the difference between it and the number found.",
    ),
    term(
        "significant at 5%",
        "Barriers that noise does not explain, by a test that finds any in an entire epoch of flat curves with a probability of 5%.",
    ),
    term(
        "detectable at 95% power",
        "The height of a barrier that the test detects with a probability of 95%.",
    ),
    term("highest", "The height of the highest barrier: its loss minus that of the higher endpoint."),
    term("highest barrier", "The height of the highest barrier: its loss minus that of the higher endpoint."),
    term("updates", "Updates whose segments were measured."),
    term(
        "expected barriers",
        "Barriers that the authors' evaluation, augmented and reshuffled for each loss, would be expected to show on these curves.",
    ),
    term(
        "loss, first to last",
        "The training loss before the first and after the last measured update of the epoch.",
    ),
    term(
        "median depth",
        "The median over updates of the valley's depth: the mean loss of the two endpoints minus the lowest loss between them.",
    ),
    term(
        "median α of the floor",
        "The median position of the lowest loss along the update: 0 at its start, 1 at its end.",
    ),
    term(
        "floor up",
        "Pairs of consecutive updates between which the valley floor, the lowest loss along each update, rose.",
    ),
    term("floor down", "Pairs of consecutive updates between which the valley floor fell."),
    term(
        "moves not significant",
        "Moves of the valley floor, up or down, that may be explained by its error.",
    ),
    term("moves with unknown error", "Moves of the valley floor whose error is not known."),
    term(
        "moved over a barrier",
        "Pairs of consecutive updates between which the floor rose although both floors lie inside their segments: every path from the first floor to the second rises.",
    ),
    term(
        "beyond the floor",
        "Updates that landed on the opposite wall of the valley, past the minimum of the parabola through their losses.",
    ),
    term("valley floor", "The lowest loss along each update."),
    term("decided early", "Segments whose verdict required only part of the samples."),
    term(
        "audited and agreed",
        "The number of early verdicts that were correct, out of those checked on all samples: the first of each epoch, and those selected at random.",
    ),
    term("selected at random", "The same for the audits that were selected at random."),
    term(
        "error rate at most (95%)",
        "The upper 95% confidence bound on the share of wrong verdicts among the early ones, from the audits selected at random (Clopper and Pearson).",
    ),
    term(
        "fewer evaluations",
        "The factor by which fewer samples were evaluated than in exact mode, not counting audits.",
    ),
    term(
        "audit cost",
        "The number of samples evaluated for audits, as a share of those evaluated for verdicts.",
    ),
];

const TRAINING: &[Term] = &[
    term(
        "training loss",
        "The mean loss of the epoch's batches, each at the parameters before its own update; along updates, the loss on all training samples.",
    ),
    term("validation loss", "The mean loss of the validation samples at the end of the epoch."),
    term(
        "training accuracy",
        "The share of samples in the epoch's batches classified correctly, each at the parameters before its own update.",
    ),
    term(
        "validation accuracy",
        "The share of validation samples classified correctly at the end of the epoch.",
    ),
    term("‖θ − θ₀‖", "The distance of the parameters from where training started."),
    term("distance from the other run", "The distance of the parameters from a point of another run."),
    term(
        "cosine with the other run",
        "The cosine of the angle between the displacements of this run and of the other point from this run's initial parameters.",
    ),
    term(
        "loss change",
        "The change of the training loss by an update, on the same samples before and after.",
    ),
    term("quadratic prediction", "The change of a quadratic loss, ḡ·δ + ½ δᵀHδ for the update δ."),
    term("ḡ·δ", "The inner product of the full gradient and the update δ."),
    term(
        "½ δᵀHδ",
        "The quadratic part of the prediction: half the curvature along the update δ, times ‖δ‖².",
    ),
    term("rises", "The number of updates that raised the training loss."),
    term(
        "b in a + b ln t",
        "The slope of the least-squares fit of a + b ln t to the distances after t updates.",
    ),
];

const GRADIENTS: &[Term] = &[
    term(
        "mean cosine",
        "The mean cosine of the angle between the gradients of consecutive updates, each at its own θ and on its own batch (paper, Eq. 5).",
    ),
    term("negative", "The number of pairs of consecutive gradients whose cosine is below 0."),
    term(
        "gᵀHg / gᵀg",
        "The mean over batches of the Rayleigh quotient of the Hessian along the batch's gradient (paper, Eq. 4).",
    ),
    term("std. dev. over batches", "The standard deviation of gᵀHg / gᵀg over batches."),
    term(
        "ratio of means",
        "The mean of gᵀHg over batches divided by the mean of gᵀg; with each batch's own Hessian, the batch sharpness.",
    ),
    term(
        "Eq. 3 prediction",
        "The ratio of means that follows from the covariance of per-sample gradients (paper, Eq. 3).",
    ),
    term("batches", "The number of batches drawn."),
    term("samples of H", "The number of samples used to compute the Hessian."),
    term("tr C", "The trace of the covariance of per-sample gradients."),
    term("‖ḡ‖²", "The squared norm of the full gradient."),
    term("from", "Where a line starts, or what an estimate is based on."),
    term(
        "units",
        "What the covariance was estimated from: single samples, or chunks if batch norm couples the samples.",
    ),
    term(
        "E‖g_B − ḡ‖²",
        "The mean squared distance between batch gradients and the full gradient, as measured.",
    ),
    term(
        "tr C / ‖ḡ‖²",
        "The simple gradient noise scale: the batch size below which the noise of a batch's gradient outweighs the gradient (McCandlish et al., 2018). If only part of the samples is used, ‖ḡ‖² is corrected for its upward bias.",
    ),
    term("(1/B − 1/N) tr C", "The same distance, as predicted by Eq. 3 from the covariance."),
    term("ratio", "The measured distance divided by the predicted one; 1 if Eq. 3 holds."),
];

const CURVATURE: &[Term] = &[
    term(
        "matrix",
        "The matrix: the Hessian of the training loss, its Gauss-Newton part, the empirical Fisher matrix, or Adam's preconditioned Hessian; of all parameters, or the diagonal block of those whose names match the pattern.",
    ),
    term("eigenvalues, largest", "The largest eigenvalues of the matrix."),
    term(
        "uᵀCu",
        "The variance of per-sample gradients along each of the top eigenvectors u; for the preconditioned Hessian, of gradients multiplied by P^-1/2.",
    ),
    term("λ₁", "The largest eigenvalue; that of the Hessian of the training loss is also called sharpness."),
    term(
        "largest residual",
        "The largest of the eigenpairs' residuals ‖Hv − λv‖: there is an eigenvalue within this distance of λ.",
    ),
    term(
        "found",
        "The number of requested eigenvalues that were found, and whether it was verified that none is missing.",
    ),
    term(
        "std. dev. over subsets",
        "The standard deviation of the eigenvalues over disjoint subsets of the samples.",
    ),
    term("subsets", "The number of disjoint subsets that the eigenvalues were measured on."),
    term("smallest", "The smallest Ritz value, an upper bound on the smallest eigenvalue."),
    term("residual of smallest", "The residual of the smallest Ritz value."),
    term(
        "share of ‖g‖²",
        "The share of the full gradient's squared norm in the span of the top eigenvectors.",
    ),
    term("trace", "The trace of the matrix, estimated with random vectors."),
    term("products", "The number of matrix-vector products used by the measurement."),
    term(
        "stable below",
        "The largest curvature at which full-batch training with these hyperparameters is stable; 2/η without momentum and weight decay, 38/η for the preconditioned Hessian with Adam's usual β₁.",
    ),
    term(
        "small-batch plateau",
        "The value at which batch sharpness was observed to settle for small batch sizes; an empirical finding, not a bound.",
    ),
    term(
        "crossings",
        "Updates for which the loss along the line returned to its starting value within the search range.",
    ),
    term("no descent", "Updates along which the loss does not decrease initially."),
    term(
        "no crossing",
        "Updates for which the loss along the line stayed below its starting value within the search range.",
    ),
    term(
        "median critical lr",
        "The median of the learning rates at which an update would bring the loss back to its starting value.",
    ),
    term(
        "median 2 / critical lr",
        "The median of the critical sharpness, 2 divided by the critical learning rate.",
    ),
    term("lr above critical", "The number of updates whose learning rate was above the critical one."),
];

const LINES: &[Term] = &[
    term("length", "The length of the line, ‖θ_1 − θ_0‖ between its endpoints."),
    term("loss, ends", "The loss at the two endpoints of the line."),
    term("error, ends", "The share of samples misclassified at the two endpoints of the line."),
    term("loss barrier", "The largest loss along the line minus the mean of the losses at its ends."),
    term("error barrier", "The largest error rate along the line minus the mean of those at its ends."),
    term(
        "split after",
        "The number of updates after which the twin split from the run; since then, it was trained on different batches.",
    ),
    term("distance of twins", "The distance between the run and its twin."),
    term(
        "cosine of displacements",
        "The cosine of the angle between the displacements of run and twin from the point where they split.",
    ),
    term("monotone", "Whether the loss never rises along the line."),
];

const STATISTICS: &[Term] = &[
    term(
        "±",
        "The standard error of an estimate, also of the means over seeds in the table of claims; in other tables over seeds, the standard deviation over seeds.",
    ),
    term(
        "noise",
        "The standard deviation of the loss at one point over repeated evaluations, by sample if it is known.",
    ),
    term("std. dev.", "The standard deviation."),
    term(
        "std. dev. by sample",
        "The standard deviation of the loss, estimated from how much the losses of each sample differ between evaluations that crop and flip it anew.",
    ),
    term("degrees of freedom by sample", "The degrees of freedom of the standard deviation by sample."),
    term("evaluations", "The number of evaluations from which the noise was computed."),
    term("loss", "The mean loss of the samples at the point."),
    term(
        "data",
        "What losses are evaluated on: fixed samples, samples augmented once per epoch, or samples drawn as by the paper's authors.",
    ),
    term("f32 − f64, mean", "The mean difference between the loss in single and in double precision."),
    term("f32 − f64, std. dev.", "The standard deviation of that difference."),
    term("samples", "The number of samples used, and out of how many, if not all were used."),
    term("claim", "A claim of the paper or of another publication, and what it was tested on."),
    term("where", "The table or figure of the paper, or the experiment of another publication."),
    term("measured", "The measured result."),
    term("statistic", "The test and its uncertainty."),
    term("verdict", "Whether the claim holds, does not hold, is undecided, or was not measured."),
    term("quantity", "A final result, at the last epoch that all runs measured."),
    term("difference", "The second mean minus the first."),
    term("t", "Welch's t statistic of the difference."),
    term("degrees of freedom", "The degrees of freedom of Welch's t (Satterthwaite)."),
    term("p (Welch)", "The two-sided p-value of Welch's test, uncorrected for multiple comparisons."),
    term("p (Holm)", "The p-value corrected for the number of comparisons in the table (Holm)."),
];

/// What a term means, if it is in the glossary.
pub fn meaning(name: &str) -> Option<&'static str> {
    let terms = GLOSSARY.iter().flat_map(|(_, terms)| *terms);
    terms.into_iter().find(|term| term.name == name).map(|term| term.meaning)
}

/// The glossary as a document in Markdown.
pub fn glossary_markdown() -> String {
    let mut text =
        "# Glossary\n\nWhat the terms in tables and figures mean. `sgdwalk glossary` prints this page.\n"
            .to_owned();
    for (title, terms) in GLOSSARY {
        let _ = write!(text, "\n## {title}\n\n");
        for Term { name, meaning } in *terms {
            let _ = writeln!(text, "- **{name}**: {meaning}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_is_there_once() {
        let names: Vec<&str> = GLOSSARY.iter().flat_map(|(_, terms)| *terms).map(|term| term.name).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name} twice");
        }
        assert!(meaning("raw").unwrap().starts_with("Barriers found") && meaning("nonsense").is_none());
    }
}
