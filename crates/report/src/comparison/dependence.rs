//! How final results depend on a swept number, such as the learning rate or the batch size.

use super::endpoints::endpoints;
use super::setting::Comparison;
use super::tables::RunTables;
use crate::chart::{Chart, Series};
use crate::figure::{Figure, columns, file_name};
use crate::statistics::{deviation, mean};
use crate::table::short;

impl Comparison<'_> {
    /// For each key with numeric values and each table's first number: its mean over seeds with a band of one standard
    /// deviation versus the key, with one line for each combination of the other keys.
    pub(crate) fn dependence(&self, own: &RunTables) -> Vec<Figure> {
        let mut endpoints = endpoints(own);
        endpoints.retain(|endpoint| endpoint.leads);
        let mut figures = vec![];
        for (index, key) in self.keys.iter().enumerate() {
            let number = |setting: usize| self.settings[setting].values[index].parse::<f64>().ok();
            let numbers: Option<Vec<f64>> = (0..self.settings.len()).map(number).collect();
            let Some(numbers) = numbers else { continue };
            for (place, endpoint) in endpoints.iter().enumerate() {
                let title = format!("At epoch {}: {} versus {}", endpoint.epoch, endpoint.title, key.title);
                let mut chart = Chart::new(title, &key.title, &endpoint.quantity);
                if endpoint.is_share {
                    let largest = endpoint.values.iter().flatten().copied().fold(0.0, f64::max);
                    (chart.y.min, chart.y.max) = (Some(0.0), Some((1.5 * largest).clamp(0.01, 1.0)));
                }
                chart.x.log = numbers.iter().all(|&number| number > 0.0) && is_wide(&numbers);
                let mut rows = vec![];
                for (line, members) in self.lines(index).into_iter().enumerate() {
                    let label = self.line_label(index, members[0]);
                    let mut series = Series { dots: true, name: label, number: line, ..Series::default() };
                    for member in members {
                        let values = &endpoint.values[member];
                        let Some(value) = mean(values).get() else { continue };
                        let reach = deviation(values);
                        let own = self.settings[member].cells();
                        rows.push(own.chain([short(value), short(reach), values.len().into()]).collect());
                        series.points.push((numbers[member], value));
                        let reach = reach.get().unwrap_or(0.0);
                        series.band.push((value - reach, value + reach));
                    }
                    chart.series.push(series);
                }
                if self.is_joined() {
                    chart.note = "band: 1 std. dev. over seeds".into();
                }
                let name = file_name(&format!("{}-against-{}", endpoint.key, key.snake));
                // at several batch sizes there are several of one name
                let name = match endpoints[..place].iter().filter(|other| other.key == endpoint.key).count() {
                    0 => name,
                    earlier => format!("{name}-{}", earlier + 1),
                };
                let columns = self.names().into_iter().chain(columns(["mean", "std", "n"]));
                figures.push(Figure::new(name, chart, columns, rows));
            }
        }
        figures
    }

    /// The settings that differ only in one key, ordered by its values.
    fn lines(&self, key: usize) -> Vec<Vec<usize>> {
        let others = |setting: usize| {
            let mut values = self.settings[setting].values.clone();
            values.remove(key);
            values
        };
        let mut lines: Vec<Vec<usize>> = vec![];
        for setting in 0..self.settings.len() {
            match lines.iter_mut().find(|line| others(line[0]) == others(setting)) {
                Some(line) => line.push(setting),
                None => lines.push(vec![setting]),
            }
        }
        lines.retain(|line| line.len() > 1);
        lines
    }

    /// The values of the other keys on a line.
    fn line_label(&self, key: usize, setting: usize) -> Option<String> {
        let pairs = self.keys.iter().zip(&self.settings[setting].values).enumerate();
        let pairs = pairs.filter(|(index, _)| *index != key);
        let pairs: Vec<String> = pairs.map(|(_, (key, value))| key.with(value)).collect();
        (!pairs.is_empty()).then(|| pairs.join(", "))
    }
}

/// Whether the range of the numbers requires a logarithmic axis.
fn is_wide(numbers: &[f64]) -> bool {
    let (low, high) =
        (numbers.iter().copied().fold(f64::MAX, f64::min), numbers.iter().copied().fold(0.0, f64::max));
    high >= 5.0 * low
}

#[cfg(test)]
mod tests {
    use walk_record::Run;

    use super::*;
    use crate::fixture::swept;
    use crate::table::{Table, place, result};

    #[test]
    fn a_line_shows_each_combination_of_the_other_keys() {
        let runs = swept(&[
            &[("optim.lr", "0.1"), ("optim.batch_size", "10")],
            &[("optim.lr", "1.0"), ("optim.batch_size", "10")],
            &[("optim.lr", "0.1"), ("optim.batch_size", "20")],
            &[("optim.lr", "1.0"), ("optim.batch_size", "20")],
        ]);
        let of_run = |run: &Run| {
            let number = |key: &str| run.value(key).unwrap().to_string().parse::<f64>().unwrap();
            let row = vec![1.into(), short(number("optim.lr") * number("optim.batch_size"))];
            vec![Table::new("t", "T", [place("epoch", "epoch"), result("x", "x")], [row])]
        };
        let comparison = Comparison::new(&runs);
        let figures = comparison.dependence(&comparison.by_setting(of_run));
        let names: Vec<&str> = figures.iter().map(Figure::name).collect();
        assert_eq!(names, ["t-x-against-optim_lr", "t-x-against-optim_batch_size"]);
        assert_eq!((figures[0].chart.x.log, figures[1].chart.x.log), (true, false));
        let series = &figures[0].chart.series[1];
        assert_eq!(
            (series.name.as_deref(), &series.points[..]),
            (Some("B = 20"), &[(0.1, 2.0), (1.0, 20.0)][..])
        );
    }
    #[test]
    fn the_label_is_the_quantity_and_the_title_says_where() {
        let runs = swept(&[&[("optim.lr", "0.1")], &[("optim.lr", "1.0")]]);
        let of_run = |_: &Run| {
            let columns = [place("epoch", "epoch"), place("matrix", "matrix"), result("x", "eigenvalue")];
            vec![Table::new("t", "T", columns, [vec![1.into(), "Hessian".into(), short(2.0)]])]
        };
        let comparison = Comparison::new(&runs);
        let chart = &comparison.dependence(&comparison.by_setting(of_run))[0].chart;
        assert_eq!(
            (chart.title.as_str(), chart.y.label.as_str()),
            ("At epoch 1: eigenvalue, matrix = Hessian versus lr", "eigenvalue")
        );
    }
}
