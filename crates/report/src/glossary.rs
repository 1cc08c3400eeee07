//! What the terms of tables and figures mean: the one place that the report's page, `sgdwalk glossary` and docs/GLOSSARY.md take
//! them from.

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

/// The terms by what they are about.
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
    term("run", "One training run, in a folder of its own."),
    term("setting", "Runs that differ by their seeds alone."),
    term("seeds", "The number of runs, one for each seed, that a row averages."),
    term("network", "The architecture, by the name of its plugin."),
    term(
        "epoch",
        "A pass over the training samples, counted from 1; of gradient descent, the range of updates taken together.",
    ),
    term("step", "The number of updates since the start of training, after which something was measured."),
    term("update", "One step of the optimizer, from θ_t to θ_{t+1}."),
    term("B", "The number of samples in a batch."),
    term("lr", "The learning rate η of the update."),
    term("measurements", "How often the probe measured in the epoch."),
];

const WALK: &[Term] = &[
    term(
        "barriers / updates",
        "Updates that crossed a barrier, of those measured; in parentheses, where the noise is known, the barriers that exceed it. An update crosses a barrier if the loss at some point between θ_t and θ_{t+1} is higher than at both ends.",
    ),
    term(
        "undecided (not finite)",
        "Updates of which losses that are not finite leave open whether they crossed a barrier.",
    ),
    term("raw", "Barriers found, whatever their heights."),
    term(
        "expected from noise",
        "Barriers that the noise of the loss alone would be expected to give on these curves, and the standard deviation of the difference between the number found and this one.",
    ),
    term(
        "significant at 5%",
        "Barriers that noise does not explain, by a test that finds any in a whole epoch of flat curves with a probability of 5%.",
    ),
    term("95% power at", "The height of a barrier that the test detects with a probability of 95%."),
    term("highest", "The height of the highest barrier: its loss less that of the higher end."),
    term("highest barrier", "The height of the highest barrier: its loss less that of the higher end."),
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
        "The median over updates of the valley's depth: the mean loss of the two ends less the lowest loss between them.",
    ),
    term(
        "median α of the floor",
        "The median position of the lowest loss along the update: 0 before it, 1 after it.",
    ),
    term("floor up", "Pairs of consecutive updates whose valley floor, the lowest loss of each, rose."),
    term("floor down", "Pairs of consecutive updates whose valley floor fell."),
    term("moves not significant", "Moves of the valley floor, up or down, that its error may explain."),
    term("moves without error", "Moves of the valley floor whose error is not known."),
    term(
        "moved over a barrier",
        "Pairs of consecutive updates whose floor rose although both floors lie inside their segments: every path from the first to the second rises.",
    ),
    term(
        "beyond the floor",
        "Updates that landed on the opposite wall of the valley, past the minimum of the parabola through their losses.",
    ),
    term("valley floor", "The lowest loss along each update."),
    term("decided early", "Segments whose verdict took only part of the samples."),
    term(
        "audited and agreed",
        "Of the verdicts from part of the samples that were checked on all of them, those that were right.",
    ),
    term(
        "wrong at most (95%)",
        "The upper 95% bound of the share of wrong verdicts among those from part of the samples (Clopper and Pearson).",
    ),
    term(
        "fewer evaluations",
        "How many times fewer samples were evaluated than exact mode would have evaluated, audits left out.",
    ),
    term("audit cost", "Samples evaluated for audits, as a share of those evaluated for verdicts."),
];

const TRAINING: &[Term] = &[
    term(
        "training loss",
        "The mean loss of the epoch's batches, each at the θ of its own update; along updates, the loss on all training samples.",
    ),
    term("validation loss", "The mean loss of the validation samples at the end of the epoch."),
    term(
        "training accuracy",
        "The share of the samples of the epoch's batches classified correctly, each at the parameters of its own update.",
    ),
    term(
        "validation accuracy",
        "The share of validation samples classified correctly at the end of the epoch.",
    ),
    term("‖θ − θ₀‖", "The distance of the parameters from where training started."),
    term(
        "b of a + b ln t",
        "The slope of the least-squares fit of a + b ln t to the distances after t updates.",
    ),
];

const GRADIENTS: &[Term] = &[
    term(
        "mean cosine",
        "The mean cosine of the angle between the gradients of consecutive updates, each at its own θ and on its own batch (paper, Eq. 5).",
    ),
    term("negative", "Pairs of consecutive gradients whose cosine is below 0."),
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
        "by Eq. 3",
        "The ratio of means that follows from the covariance of per-sample gradients (paper, Eq. 3).",
    ),
    term("batches", "The number of batches drawn."),
    term("samples of H", "The samples behind the Hessian."),
    term("tr C", "The trace of the covariance of per-sample gradients."),
    term("‖ḡ‖²", "The squared norm of the full gradient."),
    term("from", "Where a line starts, or what an estimate was made from."),
    term(
        "units",
        "What the covariance was estimated from: single samples, or chunks where batch norm ties samples together.",
    ),
    term(
        "E‖g_B − ḡ‖²",
        "The mean squared distance between batch gradients and the full gradient, as measured.",
    ),
    term("(1/B − 1/N) tr C", "The same distance as Eq. 3 predicts it from the covariance."),
    term("ratio", "The measured distance divided by the predicted one; 1 if Eq. 3 holds."),
];

const CURVATURE: &[Term] = &[
    term("eigenvalues, largest", "The largest eigenvalues of the Hessian of the training loss."),
    term("λ₁", "The largest eigenvalue of the Hessian of the training loss, the sharpness."),
    term(
        "largest residual",
        "The largest of the eigenpairs' residuals ‖Hv − λv‖: an eigenvalue lies that near to λ.",
    ),
    term(
        "found",
        "How many of the eigenvalues asked for were found, and whether it was verified that none is missing.",
    ),
    term(
        "std. dev. over subsets",
        "The standard deviation of the eigenvalues over disjoint subsets of the samples.",
    ),
    term("subsets", "The number of disjoint subsets that the eigenvalues were measured on."),
    term("smallest", "The smallest Ritz value, an upper bound of the smallest eigenvalue."),
    term("its residual", "The residual of the smallest Ritz value."),
    term(
        "share of ‖g‖²",
        "The share of the full gradient's squared norm in the span of the largest eigenvalues' eigenvectors.",
    ),
    term("trace", "The trace of the Hessian, estimated with random vectors."),
    term("products", "Hessian-vector products that the measurement took."),
    term(
        "stable below",
        "The largest curvature at which gradient descent with these constants is stable; 2/η without momentum and weight decay.",
    ),
    term(
        "small-batch plateau",
        "Where the batch sharpness was seen to settle at small batch sizes; an observation, not a bound.",
    ),
    term(
        "crossings",
        "Updates along whose line the loss came back to where it started within the range searched.",
    ),
    term("no descent", "Updates along which the loss does not fall at first."),
    term(
        "no crossing",
        "Updates along whose line the loss stayed below its start within the range searched.",
    ),
    term(
        "median critical lr",
        "The median of the learning rates at which an update would bring the loss back to where it started.",
    ),
    term(
        "median 2 / critical lr",
        "The median of the critical sharpness, 2 divided by the critical learning rate.",
    ),
    term("lr above it", "Updates whose learning rate was above the critical one."),
];

const LINES: &[Term] = &[
    term("length", "The length of the line, ‖θ_1 − θ_0‖ of its ends."),
    term("loss, ends", "The loss at the two ends of the line."),
    term("error, ends", "The share of samples classified wrongly at the two ends of the line."),
    term("loss barrier", "How far the loss rises above the straight line between its ends, at most."),
    term("error barrier", "How far the error rises above the straight line between its ends, at most."),
    term("monotone", "Whether the loss never rises along the line."),
];

const STATISTICS: &[Term] = &[
    term("±", "The standard error of an estimate; in tables over seeds, the standard deviation over seeds."),
    term("noise", "The standard deviation of the loss at one point over repeated evaluations."),
    term("std. dev.", "The standard deviation."),
    term("evaluations", "The number of evaluations behind the noise."),
    term("loss", "The mean loss of the samples at the point."),
    term("data", "How samples are evaluated: fixed, augmented once an epoch, or as the paper's authors did."),
    term("f32 − f64, mean", "The mean difference between the loss in single and in double precision."),
    term("f32 − f64, std. dev.", "The standard deviation of that difference."),
    term("samples", "The samples that were used, of all if not all were."),
    term("claim", "A claim of the paper, and what it was tested on."),
    term("where", "The table or figure of the paper."),
    term("measured", "What was found."),
    term("statistic", "The test and its uncertainty."),
    term("verdict", "Whether the claim holds, does not hold, is undecided, or was not measured."),
    term("quantity", "What runs end with, at the last epoch that all of them measured."),
    term("difference", "The second mean less the first."),
    term("t", "Welch's t of the difference."),
    term("degrees of freedom", "Satterthwaite's degrees of freedom of Welch's t."),
    term("p (Welch)", "The two-sided p-value of Welch's test, of one comparison alone."),
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
