//! Figures of single runs: the first run of each setting, if there are few settings.

use walk_record::Run;

use super::grouping::text;
use super::setting::Comparison;
use crate::figure::{Figure, file_name};

/// Maximum number of settings for which such figures are made.
const MAX_PANELS: usize = 6;

impl Comparison<'_> {
    /// The figures that `of_run` makes of the first run of each setting, under distinct names.
    pub(crate) fn figures_of_runs(&self, of_run: impl Fn(&Run) -> Vec<Figure>) -> Vec<Figure> {
        if self.settings.len() > MAX_PANELS {
            return vec![];
        }
        let of_setting = |index: usize| {
            let setting = &self.settings[index];
            let run = setting.runs[0];
            let mut figures = of_run(run);
            for figure in figures.iter_mut().filter(|_| self.runs.len() > 1) {
                let seed = (setting.runs.len() > 1).then(|| format!("seed {}", text(run, "seed")));
                let labels = (self.settings.len() > 1).then(|| setting.label.clone()).into_iter().chain(seed);
                let label = labels.collect::<Vec<String>>().join(", ");
                figure.data.name = format!("{}-{}", figure.data.name, self.own_name(index));
                figure.chart.prepend_note(&label);
            }
            figures
        };
        (0..self.settings.len()).flat_map(of_setting).collect()
    }

    /// The setting's label as part of a file name; labels that differ only in unusual characters are numbered.
    fn own_name(&self, index: usize) -> String {
        let name =
            |index: usize| file_name(&self.settings[index].label.replace(" = ", "=").replace(", ", ","));
        match (0..index).filter(|&other| name(other) == name(index)).count() {
            0 => name(index),
            earlier => format!("{}-{}", name(index), earlier + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Chart;
    use crate::fixture;

    #[test]
    fn figures_of_runs_whose_labels_look_alike_have_names_of_their_own() {
        let figure = |_: &Run| vec![Figure::new("x", Chart::default(), [], [])];
        let names = |labels: &[&str]| -> Vec<String> {
            let runs: Vec<Run> = labels.iter().map(|label| fixture::run(label, [])).collect();
            Comparison::apart(&runs)
                .figures_of_runs(figure)
                .iter()
                .map(|figure| figure.name().to_owned())
                .collect()
        };
        assert_eq!(names(&["a/run", "a_run", "b"]), ["x-a_run", "x-a_run-2", "x-b"]);
        assert_eq!(names(&["a/run"]), ["x"]);
    }
}
