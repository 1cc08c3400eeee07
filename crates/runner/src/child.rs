//! Runs in processes of their own, several at a time: the members of a sweep or a reproduction.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow};
use walk_record::{ForkInfo, RunFolder, Status};

use crate::failure::Failure;
use crate::interrupt;

/// A run to be made.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// Its name in messages.
    pub(crate) name: String,
    /// The run folder.
    pub(crate) out: PathBuf,
    /// The command line that starts it, without the folder.
    pub(crate) arguments: Vec<String>,
    /// The resolved experiment; a folder that holds another one is refused.
    pub(crate) config: String,
    /// The checkpoint it starts from; a folder whose run started elsewhere is refused.
    pub(crate) fork: Option<ForkInfo>,
}

/// What the folder of a run holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FolderState {
    /// No run.
    New,
    /// The run, which can be resumed.
    Unfinished,
    /// The run, finished.
    Finished,
    /// The run of another experiment.
    Foreign,
}

/// How a run ended.
#[derive(Clone, Debug)]
enum Outcome {
    Done,
    WasFinished,
    Failed(String),
    Stopped,
}

/// How to share the machine between runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolConfig {
    /// Runs at a time.
    pub(crate) jobs: u16,
    /// Threads that they share; all cores if not given.
    pub(crate) threads: Option<u16>,
    pub(crate) quiet: bool,
}

impl PoolConfig {
    /// Threads of each run.
    pub(crate) fn threads_per_run(self) -> u16 {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.unwrap_or_else(|| u16::try_from(cores()).unwrap_or(u16::MAX));
        (threads / self.jobs).max(1)
    }
}

/// How each run ended, `None` if it was not started.
pub(crate) struct Outcomes(Vec<Option<Outcome>>);

/// Makes every run that does not exist, resumes those that were stopped, and says how each ended.
pub(crate) fn run_all(children: &[Child], pool: PoolConfig) -> Result<Outcomes> {
    interrupt::listen()?;
    let program = program()?;
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; children.len()]);
    std::thread::scope(|scope| {
        for _ in 0..pool.jobs {
            scope.spawn(|| {
                while !interrupt::asked() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(child) = children.get(index) else { break };
                    let outcome = child.run(&program, pool.threads_per_run());
                    let outcome = outcome.unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
                    if !pool.quiet {
                        eprintln!("{} of {}: {}: {}", index + 1, children.len(), child.name, outcome.text());
                    }
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes[index] = Some(outcome);
                    }
                }
            });
        }
    });
    Ok(Outcomes(outcomes.into_inner().map_err(|_| anyhow!("a run's thread panicked"))?))
}

/// This program. Linux finds it even if the file was replaced or removed since it started; elsewhere the path at the start of
/// the first run must stay valid.
fn program() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().context("this program cannot be found")
}

impl Outcomes {
    /// The failure that they amount to, if any.
    pub(crate) fn result(&self, children: &[Child]) -> Result<(), Failure> {
        if interrupt::asked() || self.0.iter().any(|outcome| matches!(outcome, Some(Outcome::Stopped))) {
            return Err(Failure::Stopped("stopped; repeat the command to resume".into()));
        }
        let failed = children.iter().zip(&self.0).filter_map(|(child, outcome)| match outcome {
            Some(Outcome::Failed(error)) => Some(format!("{}: {error}", child.name)),
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

impl Outcome {
    fn text(&self) -> &str {
        match self {
            Self::Done => "done",
            Self::WasFinished => "already finished",
            Self::Failed(error) => error,
            Self::Stopped => "stopped",
        }
    }
}

impl Child {
    /// What its folder holds.
    pub(crate) fn folder_state(&self) -> Result<FolderState> {
        let Ok(folder) = RunFolder::open(&self.out) else { return Ok(FolderState::New) };
        let info = folder.read_info()?;
        if folder.read_config()? != self.config || info.fork != self.fork {
            return Ok(FolderState::Foreign);
        }
        Ok(match info.status {
            Status::Finished => FolderState::Finished,
            Status::Running | Status::Stopped | Status::Failed => FolderState::Unfinished,
        })
    }

    /// Makes the run, resumes it, or leaves it alone if it is finished.
    fn run(&self, program: &Path, threads: u16) -> Result<Outcome> {
        let mut command = Command::new(program);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, "sgdwalk");
        match self.folder_state()? {
            FolderState::New => command.args(&self.arguments).arg("--out").arg(&self.out),
            FolderState::Unfinished => command.arg("resume").arg(&self.out),
            FolderState::Finished => return Ok(Outcome::WasFinished),
            FolderState::Foreign => {
                return Err(anyhow!(
                    "{} is the run of another experiment; name another folder with --out or remove it",
                    self.out.display()
                ));
            }
        };
        command.args(["--quiet", "--threads", &threads.to_string()]).stdout(Stdio::null());
        let output = command.stderr(Stdio::piped()).output().context("a run cannot be started")?;
        let message = String::from_utf8_lossy(&output.stderr);
        let message = message.lines().rev().find_map(|line| line.strip_prefix("error: "));
        Ok(match output.status.code() {
            Some(0) => Outcome::Done,
            Some(3) => Outcome::Stopped,
            Some(_) => Outcome::Failed(message.unwrap_or_default().to_owned()),
            None => Outcome::Failed("killed by a signal".into()),
        })
    }
}
