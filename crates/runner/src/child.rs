//! Runs in processes of their own, some at a time: what a sweep and a reproduction are made of.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow};
use walk_record::{RunFolder, Status};

use crate::failure::Failure;
use crate::interrupt;

/// A run to be made.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// What it is called in messages.
    pub(crate) name: String,
    /// The run folder.
    pub(crate) out: PathBuf,
    /// What starts it anew, but for the folder.
    pub(crate) arguments: Vec<String>,
    /// The resolved experiment: a folder that holds another is refused.
    pub(crate) config: String,
}

/// How a run ended.
pub(crate) enum End {
    Done(&'static str),
    Failed(String),
    Stopped,
}

/// How runs are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jobs {
    /// Runs at a time.
    pub(crate) jobs: u16,
    /// Threads that they share; all cores if not given.
    pub(crate) threads: Option<u16>,
    pub(crate) quiet: bool,
}

/// How runs ended; those that were not begun are missing.
pub(crate) struct Ends(Vec<(usize, End)>);

/// Makes every run that is not there yet, goes on with those that were stopped, and says how each ended.
pub(crate) fn run_all(children: &[Child], how: Jobs) -> Result<Ends> {
    interrupt::listen(true)?;
    let threads = threads_each(how);
    let next = AtomicUsize::new(0);
    let ends: Mutex<Vec<(usize, End)>> = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..how.jobs {
            scope.spawn(|| {
                while !interrupt::asked() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(child) = children.get(index) else { break };
                    let end = child.run(threads).unwrap_or_else(|error| End::Failed(format!("{error:#}")));
                    if !how.quiet {
                        eprintln!("{} of {}: {}: {}", index + 1, children.len(), child.name, end.text());
                    }
                    if let Ok(mut ends) = ends.lock() {
                        ends.push((index, end));
                    }
                }
            });
        }
    });
    let mut ends = ends.into_inner().map_err(|_| anyhow!("a run's thread panicked"))?;
    ends.sort_by_key(|(index, _)| *index);
    Ok(Ends(ends))
}

impl Ends {
    /// The failure that they are together, if they are one.
    pub(crate) fn result(&self, children: &[Child]) -> Result<(), Failure> {
        if interrupt::asked() || self.0.iter().any(|(_, end)| matches!(end, End::Stopped)) {
            return Err(Failure::Stopped("stopped; the same command goes on".into()));
        }
        let failed = self.0.iter().filter_map(|(index, end)| match end {
            End::Failed(error) => Some(format!("{}: {error}", children[*index].name)),
            _ => None,
        });
        let failed: Vec<String> = failed.collect();
        if failed.is_empty() {
            return Ok(());
        }
        let (n, all) = (failed.len(), children.len());
        Err(Failure::Run(anyhow!("{n} of {all} runs failed:\n  {}", failed.join("\n  "))))
    }
}

impl End {
    fn text(&self) -> &str {
        match self {
            Self::Done(how) => how,
            Self::Failed(error) => error,
            Self::Stopped => "stopped",
        }
    }
}

fn threads_each(how: Jobs) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = how.threads.map_or(cores, usize::from);
    (threads / usize::from(how.jobs)).max(1)
}

impl Child {
    /// Makes the run, goes on with it, or leaves it alone if it is done.
    fn run(&self, threads: usize) -> Result<End> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let mut command = Command::new(program);
        if let Ok(folder) = RunFolder::open(&self.out) {
            if folder.read_config()? != self.config {
                return Err(anyhow!(
                    "{} is the run of another experiment; name another folder with --out or remove it",
                    self.out.display()
                ));
            }
            match folder.read_info()?.status {
                Status::Finished => return Ok(End::Done("was there")),
                Status::Running | Status::Stopped | Status::Failed => command.arg("--resume").arg(&self.out),
            };
        } else {
            command.args(&self.arguments).arg("--out").arg(&self.out);
        }
        command.args(["--quiet", "--threads", &threads.to_string()]).stdout(Stdio::null());
        let output = command.stderr(Stdio::piped()).output().context("a run cannot be started")?;
        let message = String::from_utf8_lossy(&output.stderr);
        let message = message.lines().rev().find_map(|line| line.strip_prefix("error: "));
        Ok(match output.status.code() {
            Some(0) => End::Done("done"),
            Some(3) => End::Stopped,
            Some(_) => End::Failed(message.unwrap_or_default().to_owned()),
            None => End::Failed("killed by a signal".into()),
        })
    }
}
