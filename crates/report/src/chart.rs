//! The contents of a figure, independent of how it is drawn.

use std::ops::Range;

use serde::Serialize;

/// Lines, or levels over a plane, on two axes.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Chart {
    /// What it shows.
    pub(crate) title: String,
    /// The setting, and how to read the figure.
    pub(crate) note: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) levels: Option<Levels>,
    /// Whether its lines are numbered by setting.
    pub(crate) by_setting: bool,
    pub(crate) series: Vec<Series>,
    pub(crate) rules: Vec<Rule>,
}

/// An axis.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) log: bool,
    /// Whether its values are counts, which have no ticks in between.
    pub(crate) integer: bool,
    /// Its limits, if they are not determined by the values.
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

/// A line.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub(crate) name: Option<String>,
    /// Determines its color and, unless `stroke` says otherwise, its style.
    pub(crate) number: usize,
    pub(crate) points: Vec<(f64, f64)>,
    /// The points, by index, that are not connected with the one before.
    pub(crate) breaks: Vec<usize>,
    /// A band around it: its lower and upper edge at each point.
    pub(crate) band: Vec<(f64, f64)>,
    pub(crate) stroke: Stroke,
    /// Whether each point is marked.
    pub(crate) dots: bool,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stroke {
    /// Solid, dashed, dash-dotted and dotted in turn, to tell lines apart without color.
    #[default]
    InTurn,
    Solid,
    Dashed,
    DashDotted,
    Dotted,
}

impl Stroke {
    /// The styles in turn.
    pub(crate) fn nth(number: usize) -> Self {
        [Self::Solid, Self::Dashed, Self::DashDotted, Self::Dotted][number % 4]
    }
}

/// A value at each point of a grid.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Levels {
    pub(crate) name: String,
    pub(crate) x: Vec<f64>,
    pub(crate) y: Vec<f64>,
    /// One list over x for each y.
    pub(crate) values: Vec<Vec<f64>>,
}

/// A straight line across the figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rule {
    /// Vertical, at a position on the x axis; otherwise horizontal, on the y axis.
    pub(crate) upright: bool,
    pub(crate) at: f64,
    /// Faint and solid, like the gray lines at the paper's iterations; otherwise gray and dashed.
    pub(crate) faint: bool,
    pub(crate) label: Option<String>,
    /// The number of the lines whose color it shares; gray if there is none.
    pub(crate) number: Option<usize>,
}

impl Axis {
    /// A linear axis.
    pub(crate) fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// A linear axis of counts, starting at 0.
    pub(crate) fn of_counts(label: impl Into<String>) -> Self {
        Self { integer: true, min: Some(0.0), ..Self::new(label) }
    }
}

impl Chart {
    pub(crate) fn new(title: impl Into<String>, x: &str, y: &str) -> Self {
        Self { title: title.into(), x: Axis::new(x), y: Axis::new(y), ..Self::default() }
    }

    /// Puts a text before the note.
    pub(crate) fn prepend_note(&mut self, text: &str) {
        self.note = joined([text, &self.note]);
    }

    /// Puts a text after the note.
    pub(crate) fn append_note(&mut self, text: &str) {
        self.note = joined([&self.note, text]);
    }

    /// The largest value that it shows, at least 0.
    pub(crate) fn largest(&self) -> f64 {
        let lines = self.series.iter().flat_map(|series| {
            let upper = series.band.iter().map(|band| band.1);
            series.points.iter().map(|point| point.1).chain(upper)
        });
        lines.fold(0.0, f64::max)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_none() && self.series.iter().all(|series| series.points.is_empty())
    }
}

impl Series {
    /// Line number `number` of a figure.
    pub(crate) fn new(number: usize, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: Some(name.into()), number, points, ..Self::default() }
    }

    /// The ranges of its points that are connected.
    pub(crate) fn pieces(&self) -> Vec<Range<usize>> {
        let starts = std::iter::once(0).chain(self.breaks.iter().copied());
        let ends = self.breaks.iter().copied().chain([self.points.len()]);
        starts.zip(ends).map(|(start, end)| start..end).collect()
    }
}

/// Two notes as one.
fn joined(notes: [&str; 2]) -> String {
    notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<&str>>().join("; ")
}

impl Rule {
    pub(crate) fn upright(at: f64) -> Self {
        Self { upright: true, at, faint: false, label: None, number: None }
    }

    pub(crate) fn across(at: f64) -> Self {
        Self { upright: false, ..Self::upright(at) }
    }
}
