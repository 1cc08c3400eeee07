//! The list of measurements with specific tables and figures. Every table and figure comes from this list, in this order.

use walk_record::Run;

use crate::comparison::{Comparison, RunTables};
use crate::curve::Curve;
use crate::default;
use crate::figure::Figure;
use crate::table::Table;

/// The list: each measurement is a module that has the functions named after it.
macro_rules! measurements {
    ($then:ident) => {
        $then! {
            interpolation: tables, figures, curves;
            epoch: tables, curves;
            train: curves;
            noise: tables, curves;
            cosine: tables, curves;
            distance: tables, curves;
            alignment: tables, curves, figures;
            covariance: tables, curves;
            spectrum: tables, curves, figures;
            critical_lr: tables, curves;
            line: tables, curves;
            plane: figures;
            quadratic: tables, curves;
            connectivity: tables, curves;
        }
    };
}

macro_rules! modules {
    ($($name:ident: $($part:ident),+;)+) => { $(mod $name;)+ };
}

macro_rules! list {
    ($($name:ident: $($part:ident),+;)+) => {
        const LISTED: &[Listed] =
            &[$($(Listed { name: stringify!($name), part: part!($name $part) },)+)+];
    };
}

macro_rules! part {
    ($name:ident tables) => {
        Part::Tables(crate::$name::tables)
    };
    ($name:ident curves) => {
        Part::Curves(crate::$name::curves)
    };
    ($name:ident figures) => {
        Part::Figures(crate::$name::figures)
    };
}

measurements!(list);

/// What is specific to a measurement.
struct Listed {
    /// The kind of its rows.
    name: &'static str,
    part: Part,
}

enum Part {
    Tables(fn(&Run) -> Vec<Table>),
    /// Joined over runs.
    Curves(fn(&Run) -> Vec<Curve>),
    /// Of one run.
    Figures(fn(&Run) -> Vec<Figure>),
}

/// The kinds whose measurements have parts that `is_part` knows.
fn kinds(is_part: impl Fn(&Part) -> bool) -> Vec<&'static str> {
    LISTED.iter().filter(|listed| is_part(&listed.part)).map(|listed| listed.name).collect()
}

/// A run's tables; a probe without specific tables has one of its rows' scalars.
fn tables(run: &Run) -> Vec<Table> {
    let known = kinds(|part| matches!(part, Part::Tables(_)));
    let own = LISTED.iter().filter_map(|listed| match listed.part {
        Part::Tables(make) => Some(make(run)),
        Part::Curves(_) | Part::Figures(_) => None,
    });
    own.flatten().chain(default::tables(run, &known)).collect()
}

impl Comparison<'_> {
    /// Every table that has rows, and the differences between settings.
    pub fn all_tables(&self) -> Vec<Table> {
        self.tables_from(&self.run_tables())
    }

    /// The tables of each run.
    pub(crate) fn run_tables(&self) -> RunTables {
        self.by_setting(tables)
    }

    /// [`Comparison::all_tables`], from the tables of each run.
    pub(crate) fn tables_from(&self, own: &RunTables) -> Vec<Table> {
        self.differences(own).into_iter().chain(self.tables(own)).collect()
    }

    /// Every figure that has data; a probe without specific figures has one for each of its rows' scalars.
    pub(crate) fn all_figures(&self, own: &RunTables) -> Vec<Figure> {
        let known = kinds(|part| matches!(part, Part::Curves(_) | Part::Figures(_)));
        let mut figures = vec![];
        for listed in LISTED {
            match listed.part {
                Part::Tables(_) => {}
                Part::Curves(make) => figures.extend(self.curves(make)),
                Part::Figures(make) => figures.extend(self.figures_of_runs(make)),
            }
        }
        figures.extend(self.curves(|run| default::curves(run, &known)));
        figures.extend(self.dependence(own));
        figures.retain(|figure| !figure.chart.is_empty());
        self.with_subject(figures)
    }
}
