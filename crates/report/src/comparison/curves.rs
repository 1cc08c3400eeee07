//! Curves of several runs on common axes: a line per setting, with a band where it has several seeds.

use std::collections::BTreeMap;

use walk_record::Run;

use super::setting::{Comparison, Setting};
use crate::chart::{Axis, Chart, Rule, Series, Stroke};
use crate::curve::{Curve, Level};
use crate::distinct::distinct;
use crate::figure::{Figure, columns};
use crate::plural::counted;
use crate::statistics::{deviation, mean};
use crate::table::{Cell, percent, short};

/// Maximum number of points of a line: with more values, means over equal stretches are drawn to keep lines readable.
const MAX_POINTS: usize = 200;

/// A line and how it was made.
#[derive(Clone, Debug)]
struct Line {
    points: Vec<Point>,
    /// Number of curves that it joins.
    curves: usize,
    /// Number of values of which each point shows the mean.
    stretch: usize,
    /// Whether points are marked.
    dots: bool,
    /// The points, by index, before which the line is broken.
    breaks: Vec<usize>,
}

/// A point of a line: its position, and the mean, standard deviation and number of its values.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    x: f64,
    mean: f64,
    /// Missing for a single value.
    deviation: Option<f64>,
    values: usize,
}

/// Consecutive values of which a point shows the mean: those with one number, counted in each connected piece of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stretch {
    piece: usize,
    number: usize,
}

impl Comparison<'_> {
    /// A figure for each name that the runs' curves have.
    pub(crate) fn curves(&self, of_run: impl Fn(&Run) -> Vec<Curve>) -> Vec<Figure> {
        let of_settings = self.by_setting(of_run);
        let drawn = of_settings.iter().flatten().flatten().filter(|curve| !curve.points.is_empty());
        let names = distinct(drawn.map(|curve| curve.name.as_str()));
        names.into_iter().map(|name| self.figure(name, &of_settings)).collect()
    }

    fn figure(&self, name: &str, of_settings: &[Vec<Vec<Curve>>]) -> Figure {
        let named =
            |curves: &'_ Vec<Curve>| curves.iter().filter(|curve| curve.name == name).cloned().collect();
        let of_settings: Vec<Vec<Vec<Curve>>> =
            of_settings.iter().map(|runs| runs.iter().map(named).collect()).collect();
        let all = || of_settings.iter().flatten().flatten();
        let first = all().next().expect("a curve has the name");
        let mut chart = Chart { x: first.x.clone(), y: first.y.clone(), ..Chart::new(&first.title, "", "") };
        let variants = distinct(all().map(|curve| curve.variant.as_str()));
        let line = |runs: &Vec<Vec<Curve>>, variant: &str| {
            let is_this = |curve: &&Curve| curve.variant == variant && !curve.points.is_empty();
            Line::of(&runs.iter().flatten().filter(is_this).collect::<Vec<&Curve>>())
        };
        let lines: Vec<Vec<Line>> = of_settings
            .iter()
            .map(|runs| variants.iter().map(|variant| line(runs, variant)).collect())
            .collect();
        let drawn = || lines.iter().flatten().filter(|line| !line.points.is_empty());
        let seeds = common(drawn().map(|line| line.curves));
        let mut rows = vec![];
        for (number, (setting, of_setting)) in self.settings.iter().zip(&lines).enumerate() {
            for (place, (line, &variant)) in of_setting.iter().zip(&variants).enumerate() {
                rows.extend(line.points.iter().map(|point| self.row(setting, variant, point)));
                if !line.points.is_empty() {
                    // a number of seeds that all lines share is in the note
                    let label = self.legend(setting, if seeds.is_some() { 1 } else { line.curves }, variant);
                    // with one setting, curves differ in color; with several, in line style
                    let (number, stroke) = match (self.settings.len(), variants.len()) {
                        (1, _) => (place, Stroke::InTurn),
                        (_, 1) => (number, Stroke::InTurn),
                        _ => (number, Stroke::nth(place)),
                    };
                    chart.series.push(series(number, label, stroke, line));
                }
            }
        }
        chart.rules = self.rules(&of_settings, chart.largest());
        chart.note = note(drawn().collect::<Vec<&Line>>().as_slice(), seeds);
        if let Some(text) = omitted(&all().map(|curve| curve.omitted).collect::<Vec<f64>>(), &chart.x) {
            chart.append_note(&text);
        }
        chart.by_setting = self.settings.len() > 1;
        let keys = self.names().into_iter().chain(columns(["variant", "x", "mean", "std", "n"]));
        Figure::new(name, chart, keys, rows)
    }

    fn row(&self, setting: &Setting<'_>, variant: &str, point: &Point) -> Vec<Cell> {
        let numbers = [short(point.x), short(point.mean), short(point.deviation)];
        setting.cells().chain([variant.into()]).chain(numbers).chain([point.values.into()]).collect()
    }

    /// The name of a line: none if it is the only one of a single run.
    fn legend(&self, setting: &Setting<'_>, n_runs: usize, variant: &str) -> Option<String> {
        let mut parts = vec![];
        if self.settings.len() > 1 {
            parts.push(setting.label.clone());
        }
        // a batch size may name both
        if !variant.is_empty() && !parts.iter().any(|part| part == variant) {
            parts.push(variant.to_owned());
        }
        if n_runs > 1 {
            parts.push(counted(n_runs, "seed"));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// The levels of the curves: gray if several settings share one, otherwise in the setting's color. Levels far above `largest`
    /// are omitted, since they would flatten the figure.
    fn rules(&self, of_settings: &[Vec<Vec<Curve>>], largest: f64) -> Vec<Rule> {
        let mut found: Vec<(Level, Vec<usize>)> = vec![];
        for (number, runs) in of_settings.iter().enumerate() {
            for level in runs.iter().flatten().flat_map(|curve| &curve.levels) {
                match found.iter_mut().find(|(known, _)| known == level) {
                    Some((_, numbers)) if numbers.contains(&number) => {}
                    Some((_, numbers)) => numbers.push(number),
                    None => found.push((level.clone(), vec![number])),
                }
            }
        }
        let n_settings = of_settings.iter().filter(|runs| runs.iter().flatten().next().is_some()).count();
        let rules = found.into_iter().filter(|(level, _)| level.is_near(largest)).map(|(level, numbers)| {
            let number = (numbers.len() == 1 && n_settings > 1).then(|| numbers[0]);
            let owner = number.map(|number| format!(", {}", self.settings[number].label));
            let text = format!("{}{}", level.label, owner.unwrap_or_default());
            let label = (!level.label.is_empty()).then_some(text);
            Rule { label, number, ..Rule::across(level.at) }
        });
        rules.collect()
    }
}

fn series(number: usize, name: Option<String>, stroke: Stroke, line: &Line) -> Series {
    let Line { points, dots, breaks, .. } = line;
    let band = points.iter().filter(|_| line.has_band()).map(|point| {
        let reach = point.deviation.unwrap_or(0.0);
        (point.mean - reach, point.mean + reach)
    });
    let (band, points) = (band.collect(), points.iter().map(|point| (point.x, point.mean)).collect());
    Series { name, number, points, breaks: breaks.clone(), band, stroke, dots: *dots }
}

/// The number that all are, if they are equal.
fn common(mut numbers: impl Iterator<Item = usize>) -> Option<usize> {
    let first = numbers.next()?;
    numbers.all(|number| number == first).then_some(first)
}

/// What lines and bands are, if `seeds` is the number that all lines join.
fn note(lines: &[&Line], seeds: Option<usize>) -> String {
    let stretches = || lines.iter().map(|line| line.stretch);
    let means = match (stretches().min().unwrap_or(1), stretches().max().unwrap_or(1)) {
        (_, ..=1) => None,
        (least, most) if least == most => Some(format!("means of {most} values")),
        (least, most) => Some(format!("means of {least} to {most} values")),
    };
    let over_seeds = lines.iter().filter(|line| line.has_band()).map(|line| line.curves > 1);
    let seeds = seeds.filter(|&seeds| seeds > 1).map(|seeds| counted(seeds, "seed"));
    let units = match (over_seeds.clone().any(|is| is), over_seeds.clone().all(|is| is)) {
        (true, true) => Some(format!("over {}", seeds.as_deref().unwrap_or("seeds"))),
        (true, false) => Some("over seeds, or of these values for a single seed".into()),
        (false, false) => Some("of these values".into()),
        (false, true) => None,
    };
    let band = match (units, seeds) {
        (Some(units), _) => Some(format!("band: 1 std. dev. {units}")),
        (None, seeds) => seeds,
    };
    means.into_iter().chain(band).collect::<Vec<String>>().join(", ")
}

/// How many values lie beyond the end of the x axis, in one curve or from the fewest to the most of several.
fn omitted(shares: &[f64], x: &Axis) -> Option<String> {
    let most = shares.iter().copied().reduce(f64::max).filter(|&most| most > 0.0)?;
    let [least, most] =
        [shares.iter().copied().fold(most, f64::min), most].map(|share| percent(share, 1).text());
    let shares = if least == most { most } else { format!("{least} to {most}") };
    Some(format!("{shares} beyond {} not shown", x.max?))
}

/// The places, by index, before which a line is broken: after a gap that is wider than `bridged` and more than twice as wide as the
/// gaps beside it.
fn breaks(places: &[f64], bridged: f64) -> Vec<usize> {
    let gaps: Vec<f64> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let is_wide = |&index: &usize| {
        let beside = [index.checked_sub(1), Some(index + 1)].into_iter().flatten();
        let beside: Vec<f64> = beside.filter_map(|index| gaps.get(index).copied()).collect();
        let is_unusual = !beside.is_empty() && beside.iter().all(|other| gaps[index] > 2.0 * other);
        is_unusual && gaps[index] > bridged
    };
    (0..gaps.len()).filter(is_wide).map(|index| index + 1).collect()
}

impl Line {
    fn has_band(&self) -> bool {
        self.points.iter().any(|point| point.deviation.is_some())
    }

    /// The line of one setting: for one curve its values, or means over stretches if there are too many; for several seeds the mean
    /// and the standard deviation at each position that at least two of them have.
    fn of(curves: &[&Curve]) -> Self {
        let mut places: Vec<f64> =
            curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0)).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        let stretch = places.len().div_ceil(MAX_POINTS).max(1);
        let bridged = curves.iter().filter_map(|curve| curve.bridged).reduce(f64::max);
        let starts = bridged.map(|bridged| breaks(&places, bridged)).unwrap_or_default();
        let mut stretches: BTreeMap<Stretch, Vec<Vec<(f64, f64)>>> = BTreeMap::new();
        for (index, curve) in curves.iter().enumerate() {
            for &(x, y) in &curve.points {
                let place = places.partition_point(|&place| place < x);
                let piece = starts.partition_point(|&start| start <= place);
                let start = piece.checked_sub(1).map_or(0, |before| starts[before]);
                let stretch = Stretch { piece, number: (place - start) / stretch };
                let of_seeds = stretches.entry(stretch).or_insert_with(|| vec![vec![]; curves.len()]);
                of_seeds[index].push((x, y));
            }
        }
        let means = |points: &[(f64, f64)]| {
            let mean =
                |number: fn(&(f64, f64)) -> f64| points.iter().map(number).sum::<f64>() / points.len() as f64;
            (mean(|point| point.0), mean(|point| point.1))
        };
        let points = stretches.into_iter().filter_map(|(Stretch { piece, .. }, of_seeds)| {
            let found: Vec<&Vec<(f64, f64)>> = of_seeds.iter().filter(|points| !points.is_empty()).collect();
            // the spread of one curve is over updates, that of several over seeds
            let values: Vec<(f64, f64)> = match found.as_slice() {
                [points] if curves.len() == 1 => (*points).clone(),
                [_] => return None,
                several => several.iter().map(|points| means(points)).collect(),
            };
            let (x, numbers) = (means(&values).0, values.iter().map(|value| value.1).collect::<Vec<f64>>());
            let deviation = deviation(&numbers).get();
            let point = Point { x, mean: mean(&numbers).get()?, deviation, values: numbers.len() };
            Some((piece, point))
        });
        let (pieces, points): (Vec<usize>, Vec<Point>) = points.unzip();
        let breaks = (1..pieces.len()).filter(|&index| pieces[index] != pieces[index - 1]).collect();
        let dots = curves.first().is_some_and(|curve| curve.dots);
        Self { points, curves: curves.len(), stretch, dots, breaks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::swept;

    fn curve(points: Vec<(f64, f64)>) -> Curve {
        Curve { points, ..Curve::new("f", "F", "step", "f") }
    }

    #[test]
    fn a_long_curve_is_thinned_and_shows_how_its_values_spread() {
        let long = curve((1..=401).map(|step| (f64::from(step), f64::from(step % 2))).collect());
        let Line { points, .. } = Line::of(&[&long]);
        assert_eq!((points.len(), points[0].x, points[133].x), (134, 2.0, 400.5));
        let note = Comparison::new(&swept(&[&[]])).curves(|_| vec![long.clone()])[0].chart.note.clone();
        assert_eq!(note, "means of 3 values, band: 1 std. dev. of these values");
        // 1, 0, 1
        assert!((points[0].deviation.unwrap() - (1.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!(Line::of(&[]).points.is_empty());
    }

    #[test]
    fn a_line_is_broken_where_epochs_were_not_measured() {
        let steps = (1..=300).chain(701..=1000).map(|step| (f64::from(step), 1.0));
        let dense = Curve { bridged: Some(100.0), ..curve(steps.collect()) };
        let line = Line::of(&[&dense]);
        // no point is the mean of values on both sides
        assert_eq!((line.stretch, line.points[99].x, line.points[100].x), (3, 299.0, 702.0));
        assert_eq!(line.breaks, [100]);
        let figure = &Comparison::new(&swept(&[&[]])).curves(|_| vec![dense.clone()])[0];
        assert_eq!(figure.chart.series[0].pieces(), [0..100, 100..200]);
        let never = Curve { bridged: None, ..dense.clone() };
        assert!(Line::of(&[&never]).breaks.is_empty());
    }

    #[test]
    fn evenly_sparse_measurements_are_connected() {
        assert_eq!(breaks(&[1.0, 1001.0, 2001.0, 3001.0], 70.0), [0usize; 0]);
        assert_eq!(breaks(&[1.0, 2.0, 1001.0, 1002.0, 1050.0, 1051.0], 70.0), [2]);
        assert_eq!(breaks(&[1.0, 1001.0], 70.0), [0usize; 0]);
    }

    #[test]
    fn values_beyond_the_axis_are_in_the_note() {
        let x = Axis { max: Some(3.0), ..Axis::default() };
        assert_eq!(omitted(&[0.0, 0.0], &x), None);
        assert_eq!(omitted(&[0.091, 0.091], &x).as_deref(), Some("9.1% beyond 3 not shown"));
        assert_eq!(omitted(&[0.091, 0.0], &x).as_deref(), Some("0.0% to 9.1% beyond 3 not shown"));
    }

    #[test]
    fn seeds_of_a_setting_are_one_line_with_a_band() {
        let runs = swept(&[
            &[("optim.lr", "0.1"), ("seed", "1")],
            &[("optim.lr", "0.1"), ("seed", "2")],
            &[("optim.lr", "0.2"), ("seed", "1")],
        ]);
        let of_run = |run: &Run| {
            let number = |key| run.value(key).unwrap().to_string().parse::<f64>().unwrap();
            let last = if number("seed") > 1.0 { 2 } else { 3 };
            let points = (1..=last).map(|step| (f64::from(step), f64::from(step) * number("seed"))).collect();
            let levels = vec![Level::new("2/η", 2.0 / number("optim.lr"))];
            vec![Curve { levels, ..curve(points) }]
        };
        let figures = Comparison::new(&runs).curves(of_run);
        let [figure] = figures.as_slice() else { panic!("{figures:?}") };
        let names: Vec<Option<&str>> =
            figure.chart.series.iter().map(|series| series.name.as_deref()).collect();
        assert_eq!(names, [Some("lr = 0.1, 2 seeds"), Some("lr = 0.2")]);
        // the third step has only one seed
        assert_eq!(figure.chart.series[0].points, [(1.0, 1.5), (2.0, 3.0)]);
        let reach = 0.5f64.sqrt();
        assert!((figure.chart.series[0].band[0].1 - (1.5 + reach)).abs() < 1e-12);
        assert_eq!(figure.chart.note, "band: 1 std. dev. over seeds");
        // that of the smaller rate is far above the data
        let rules: Vec<(Option<&str>, Option<usize>)> =
            figure.chart.rules.iter().map(|rule| (rule.label.as_deref(), rule.number)).collect();
        assert_eq!(rules, [(Some("2/η, lr = 0.2"), Some(1))]);
        assert_eq!(figure.data.rows.len(), 5);
    }
}
