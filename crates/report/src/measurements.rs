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
        #[expect(clippy::needless_update, reason = "a measurement may have both parts")]
        const LISTED: &[Measurement] =
            &[$(Measurement { name: stringify!($name), $($part: crate::$name::$part,)+ ..EMPTY }),+];
    };
}

measurements!(list);

/// What a report shows of a measurement.
struct Measurement {
    /// The kind of its rows.
    name: &'static str,
    tables: fn(&[Run]) -> Vec<Table>,
    figures: fn(&[Run]) -> Vec<Figure>,
}

const EMPTY: Measurement = Measurement { name: "", tables: |_| vec![], figures: |_| vec![] };

/// Every table that has rows, with all runs in each; a probe that is not listed has one of its rows' scalars.
pub fn tables(runs: &[Run]) -> Vec<Table> {
    let mut tables: Vec<Table> = LISTED.iter().flat_map(|listed| (listed.tables)(runs)).collect();
    tables.extend(default::tables(runs, &names()));
    tables.retain(|table| !table.rows.is_empty());
    tables
}

/// Every figure that shows something; a probe that is not listed has one for each of its rows' scalars.
pub(crate) fn figures(runs: &[Run]) -> Vec<Figure> {
    let mut figures: Vec<Figure> = LISTED.iter().flat_map(|listed| (listed.figures)(runs)).collect();
    figures.extend(default::figures(runs, &names()));
    figures.retain(|figure| !figure.chart.is_empty());
    figures
}

fn names() -> Vec<&'static str> {
    LISTED.iter().map(|listed| listed.name).collect()
}
