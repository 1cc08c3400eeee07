//! `report.html`: all records of runs in one self-contained file.

mod html;
mod utc;

use std::path::{Component, Path, PathBuf};

use walk_record::rows::Epoch;
use walk_record::{Run, Stamped};

use self::html::{Html, escape};
use self::utc::utc;
use crate::claims::conclusion;
use crate::comparison::Comparison;
use crate::distinct::distinct;
use crate::error::ReportError;
use crate::figure::DrawnFigure;
use crate::overview::status;
use crate::table::{Table, decimals, percent};

/// What a page shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page<'a> {
    /// Its heading.
    pub(crate) title: &'a str,
    /// The folder that it is written to. Files of tables are in `tables/` there.
    pub(crate) folder: &'a Path,
    /// The runs and how they are joined.
    pub(crate) comparison: &'a Comparison<'a>,
    /// Their tables.
    pub(crate) tables: &'a [Table],
    /// Their figures.
    pub(crate) parts: &'a [PagePart<'a>],
    /// When it was written, in seconds since 1970, if a run is still in progress: the page then reloads itself.
    pub(crate) written_unix_s: Option<u64>,
}

/// Figures of a page that belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PagePart<'a> {
    /// The folder with its own page, and its heading; `None` for what the page itself is about.
    pub(crate) name: Option<&'a str>,
    /// Their files are in `figures/` of that folder.
    pub(crate) figures: &'a [DrawnFigure],
}

/// Maximum number of runs with individual descriptions; more runs are listed in a table.
const MAX_COLUMNS: usize = 2;

/// Maximum number of settings with one sentence each; with more, the tables are clearer.
const MAX_CONCLUSIONS: usize = 4;

impl Page<'_> {
    /// The page: equal records give equal bytes.
    pub(crate) fn html(&self) -> Result<String, ReportError> {
        let mut html = Html::default();
        html.line("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
        html.line("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        html.line(&format!("<title>{}</title>", escape(self.title)));
        // without an icon, a browser would request one from a server
        html.line("<link rel=\"icon\" href=\"data:,\">");
        html.line(&format!("<style>\n{}</style>\n</head>\n<body>", include_str!("page.css")));
        let heading = escape(self.title);
        html.line(&format!(
            "<header><h1>{heading}</h1><button type=\"button\" id=\"theme\">light or dark</button></header>"
        ));
        if let Some(written) = self.written_unix_s {
            let text = "The run is still in progress; this page reloads every minute.";
            html.line(&format!("<p id=\"live\" class=\"note\" data-written=\"{written}\">{text}</p>"));
        }
        self.conclusions(&mut html);
        // several reports share claims, which come first
        let shown = if self.has_parts() { ["Tables", "Figures"] } else { ["Figures", "Tables"] };
        let sections = shown.into_iter().chain(["Runs", "Configuration", "Environment"]);
        html.contents(sections);
        self.filters(&mut html)?;
        for section in shown {
            html.heading(section);
            if section == "Tables" { self.tables(&mut html) } else { self.figures(&mut html)? }
        }
        html.heading("Runs");
        self.runs(&mut html);
        html.heading("Configuration");
        self.configuration(&mut html);
        html.heading("Environment");
        self.environment(&mut html);
        html.line(&format!("<script>\n{}</script>\n</body>\n</html>", include_str!("page.js")));
        Ok(html.text())
    }

    /// Whether it shows the figures of several reports.
    fn has_parts(&self) -> bool {
        self.parts.iter().any(|part| part.name.is_some())
    }

    fn figures(&self, html: &mut Html) -> Result<(), ReportError> {
        if self.has_parts() {
            html.contents(self.parts.iter().filter_map(|part| part.name));
        }
        let mut index = 0;
        for PagePart { name, figures } in self.parts {
            let folder = name.map(|name| format!("{name}/")).unwrap_or_default();
            if let Some(name) = name {
                html.line(&format!("<h3 id=\"{0}\">{0}</h3>", escape(name)));
                html.links(&folder, &["report.html"]);
            }
            html.line("<div class=\"figures\">");
            for drawn in *figures {
                html.figure(index, &folder, drawn)?;
                index += 1;
            }
            html.line("</div>");
        }
        Ok(())
    }

    fn tables(&self, html: &mut Html) {
        for table in self.tables {
            let (name, table) = (&table.name, table.shown());
            html.line(&format!("<h3 id=\"{name}\">{}</h3>", escape(&table.title)));
            html.results(&table);
            html.links(&format!("tables/{name}."), &["csv", "md", "tex", "txt"]);
        }
    }

    /// A sentence about each setting's barriers.
    fn conclusions(&self, html: &mut Html) {
        let settings = &self.comparison.settings;
        if self.has_parts() || settings.len() > MAX_CONCLUSIONS {
            return;
        }
        for setting in settings {
            let Some(text) = conclusion(&setting.runs) else { continue };
            let label = if settings.len() > 1 {
                format!("<b>{}</b>: ", escape(&setting.label))
            } else {
                String::new()
            };
            html.line(&format!("<p class=\"headline\">{label}{}</p>", escape(&text)));
        }
    }

    /// Buttons that hide a setting in figures and tables, with the settings' values for the script.
    fn filters(&self, html: &mut Html) -> Result<(), ReportError> {
        let settings = &self.comparison.settings;
        // the parts have settings of their own
        if settings.len() < 2 || self.has_parts() {
            return Ok(());
        }
        let values: Vec<&[String]> = settings.iter().map(|setting| setting.values.as_slice()).collect();
        let values = serde_json::to_string(&values)?;
        let button =
            |label: &str| format!("<button type=\"button\" aria-pressed=\"true\">{}</button>", escape(label));
        let buttons: String = settings.iter().map(|setting| button(&setting.label)).collect();
        html.line(&format!(
            "<div id=\"filters\" data-settings=\"{}\">show: {buttons}</div>",
            escape(&values)
        ));
        Ok(())
    }

    /// A table of names and values, where each value appears once with the number of runs that have it; rows in which runs
    /// differ are highlighted.
    fn joined(&self, html: &mut Html, rows: Vec<(String, Vec<String>)>) {
        let mut differing = vec![];
        let lines = rows.into_iter().enumerate().map(|(index, (name, values))| {
            let mut counts: Vec<(&str, usize)> = vec![];
            for value in &values {
                match counts.iter_mut().find(|(known, _)| known == value) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((value, 1)),
                }
            }
            let text = match counts.as_slice() {
                [(value, _)] => (*value).to_owned(),
                several => {
                    differing.push(index);
                    several
                        .iter()
                        .map(|(value, count)| format!("{value} ({count}x)"))
                        .collect::<Vec<String>>()
                        .join("; ")
                }
            };
            vec![name, text]
        });
        let lines: Vec<Vec<String>> = lines.collect();
        html.texts("table text", &[String::new(), String::new()], &lines, &differing);
    }

    fn row(&self, name: &str, value: impl Fn(&Run) -> String) -> (String, Vec<String>) {
        (name.to_owned(), self.comparison.runs.iter().map(|run| value(run)).collect())
    }

    fn runs(&self, html: &mut Html) {
        let of_last = |run: &Run, cell: fn(Stamped<'_, Epoch>) -> String| {
            run.rows::<Epoch>().next_back().map_or("-".into(), cell)
        };
        let probes = |run: &Run| {
            let measured = run.info.probes.iter().filter(|probe| probe.measurements > 0);
            let costs = measured.map(|probe| format!("{}: {:.1} s", probe.name, probe.elapsed_s));
            costs.collect::<Vec<String>>().join(", ")
        };
        let rows = [
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
            self.row("training accuracy", |run| of_last(run, |row| percent(row.train_accuracy, 2).text())),
            self.row("validation loss", |run| of_last(run, |row| decimals(row.valid_loss, 4).text())),
            self.row("validation accuracy", |run| of_last(run, |row| percent(row.valid_accuracy, 2).text())),
            self.row("forked from", |run| match &run.info.fork {
                Some(fork) => format!("{} after update {}: {}", fork.run, fork.step, fork.changes.join(", ")),
                None => "-".into(),
            }),
            self.row("time", |run| {
                run.info.elapsed_s.map_or("-".into(), |elapsed| format!("{elapsed:.1} s"))
            }),
            self.row("time per probe", probes),
        ];
        let labels = self.row("", |run| run.label.clone()).1;
        if labels.len() <= MAX_COLUMNS {
            let lines: Vec<Vec<String>> =
                rows.into_iter().map(|(name, values)| [vec![name], values].concat()).collect();
            html.texts("table text", &[vec![String::new()], labels].concat(), &lines, &[]);
        } else {
            let header: Vec<String> =
                std::iter::once("run".to_owned()).chain(rows.iter().map(|row| row.0.clone())).collect();
            let line = |run: usize| {
                std::iter::once(labels[run].clone())
                    .chain(rows.iter().map(|row| row.1[run].clone()))
                    .collect()
            };
            let lines: Vec<Vec<String>> = (0..labels.len()).map(line).collect();
            html.texts("table wide", &header, &lines, &[]);
        }
        for run in &self.comparison.runs {
            let path = path_from(self.folder, &run.path);
            html.line(&format!("<p class=\"links\">{}: ", escape(&run.label)));
            html.anchors(&path, &["metrics.jsonl", "run.json", "config.toml"]);
        }
    }

    fn configuration(&self, html: &mut Html) {
        let values = self.comparison.runs.iter().flat_map(|run| &run.config);
        let keys = distinct(values.map(|value| value.key.as_str()));
        let value = |run: &Run, key: &str| run.value(key).map_or("-".into(), |value| value.to_string());
        self.joined(html, keys.iter().map(|key| self.row(key, |run| value(run, key))).collect());
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
        self.joined(html, rows);
    }
}

/// The path from a page in `folder` to files in `target`: empty, or with a `/` at its end.
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
