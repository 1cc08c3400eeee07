//! `report.html`: everything that runs recorded in one file that needs no network.

mod html;
mod utc;

use std::path::{Component, Path, PathBuf};

use walk_record::rows::Epoch;
use walk_record::{Run, Stamped};

use self::html::{Html, escape};
use self::utc::utc;
use crate::error::ReportError;
use crate::figure::DrawnFigure;
use crate::plural::counted;
use crate::table::{Table, decimals, percent};

/// What a page shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page<'a> {
    /// Its heading.
    pub(crate) title: &'a str,
    /// The folder that it is written to. Files of tables are in `tables/` there, those of figures in `figures/`.
    pub(crate) folder: &'a Path,
    /// The runs, shown side by side.
    pub(crate) runs: &'a [&'a Run],
    /// Tables of all of them.
    pub(crate) tables: &'a [Table],
    /// Figures of all of them.
    pub(crate) figures: &'a [DrawnFigure],
}

impl Page<'_> {
    /// The page: equal records give equal bytes.
    pub(crate) fn html(&self) -> Result<String, ReportError> {
        let mut html = Html::default();
        html.line("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
        html.line("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        html.line(&format!("<title>{}</title>", escape(self.title)));
        // without an icon a browser would request one from a server
        html.line("<link rel=\"icon\" href=\"data:,\">");
        html.line(&format!("<style>\n{}</style>\n</head>\n<body>", include_str!("page.css")));
        let heading = escape(self.title);
        html.line(&format!(
            "<header><h1>{heading}</h1><button type=\"button\" id=\"theme\">light or dark</button></header>"
        ));
        let sections = ["Runs", "Tables", "Figures", "Configuration", "Environment"];
        let links = sections.map(|name| format!("<a href=\"#{name}\">{name}</a>"));
        html.line(&format!("<nav>{}</nav>", links.concat()));
        html.heading("Runs");
        self.runs(&mut html);
        html.heading("Tables");
        for table in self.tables {
            let (name, table) = (&table.name, table.shown());
            html.line(&format!("<h3 id=\"{name}\">{}</h3>", escape(&table.title)));
            html.table("table", &table.titles(), &table.texts(), &[]);
            html.links(&format!("tables/{name}."), &["csv", "md", "tex", "txt"]);
        }
        html.heading("Figures");
        html.line("<div class=\"figures\">");
        for (index, drawn) in self.figures.iter().enumerate() {
            html.figure(index, drawn)?;
        }
        html.line("</div>");
        html.heading("Configuration");
        self.configuration(&mut html);
        html.heading("Environment");
        self.environment(&mut html);
        html.line(&format!("<script>\n{}</script>\n</body>\n</html>", include_str!("page.js")));
        Ok(html.text())
    }

    /// A table with a column per run; rows in which the runs differ are highlighted.
    fn side_by_side(&self, html: &mut Html, rows: Vec<Vec<String>>) {
        let header = self.row("", |run| run.label.clone());
        let differs = |index: &usize| rows[*index][1..].windows(2).any(|pair| pair[0] != pair[1]);
        let differing: Vec<usize> = (0..rows.len()).filter(differs).collect();
        html.table("table text", &header, &rows, &differing);
    }

    fn row(&self, name: &str, value: impl Fn(&Run) -> String) -> Vec<String> {
        std::iter::once(name.to_owned()).chain(self.runs.iter().map(|run| value(run))).collect()
    }

    fn runs(&self, html: &mut Html) {
        let of_last = |run: &Run, cell: fn(Stamped<'_, Epoch>) -> String| {
            run.rows::<Epoch>().next_back().map_or("-".into(), cell)
        };
        let probes = |run: &Run| {
            let measured = run.info.probes.iter().filter(|probe| probe.measurements > 0);
            let costs = measured.map(|probe| {
                format!("{} {:.1} s ({})", probe.name, probe.elapsed_s, counted(probe.measurements, "time"))
            });
            costs.collect::<Vec<String>>().join(", ")
        };
        let rows = vec![
            self.row("experiment", |run| run.info.name.clone()),
            self.row("status", |run| match &run.info.message {
                Some(message) => format!("{}: {message}", status(run)),
                None => status(run),
            }),
            self.row("network", |run| {
                format!("{} with {} parameters", run.info.plugin.name, run.info.network.n_params)
            }),
            self.row("data", |run| {
                let data = &run.info.data;
                format!("{}: {} training, {} validation samples", data.set, data.train, data.valid)
            }),
            self.row("last epoch", |run| of_last(run, |row| row.at.epoch.to_string())),
            self.row("training loss", |run| of_last(run, |row| decimals(row.train_loss, 4).text())),
            self.row("validation loss", |run| of_last(run, |row| decimals(row.valid_loss, 4).text())),
            self.row("validation accuracy", |run| of_last(run, |row| percent(row.valid_accuracy, 2).text())),
            self.row("forked from", |run| match &run.info.fork {
                Some(fork) => format!("{} after update {}: {}", fork.run, fork.step, fork.changes.join(", ")),
                None => "-".into(),
            }),
            self.row("time", |run| {
                run.info.elapsed_s.map_or("-".into(), |elapsed| format!("{elapsed:.1} s"))
            }),
            self.row("time of the probes", probes),
        ];
        self.side_by_side(html, rows);
        for run in self.runs {
            html.line(&format!("<h3>{}</h3>", escape(&run.label)));
            html.links(&path_from(self.folder, &run.path), &["metrics.jsonl", "run.json", "config.toml"]);
        }
    }

    fn configuration(&self, html: &mut Html) {
        let mut keys: Vec<&str> = vec![];
        for value in self.runs.iter().flat_map(|run| &run.config) {
            if !keys.contains(&value.key.as_str()) {
                keys.push(&value.key);
            }
        }
        let value = |run: &Run, key: &str| run.value(key).map_or("-".into(), |value| value.to_string());
        self.side_by_side(html, keys.iter().map(|key| self.row(key, |run| value(run, key))).collect());
    }

    fn environment(&self, html: &mut Html) {
        let rows = vec![
            self.row("sgdwalk", |run| run.info.version.clone()),
            self.row("platform", |run| run.info.machine.platform.clone()),
            self.row("processor", |run| run.info.machine.processor.clone()),
            self.row("cores, threads", |run| format!("{}, {}", run.info.machine.cores, run.info.threads)),
            self.row("device", |run| run.info.device.clone()),
            self.row("seed", |run| run.info.seed.to_string()),
            self.row("started", |run| utc(run.info.started_unix_s)),
            self.row("plugin library, SHA-256", |run| run.info.plugin.sha256.clone()),
            self.row("network, SHA-256", |run| run.info.network.sha256.clone()),
            self.row("data, SHA-256", |run| run.info.data.sha256.clone()),
        ];
        self.side_by_side(html, rows);
    }
}

fn status(run: &Run) -> String {
    format!("{:?}", run.info.status).to_lowercase()
}

/// The path that leads from a page in `folder` to files in `target`: empty, or with a `/` at its end.
fn path_from(folder: &Path, target: &Path) -> String {
    let whole = |path: &Path| {
        path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into())
    };
    let (from, to) = (whole(folder), whole(target));
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
        assert_eq!(path_from(&path("a/run"), &path("a/run")), "");
        assert_eq!(path_from(&path("a/report"), &path("a/run")), "../run/");
        assert_eq!(path_from(&path("a"), &path("a/run")), "run/");
    }
}
