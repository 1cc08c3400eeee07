//! Whether settings differ by more than the spread over seeds.

use super::endpoints::endpoints;
use super::setting::Comparison;
use super::tables::{RunTables, spread};
use crate::statistics::{holm, welch};
use crate::table::{Cell, Column, Role, Table, detail, main, name, short};

/// Minimum number of seeds per setting for a test.
const MIN_SEEDS: usize = 3;

impl Comparison<'_> {
    /// For each final result and each pair of settings with at least three seeds: the means and standard deviations
    /// over seeds, the difference, and Welch's test of it, with the p-values of all rows corrected together (Holm, 1979).
    pub(crate) fn differences(&self, own: &RunTables) -> Option<Table> {
        let mut rows = vec![];
        let mut p_values = vec![];
        let endpoints = endpoints(own);
        let epoch = endpoints.first().map_or(0, |endpoint| endpoint.epoch);
        let is_one_epoch = endpoints.iter().all(|endpoint| endpoint.epoch == epoch);
        for endpoint in endpoints {
            let at = if is_one_epoch { String::new() } else { format!(", epoch {}", endpoint.epoch) };
            let title = format!("{}{at}", endpoint.title);
            for (first, a) in endpoint.values.iter().enumerate() {
                for (second, b) in endpoint.values.iter().enumerate().skip(first + 1) {
                    if a.len().min(b.len()) < MIN_SEEDS {
                        continue;
                    }
                    let Some(test) = welch(a, b) else { continue };
                    let label = |index: usize| Cell::from(self.settings[index].label.as_str());
                    rows.push(vec![
                        title.as_str().into(),
                        label(first),
                        label(second),
                        spread(a, a.len(), None),
                        spread(b, b.len(), None),
                        Cell::Missing,
                        short(test.difference),
                        short(test.t),
                        short(test.freedom),
                        short(test.p),
                    ]);
                    p_values.push(test.p);
                }
            }
        }
        if rows.is_empty() {
            return None;
        }
        for (row, p) in rows.iter_mut().zip(holm(&p_values)) {
            row[5] = short(p);
        }
        // with two settings, the titles name them
        let is_pair = self.settings.len() == 2;
        let setting = |key| Column::new(key, key, if is_pair { Role::Remark } else { Role::Name });
        let mean = |key, setting: usize, letter: &str| {
            let title =
                if is_pair { self.settings[setting].label.clone() } else { format!("{letter}: mean") };
            Column::new(key, title, Role::Main)
        };
        let columns = [
            name("quantity", "quantity"),
            setting("a"),
            setting("b"),
            mean("mean_a", 0, "a"),
            mean("mean_b", 1, "b"),
            main("p_holm", "p (Holm)"),
            detail("difference", if is_pair { "difference" } else { "b − a" }),
            detail("t", "t"),
            detail("freedom", "degrees of freedom"),
            detail("p", "p (Welch)"),
        ];
        let at = if is_one_epoch { format!(" at epoch {epoch}") } else { String::new() };
        let title = format!("Differences between settings{at} (mean ± std. dev. over seeds, Welch's test)");
        Some(Table::new("differences", title, columns, rows))
    }
}

#[cfg(test)]
mod tests {
    use walk_record::Run;

    use super::*;
    use crate::fixture::swept;
    use crate::table::{place, result};

    #[test]
    fn settings_with_three_seeds_are_compared() {
        let runs = swept(&[
            &[("optim.lr", "0.1"), ("seed", "1")],
            &[("optim.lr", "0.1"), ("seed", "2")],
            &[("optim.lr", "0.1"), ("seed", "3")],
            &[("optim.lr", "0.2"), ("seed", "1")],
            &[("optim.lr", "0.2"), ("seed", "2")],
            &[("optim.lr", "0.2"), ("seed", "3")],
        ]);
        let of_run = |run: &Run| {
            let number = |key: &str| run.value(key).unwrap().to_string().parse::<f64>().unwrap();
            let value = 100.0 * number("optim.lr") + number("seed");
            let row = |epoch: usize| vec![epoch.into(), short(value * epoch as f64), Cell::Count(0)];
            let columns = [place("epoch", "epoch"), result("x", "x"), result("none", "none")];
            vec![Table::new("t", "T", columns, [row(1), row(2)])]
        };
        let differences = |runs: &[Run]| {
            let comparison = Comparison::new(runs);
            comparison.differences(&comparison.by_setting(of_run))
        };
        let found = differences(&runs).unwrap();
        // 24 and 44 with standard deviations of 2: t = 20 / sqrt(8 / 3) with 4 degrees of freedom; constant values are not tested
        let expected = [
            "x",
            "lr = 0.1",
            "lr = 0.2",
            "24.0 ± 2.0",
            "44.0 ± 2.0",
            "2.55e-4",
            "20.000",
            "12.247",
            "4.000",
            "2.55e-4",
        ];
        assert_eq!(found.texts(), [expected]);
        assert!(found.title.starts_with("Differences between settings at epoch 2 ("), "{}", found.title);
        assert!(differences(&runs[..5]).is_none());
    }
}
