//! A report's files: `tables/`, `figures/` and `report.html`.

use std::path::{Path, PathBuf};

use walk_record::write_file;

use crate::comparison::Comparison;
use crate::draw::FigureWidth;
use crate::error::ReportError;
use crate::figure::DrawnFigure;
use crate::page::{Page, PagePart};
use crate::table::{Extent, Table};

/// How a report is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportConfig<'a> {
    /// The page's heading.
    pub title: &'a str,
    /// Tables to put before those of the measurements.
    pub extra_tables: &'a [Table],
    /// How wide figures are drawn.
    pub width: FigureWidth,
    /// The current time in seconds since 1970 if a run is still in progress: the page then reloads itself.
    pub written_unix_s: Option<u64>,
}

/// What every page begins with, apart from its title and style.
const PAGE: [&str; 2] =
    ["<!DOCTYPE html>\n<html lang=\"en\">", "id=\"theme\">light or dark</button></header>"];

impl ReportConfig<'_> {
    /// What a report would replace in `folder` although it is not part of one: a page that is not a report's, or tables and
    /// figures without a page.
    pub fn foreign(folder: &Path) -> Option<PathBuf> {
        let page = std::fs::read(folder.join("report.html")).unwrap_or_default();
        let page = String::from_utf8_lossy(&page);
        if page.starts_with(PAGE[0]) && page.contains(PAGE[1]) {
            return None;
        }
        let mut names = ["report.html", "tables", "figures"].into_iter().map(|name| folder.join(name));
        names.find(|path| path.symlink_metadata().is_ok())
    }
}

/// Writes the tables, the figures and the page of runs into `folder`; returns all tables.
///
/// # Errors
/// [`ReportError`] if something cannot be drawn or written.
pub fn write_report(
    folder: &Path,
    comparison: &Comparison<'_>,
    config: &ReportConfig<'_>,
) -> Result<Vec<Table>, ReportError> {
    Ok(write_and_show(folder, comparison, config)?.0)
}

/// Writes the report of each part into a folder of its name in `folder`; and into `folder` the extra tables, and a page with
/// these, the figures of all parts, and the descriptions of the runs of `all`.
///
/// # Errors
/// [`ReportError`] if something cannot be drawn or written.
pub fn write_reports(
    folder: &Path,
    parts: &[(&str, Comparison<'_>)],
    all: &Comparison<'_>,
    config: &ReportConfig<'_>,
) -> Result<(), ReportError> {
    let figures = parts.iter().map(|(name, comparison)| {
        let config = ReportConfig { title: name, extra_tables: &[], ..*config };
        Ok((*name, write_and_show(&folder.join(name), comparison, &config)?.1))
    });
    let figures: Vec<(&str, Vec<DrawnFigure>)> = figures.collect::<Result<_, ReportError>>()?;
    config.extra_tables.iter().try_for_each(|table| write_table(folder, table))?;
    let parts = figures.iter().map(|(name, figures)| PagePart { name: Some(name), figures });
    write_page(folder, all, config, config.extra_tables, &parts.collect::<Vec<_>>())
}

/// Writes the tables, the figures and the page of runs into `folder`; returns all tables and figures.
fn write_and_show(
    folder: &Path,
    comparison: &Comparison<'_>,
    config: &ReportConfig<'_>,
) -> Result<(Vec<Table>, Vec<DrawnFigure>), ReportError> {
    let own = comparison.run_tables();
    let tables = [config.extra_tables, &comparison.tables_from(&own)].concat();
    tables.iter().try_for_each(|table| write_table(folder, table))?;
    let drawn = comparison.all_figures(&own).into_iter().map(|figure| figure.draw(config.width));
    let figures: Vec<DrawnFigure> = drawn.collect::<Result<_, _>>()?;
    for DrawnFigure { figure, picture } in &figures {
        let path = |extension: &str| folder.join("figures").join(format!("{}.{extension}", figure.name()));
        write_file(&path("svg"), picture.svg.as_bytes())?;
        write_file(&path("png"), &picture.png)?;
        write_file(&path("csv"), &figure.data.csv()?)?;
    }
    write_page(folder, comparison, config, &tables, &[PagePart { name: None, figures: &figures }])?;
    Ok((tables, figures))
}

fn write_page(
    folder: &Path,
    comparison: &Comparison<'_>,
    config: &ReportConfig<'_>,
    tables: &[Table],
    parts: &[PagePart<'_>],
) -> Result<(), ReportError> {
    let ReportConfig { title, written_unix_s, .. } = *config;
    let page = Page { title, folder, comparison, tables, parts, written_unix_s };
    Ok(write_file(&folder.join("report.html"), page.html()?.as_bytes())?)
}

/// Writes a table in every format into `folder/tables`.
fn write_table(folder: &Path, table: &Table) -> Result<(), ReportError> {
    let path = |extension: &str| folder.join("tables").join(format!("{}.{extension}", table.name));
    write_file(&path("txt"), format!("{}\n", table.boxed(None, Extent::All)).as_bytes())?;
    write_file(&path("md"), table.markdown().as_bytes())?;
    write_file(&path("tex"), table.latex().as_bytes())?;
    write_file(&path("csv"), &table.csv()?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::table::name;

    #[test]
    fn equal_records_give_equal_files() {
        let dir = tempfile::tempdir().unwrap();
        let missing = fixture::distance(f64::NAN);
        let rows = [
            fixture::row(1, 1, fixture::segment(true, f64::NAN)),
            fixture::row(2, 2, fixture::segment(true, 0.5)),
            fixture::row(2, 2, fixture::noise(0.1)),
            fixture::row(2, 2, missing),
            fixture::row(2, 3, fixture::distance(1.0)),
        ];
        let runs = [fixture::run("mlp", rows)];
        let comparison = Comparison::new(&runs);
        let extra = [Table::new("claims", "Claims", [name("claim", "claim")], [vec!["a".into()]])];
        let config = ReportConfig { title: "title", extra_tables: &extra, ..ReportConfig::default() };
        let tables = write_report(dir.path(), &comparison, &config).unwrap();
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["claims", "barriers", "barrier_test", "segments", "noise", "distance"]);
        let files = [
            "report.html",
            "tables/barriers.txt",
            "figures/interpolation-epoch-1.svg",
            "figures/distance.png",
        ];
        let read = || files.map(|file| std::fs::read(dir.path().join(file)).unwrap());
        let before = read();
        write_report(dir.path(), &comparison, &config).unwrap();
        assert!(read() == before);
        assert_eq!(ReportConfig::foreign(dir.path()), None);
    }

    #[test]
    fn only_the_files_of_a_report_may_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ReportConfig::foreign(dir.path()), None);
        std::fs::create_dir(dir.path().join("figures")).unwrap();
        assert_eq!(ReportConfig::foreign(dir.path()), Some(dir.path().join("figures")));
        let page = dir.path().join("report.html");
        std::fs::write(&page, "<!DOCTYPE html>\n<html lang=\"en\">\n<p>mine</p>").unwrap();
        assert_eq!(ReportConfig::foreign(dir.path()), Some(page));
    }
}
