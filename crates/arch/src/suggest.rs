//! Finds the known word nearest to a mistyped one.

/// The similarity of two words by edit distance, from 0 to 1 (equal).
pub fn similarity(a: &str, b: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(a, b)
}

/// The candidate most similar to `word` by edit distance, if at most half of its letters differ.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (similarity(word, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// ", did you mean `widths`?", to append to an error about `word`; empty if no candidate is similar.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or(String::new(), |known| format!(", did you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::{did_you_mean, nearest};

    #[test]
    fn finds_the_mistyped_word_and_nothing_for_a_strange_one() {
        let known = ["widths", "activation", "batch_norm"];
        assert_eq!(nearest("width", known), Some("widths"));
        assert_eq!(nearest("batchnorm", known), Some("batch_norm"));
        assert_eq!(nearest("xyzzy", known), None);
        assert_eq!(nearest("mpl", ["mlp"]), Some("mlp"));
        assert_eq!(did_you_mean("width", known), ", did you mean `widths`?");
        assert_eq!(did_you_mean("xyzzy", known), "");
    }
}
