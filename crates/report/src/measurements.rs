//! The measurements with tables and figures of their own. Every table and figure comes from this list, in its order.

use walk_record::Run;

use crate::default;
use crate::figure::Figure;
use crate::table::Table;

/// The list: each measurement is a module that has the functions named after it.
macro_rules! measurements {
    ($then:ident) => {
        $then! {
            interpolation: tables, figures;
            noise: tables;
            cosine: tables, figures;
            distance: tables, figures;
            alignment: tables, figures;
            covariance: tables;
            spectrum: tables, figures;
            critical_lr: tables, figures;
            line: tables;
            plane: figures;
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
    ($name:ident figures) => {
        Part::Figures(crate::$name::figures)
    };
}

measurements!(list);

/// What a measurement has of its own.
struct Listed {
    /// The kind of its rows.
    name: &'static str,
    part: Part,
}

enum Part {
    Tables(fn(&[Run]) -> Vec<Table>),
    Figures(fn(&[Run]) -> Vec<Figure>),
}

/// Every table that has rows, with all runs in each; a probe without tables of its own has one of its rows' scalars.
pub fn tables(runs: &[Run]) -> Vec<Table> {
    let (mut tables, mut names) = (vec![], vec![]);
    for listed in LISTED {
        if let Part::Tables(make) = listed.part {
            tables.extend(make(runs));
            names.push(listed.name);
        }
    }
    tables.extend(default::tables(runs, &names));
    tables.retain(|table| !table.rows.is_empty());
    tables
}

/// Every figure that shows something; a probe without figures of its own has one for each of its rows' scalars.
pub(crate) fn figures(runs: &[Run]) -> Vec<Figure> {
    let (mut figures, mut names) = (vec![], vec![]);
    for listed in LISTED {
        if let Part::Figures(make) = listed.part {
            figures.extend(make(runs));
            names.push(listed.name);
        }
    }
    figures.extend(default::figures(runs, &names));
    figures.retain(|figure| !figure.chart.is_empty());
    figures
}
