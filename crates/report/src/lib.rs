//! Tables, figures, claims and pages, made only from records: equal records give equal bytes.
//!
//! Each measurement has a file or folder of the same name with its analysis, tables and figures; `measurements` lists them.

#[macro_use]
mod measurements;

#[cfg(test)]
mod any_record;
mod chart;
mod claims;
mod comparison;
mod curve;
mod default;
mod distinct;
mod draw;
mod error;
mod export;
mod figure;
#[cfg(test)]
mod fixture;
mod glossary;
mod overview;
mod page;
mod plural;
mod report_folder;
#[cfg(test)]
mod simulation;
mod statistics;
mod table;
mod thresholds;
mod ticks;
mod training;

measurements!(modules);

pub use claims::{Claim, ClaimName, Exhibit, Verdict, claims, claims_table, conclusion};
pub use comparison::{Comparison, Setting};
pub use draw::FigureWidth;
pub use error::ReportError;
pub use export::export;
pub use glossary::{GLOSSARY, Term, glossary_markdown, meaning};
pub use overview::{cost, headline, summary_json};
pub use plural::counted;
pub use report_folder::{ReportConfig, write_report, write_reports};
pub use table::{Cell, Column, Extent, Format, Role, Table, wrap};
pub use training::batch_size;
