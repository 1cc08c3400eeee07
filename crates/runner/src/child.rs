//! Runs in separate processes, several at a time: the members of a sweep or a reproduction.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use walk_record::{ForkInfo, RecordError, RunFolder, Status};
use walk_report::counted;

use crate::experiment::Experiment;
use crate::failure::{Failure, chain};
use crate::interrupt;
use crate::output::{errln, is_new};
use crate::progress::bar;

/// A run to execute.
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

/// What a run folder contains.
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

/// How a successful run ended.
enum RunEnd {
    Done,
    WasFinished,
    Stopped,
}

/// How runs share the machine.
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

/// Executes every run that does not exist yet and resumes those that were stopped; `after` is called after each.
pub(crate) fn run_all(
    children: &[Child],
    pool: PoolConfig,
    after: &(impl Fn() + Sync),
) -> Result<(), Failure> {
    interrupt::listen()?;
    let program = program()?;
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let template = "{pos} of {len} {wide_bar} {eta} left, running {msg}";
    let bar = bar(children.len() as u64, template, pool.quiet);
    let failures: Mutex<BTreeMap<usize, String>> = Mutex::default();
    std::thread::scope(|scope| {
        let work = || {
            while !interrupt::asked() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(child) = children.get(index) else { break };
                bar.set_message(child.name.clone());
                let warn = |warning: &str| {
                    if is_new(warning) {
                        bar.suspend(|| errln!("warning: {}: {warning}", child.name));
                    }
                };
                let outcome = match child.run(&program, pool.threads_per_run(), &warn) {
                    Ok(RunEnd::Done) => "done".to_owned(),
                    Ok(RunEnd::WasFinished) => "already finished".to_owned(),
                    Ok(RunEnd::Stopped) => {
                        stopped.store(true, Ordering::Relaxed);
                        "stopped".to_owned()
                    }
                    Err(error) => {
                        let message = chain(&error);
                        failures.lock().expect("no thread panics").insert(index, message.clone());
                        message
                    }
                };
                if !pool.quiet {
                    let line = format!("{} of {}: {}: {outcome}", index + 1, children.len(), child.name);
                    bar.suspend(|| errln!("{line}"));
                }
                bar.inc(1);
                after();
            }
        };
        for _ in 0..pool.jobs {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let failures = failures.into_inner().expect("no thread panics");
    if interrupt::asked() || stopped.into_inner() {
        return Err(Failure::Stopped("stopped; repeat the command to resume".into()));
    }
    if failures.is_empty() {
        return Ok(());
    }
    let lines = failures.iter().map(|(&index, message)| format!("\n  {}: {message}", children[index].name));
    let lines: String = lines.collect();
    let all = counted(children.len(), "run");
    Err(Failure::Run(anyhow!("{} of {all} failed:{lines}", failures.len())))
}

/// This program. Linux finds it even if the file was replaced or removed since it started; elsewhere the path at the start of
/// the first run must stay valid.
fn program() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().context("cannot find this program's file")
}

impl Child {
    /// What its folder contains.
    pub(crate) fn folder_state(&self) -> Result<FolderState> {
        let folder = match RunFolder::open(&self.out) {
            Err(RecordError::NotARun { .. }) => return Ok(FolderState::New),
            opened => opened?,
        };
        let info = folder.read_info()?;
        let config = Experiment::as_given(&folder)?.to_toml()?;
        if config != self.config || info.fork != self.fork {
            return Ok(FolderState::Foreign);
        }
        Ok(match info.status {
            Status::Finished => FolderState::Finished,
            Status::Running | Status::Stopped | Status::Failed => FolderState::Unfinished,
        })
    }

    /// Executes the run, resumes it, or leaves it alone if it is finished; passes its warnings to `warn`.
    fn run(&self, program: &Path, threads: u16, warn: &(impl Fn(&str) + Sync)) -> Result<RunEnd> {
        let mut command = Command::new(program);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, "sgdwalk");
        let out = self.out.display();
        match self.folder_state()? {
            FolderState::New => command.args(&self.arguments).arg("--out").arg(&self.out),
            FolderState::Unfinished => command.arg("resume").arg(&self.out),
            FolderState::Finished => return Ok(RunEnd::WasFinished),
            FolderState::Foreign => {
                bail!("{out} is the run of another experiment; choose another folder with --out or remove it")
            }
        };
        command.args(["--quiet", "--until-input-ends", "--threads", &threads.to_string()]);
        // its messages are printed by this process, which spells commands as the user does
        command.env_remove("CARGO_PKG_NAME");
        let Ended { status, messages } = wait(&mut command, warn)?;
        let said =
            |prefix: &str| messages.iter().rev().find_map(|line| line.strip_prefix(prefix).map(str::trim));
        match status.code() {
            Some(0) => Ok(RunEnd::Done),
            Some(3) => Ok(RunEnd::Stopped),
            // without an error of its own, the last line says most
            Some(code) => match said("error: ").or_else(|| said("").filter(|line| !line.is_empty())) {
                Some(message) => Err(anyhow!("{message}")),
                None => Err(anyhow!("ended with exit code {code} and no message")),
            },
            None => Err(anyhow!("killed by a signal")),
        }
    }
}

/// How often to poll whether a process has ended.
const POLL: Duration = Duration::from_millis(20);

/// A process that has ended.
struct Ended {
    status: ExitStatus,
    /// The lines that it wrote to standard error.
    messages: Vec<String>,
}

/// Starts a process, passes on its warnings, closes its standard input once this one should stop, and waits until it has ended.
fn wait(command: &mut Command, warn: &(impl Fn(&str) + Sync)) -> Result<Ended> {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().context("cannot start a run")?;
    let (mut input, errors) = (process.stdin.take(), process.stderr.take());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| errors.map(|errors| read_messages(errors, warn)).unwrap_or_default());
        let status = loop {
            if let Some(status) = process.try_wait().context("cannot wait for a run")? {
                break status;
            }
            if interrupt::asked() {
                drop(input.take());
            }
            std::thread::sleep(POLL);
        };
        Ok(Ended { status, messages: reader.join().unwrap_or_default() })
    })
}

/// The lines of standard error until it ends or cannot be read.
fn read_messages(errors: impl Read, warn: &impl Fn(&str)) -> Vec<String> {
    let (mut errors, mut lines, mut bytes) = (BufReader::new(errors), vec![], vec![]);
    while errors.read_until(b'\n', &mut bytes).is_ok_and(|n_read| n_read > 0) {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if let Some(warning) = line.strip_prefix("warning: ") {
            warn(warning);
        }
        lines.push(line);
        bytes.clear();
    }
    lines
}
