//! Reports that are rewritten while runs are in progress.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use walk_record::Run;
use walk_report::{Comparison, ReportConfig, write_report};

use crate::timing::unix_seconds;

/// Time after which the first report is written.
const FIRST: Duration = Duration::from_secs(5);
/// Minimum time between two reports.
const PERIOD: Duration = Duration::from_secs(60);
/// Upper bound on the share of time spent writing reports.
const SHARE: u32 = 100;

/// A report that is rewritten from time to time.
#[derive(Debug)]
pub(crate) struct LiveReport {
    /// The folder it is written to.
    folder: PathBuf,
    title: String,
    due: Instant,
}

impl LiveReport {
    /// A report in `folder`, not yet written.
    pub(crate) fn new(folder: &Path, title: &str) -> Self {
        Self { folder: folder.into(), title: title.into(), due: Instant::now() + FIRST }
    }

    /// Writes the report of the runs at `paths` if the last one is old enough. Errors are ignored: the final report
    /// shows them.
    pub(crate) fn write_if_due(&mut self, paths: impl FnOnce() -> Vec<PathBuf>) {
        let started = Instant::now();
        if started < self.due {
            return;
        }
        let paths = paths();
        let mut runs: Vec<Run> = paths.iter().filter_map(|path| Run::read(path).ok()).collect();
        if paths.len() > 1 {
            Run::tell_apart(&mut runs);
        }
        if !runs.is_empty() {
            let config = ReportConfig {
                title: &self.title,
                written_unix_s: Some(unix_seconds()),
                ..ReportConfig::default()
            };
            let _ = write_report(&self.folder, &Comparison::new(&runs), &config);
        }
        self.due = Instant::now() + PERIOD.max(started.elapsed() * SHARE);
    }
}
