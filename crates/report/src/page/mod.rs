//! `report.html`: one file with everything that runs left, which needs no network.

mod html;

use walk_record::{EpochRow, Row, RunInfo};

use self::html::{Html, escape};
use crate::{Drawing, Figure, ReportError, Table};

/// What a page shows.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Its heading.
    pub title: &'a str,
    /// The runs, shown side by side.
    pub runs: &'a [PageRun<'a>],
    /// Tables of all of them. Their files lie in `tables/` beside the page.
    pub tables: &'a [Table],
    /// Figures of all of them, drawn. Their files lie in `figures/` beside the page.
    pub figures: &'a [(Figure, Drawing)],
}

/// A run on a page.
#[derive(Clone, Debug)]
pub struct PageRun<'a> {
    /// What it is called.
    pub label: &'a str,
    /// Its description.
    pub info: &'a RunInfo,
    /// What it recorded.
    pub rows: &'a [Row],
    /// Its experiment's keys, dotted, and their values.
    pub config: &'a [(String, String)],
    /// Its folder, as the page links to it; empty for the page's own.
    pub folder: &'a str,
}

impl Page<'_> {
    /// The page: equal records, equal bytes.
    ///
    /// # Errors
    /// [`ReportError::Figure`] if a figure's numbers cannot be written.
    pub fn html(&self) -> Result<String, ReportError> {
        let mut html = Html::default();
        html.line("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
        html.line("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        html.line(&format!("<title>{}</title>", escape(self.title)));
        // without an icon of its own a browser would ask a server for one
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
            let name = table.name;
            html.line(&format!("<h3>{name}</h3>"));
            html.table("table", &table.header, &table.rows, &[]);
            let files = ["csv", "md", "tex", "txt"].map(|ending| (format!("tables/{name}.{ending}"), ending));
            html.links(&files);
        }
        html.heading("Figures");
        html.line("<div class=\"figures\">");
        for (index, (figure, drawing)) in self.figures.iter().enumerate() {
            let unwritable = |error: serde_json::Error| ReportError::Figure {
                name: figure.name.clone(),
                message: error.to_string(),
            };
            let chart = serde_json::to_string(&figure.chart).map_err(unwritable)?;
            html.figure(index, &figure.name, (&figure.chart.title, &chart), &drawing.svg);
        }
        html.line("</div>");
        html.heading("Configuration");
        self.configuration(&mut html);
        html.heading("Environment");
        self.environment(&mut html);
        html.line(&format!("<script>\n{}</script>\n</body>\n</html>", include_str!("page.js")));
        Ok(html.text())
    }

    /// A table of what holds for each run, a column each; rows in which they differ are marked.
    fn side_by_side(&self, html: &mut Html, rows: Vec<Vec<String>>) {
        let labels = self.runs.iter().map(|run| run.label.to_owned());
        let header: Vec<String> = std::iter::once(String::new()).chain(labels).collect();
        let differ: Vec<usize> = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row[1..].windows(2).any(|pair| pair[0] != pair[1]))
            .map(|(index, _)| index)
            .collect();
        html.table("table text", &header, &rows, &differ);
    }

    fn row(&self, name: &str, value: impl Fn(&PageRun<'_>) -> String) -> Vec<String> {
        std::iter::once(name.to_owned()).chain(self.runs.iter().map(value)).collect()
    }

    fn runs(&self, html: &mut Html) {
        let last = |run: &PageRun<'_>| -> Option<EpochRow> {
            run.rows
                .iter()
                .rev()
                .find_map(|row| if let Row::Epoch(row) = row { Some(row.clone()) } else { None })
        };
        let of_last =
            |run: &PageRun<'_>, value: &dyn Fn(EpochRow) -> String| last(run).map_or("-".into(), value);
        let probes = |run: &PageRun<'_>| {
            let measured = run.info.probes.iter().filter(|probe| probe.measurements > 0);
            let each = measured.map(|probe| {
                format!("{} {:.1} s ({} times)", probe.name, probe.elapsed_s, probe.measurements)
            });
            each.collect::<Vec<String>>().join(", ")
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
            self.row("last epoch", |run| of_last(run, &|row| row.epoch.to_string())),
            self.row("training loss", |run| of_last(run, &|row| format!("{:.4}", row.train_loss))),
            self.row("validation loss", |run| of_last(run, &|row| format!("{:.4}", row.valid_loss))),
            self.row("validation accuracy", |run| {
                of_last(run, &|row| format!("{:.2}%", 100.0 * row.valid_accuracy))
            }),
            self.row("branched off from", |run| match &run.info.fork {
                Some(fork) => format!("{} after update {}: {}", fork.run, fork.step, fork.changes.join(", ")),
                None => "-".into(),
            }),
            self.row("time", |run| {
                run.info.elapsed_s.map_or("-".into(), |elapsed| format!("{elapsed:.1} s"))
            }),
            self.row("of it probes", probes),
        ];
        self.side_by_side(html, rows);
        for run in self.runs {
            let file = |name: &str| format!("{}{name}", run.folder);
            let files = ["metrics.jsonl", "run.json", "config.toml"].map(|name| (file(name), name));
            html.line(&format!("<h3>{}</h3>", escape(run.label)));
            html.links(&files);
        }
    }

    fn configuration(&self, html: &mut Html) {
        let mut keys: Vec<&str> = vec![];
        for (key, _) in self.runs.iter().flat_map(|run| run.config) {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        let value = |run: &PageRun<'_>, key: &str| {
            let found = run.config.iter().find(|(known, _)| known == key);
            found.map_or_else(|| "-".to_owned(), |(_, value)| value.clone())
        };
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
            self.row("started", |run| format!("{} s after 1970", run.info.started_unix_s)),
            self.row("plugin's library, SHA-256", |run| run.info.plugin.sha256.clone()),
            self.row("network, SHA-256", |run| run.info.network.sha256.clone()),
            self.row("data, SHA-256", |run| run.info.data.sha256.clone()),
        ];
        self.side_by_side(html, rows);
    }
}

fn status(run: &PageRun<'_>) -> String {
    format!("{:?}", run.info.status).to_lowercase()
}
