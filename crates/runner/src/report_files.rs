//! A report's files, made from records alone: `tables/`, `figures/` and `report.html`.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use walk_record::write_file;
use walk_report::{Drawing, Figure, Page, PageRun, Run, Summary, Table, figures, tables};

use crate::run_record::RunRecord;

/// The tables of runs, all in each.
pub(crate) fn tables_of(records: &[RunRecord]) -> Vec<Table> {
    tables(&records.iter().map(RunRecord::summary).collect::<Vec<Summary>>())
}

/// Writes the tables, the figures and the page of some runs into `place`.
pub(crate) fn write_report(place: &Path, title: &str, records: &[RunRecord], tables: &[Table]) -> Result<()> {
    for table in tables {
        write_table(place, table)?;
    }
    let runs: Vec<Run<'_>> =
        records.iter().map(|record| Run { label: &record.label, rows: &record.rows }).collect();
    let mut drawn: Vec<(Figure, Drawing)> = vec![];
    for figure in figures(&runs) {
        let drawing = figure.draw()?;
        let file = |ending: &str| place.join("figures").join(format!("{}.{ending}", figure.name));
        write_file(&file("svg"), drawing.svg.as_bytes())?;
        write_file(&file("png"), &drawing.png)?;
        write_file(&file("csv"), &drawing.csv)?;
        drawn.push((figure, drawing));
    }
    let folders: Vec<String> = records.iter().map(|record| link(place, &record.path)).collect();
    let runs = records.iter().zip(&folders).map(|(record, folder)| {
        let RunRecord { label, info, rows, config, .. } = record;
        PageRun { label, info, rows, config, folder }
    });
    let runs: Vec<PageRun<'_>> = runs.collect();
    let page = Page { title, runs: &runs, tables, figures: &drawn };
    write_file(&place.join("report.html"), page.html()?.as_bytes())?;
    Ok(())
}

/// Writes a table in every format into `place/tables`.
fn write_table(place: &Path, table: &Table) -> Result<()> {
    let file = |ending: &str| place.join("tables").join(format!("{}.{ending}", table.name));
    write_file(&file("txt"), format!("{}\n", table.text(None)).as_bytes())?;
    write_file(&file("md"), table.markdown().as_bytes())?;
    write_file(&file("tex"), table.latex().as_bytes())?;
    write_file(&file("csv"), &table.csv()?)?;
    Ok(())
}

/// How a page in `place` links to what is in `folder`: empty, or a path with `/` at its end.
fn link(place: &Path, folder: &Path) -> String {
    let whole = |path: &Path| {
        path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into())
    };
    let (from, to) = (whole(place), whole(folder));
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to[shared..].iter().copied()).collect();
    let text = path.to_string_lossy().replace('\\', "/");
    if text.is_empty() { text } else { format!("{text}/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_the_page_to_the_run() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/run", "a/report"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let path = |name: &str| dir.path().join(name);
        assert_eq!(link(&path("a/run"), &path("a/run")), "");
        assert_eq!(link(&path("a/report"), &path("a/run")), "../run/");
        assert_eq!(link(&path("a"), &path("a/run")), "run/");
    }
}
