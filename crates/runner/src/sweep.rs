//! `--sweep` and `--seeds`: the same experiment with other values, each member a process and a folder of its own.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow};
use walk_record::{RunFolder, Status};

use crate::cli::RunArguments;
use crate::experiment::Experiment;
use crate::failure::Failure;
use crate::interrupt;
use crate::prepare::prepare;
use crate::report_command::{Output, report};
use crate::source::{Setting, Source};

/// Most members, so that a slip of the hand does not fill the disk.
const MAX_MEMBERS: usize = 10_000;

/// One run of a sweep.
#[derive(Clone, Debug)]
struct Member {
    /// Its folder's name: its values.
    name: String,
    sets: Vec<Setting>,
}

/// How a member ended.
enum End {
    Done(&'static str),
    Failed(String),
    Stopped,
}

/// Runs every member that has not been run, and prints the tables of all.
pub(crate) fn sweep(path: &Path, arguments: &RunArguments) -> Result<(), Failure> {
    let source = Source::read(path, &arguments.sets)?;
    let experiment = Experiment::parse(&source)?;
    let mut axes: Vec<Vec<Setting>> =
        arguments.sweeps.iter().map(|text| axis(text)).collect::<Result<_>>()?;
    if let Some(seeds) = arguments.seeds {
        let seed = |n: u32| Setting::parse(&format!("seed={}", experiment.seed + u64::from(n)));
        axes.push((0..seeds).map(seed).collect::<Result<_>>()?);
    }
    let members = grid(&axes)?;
    // whatever is wrong with a member is said before any is run; the plugin is built once
    for member in &members {
        let sets = [arguments.sets.as_slice(), &member.sets].concat();
        Experiment::parse(&Source::read(path, &sets)?)?;
    }
    let first = [arguments.sets.as_slice(), &members[0].sets].concat();
    prepare(&Source::read(path, &first)?)?;
    let folder = arguments
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs").join(format!("{}.sweep", experiment.name())));
    std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be created", folder.display()))?;
    interrupt::listen(true)?;

    let threads = threads_each(arguments);
    let next = AtomicUsize::new(0);
    let ends: Mutex<Vec<(usize, End)>> = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                while !interrupt::asked() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(member) = members.get(index) else { break };
                    let sets = [arguments.sets.as_slice(), &member.sets].concat();
                    let run = run_member(path, &sets, &folder.join(&member.name), threads);
                    let end = run.unwrap_or_else(|error| End::Failed(format!("{error:#}")));
                    if !arguments.quiet {
                        eprintln!("{} of {}: {}: {}", index + 1, members.len(), member.name, end.text());
                    }
                    if let Ok(mut ends) = ends.lock() {
                        ends.push((index, end));
                    }
                }
            });
        }
    });
    let mut ends = ends.into_inner().map_err(|_| anyhow!("a member's thread panicked"))?;
    ends.sort_by_key(|(index, _)| *index);
    let there: Vec<PathBuf> = members.iter().map(|member| folder.join(&member.name)).collect();
    let there: Vec<PathBuf> = there.into_iter().filter(|path| RunFolder::open(path).is_ok()).collect();
    let output = if arguments.json { Output::Json } else { Output::Text };
    if !there.is_empty() {
        report(&there, Some(&folder.join("report")), output)?;
    }
    let failed: Vec<String> = ends
        .iter()
        .filter_map(|(index, end)| match end {
            End::Failed(error) => Some(format!("{}: {error}", members[*index].name)),
            _ => None,
        })
        .collect();
    if output == Output::Text {
        println!("\n{} of {} runs are in {}", there.len(), members.len(), folder.display());
    }
    if interrupt::asked() || ends.iter().any(|(_, end)| matches!(end, End::Stopped)) {
        return Err(Failure::Stopped("stopped; the same command goes on".into()));
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::Run(anyhow!(
        "{} of {} runs failed:\n  {}",
        failed.len(),
        members.len(),
        failed.join("\n  ")
    )))
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

fn threads_each(arguments: &RunArguments) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.map_or(cores, usize::from);
    (threads / usize::from(arguments.jobs)).max(1)
}

/// Runs a member, goes on with it, or leaves it alone if it is done.
fn run_member(path: &Path, sets: &[Setting], out: &Path, threads: usize) -> Result<End> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let mut command = Command::new(program);
    if let Ok(folder) = RunFolder::open(out) {
        let config = std::fs::read_to_string(folder.config_path()).unwrap_or_default();
        let wanted = toml::to_string(&Experiment::parse(&Source::read(path, sets)?)?)?;
        if config != wanted {
            return Err(anyhow!(
                "{} is the run of another experiment; name another folder with --out or remove it",
                out.display()
            ));
        }
        match folder.read_info()?.status {
            Status::Finished => return Ok(End::Done("was there")),
            Status::Running | Status::Stopped | Status::Failed => command.arg("--resume").arg(out),
        };
    } else {
        command.arg(path).arg("--out").arg(out);
        for set in sets {
            command.arg("--set").arg(set.text());
        }
    }
    command.args(["--quiet", "--threads", &threads.to_string()]).stdout(Stdio::null());
    let output = command.stderr(Stdio::piped()).output().context("a run cannot be started")?;
    let message = String::from_utf8_lossy(&output.stderr);
    let message = message.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or_default();
    Ok(match output.status.code() {
        Some(0) => End::Done("done"),
        Some(3) => End::Stopped,
        Some(_) => End::Failed(message.to_owned()),
        None => End::Failed("killed by a signal".into()),
    })
}

/// `key=values` as settings.
fn axis(text: &str) -> Result<Vec<Setting>> {
    let wrong = || {
        anyhow!("--sweep {text}: expected KEY=VALUES with a list 0.1,0.2, a range 1..=5, or first:last:step")
    };
    let (key, values) = text.split_once('=').ok_or_else(wrong)?;
    let values = if let Some((first, last)) = values.split_once("..=") {
        let ends = first.trim().parse::<i64>().ok().zip(last.trim().parse::<i64>().ok());
        let (first, last) = ends.filter(|(first, last)| first <= last).ok_or_else(wrong)?;
        (first..=last).take(MAX_MEMBERS + 1).map(|value| value.to_string()).collect()
    } else if let [first, last, step] = values.split(':').collect::<Vec<_>>()[..] {
        stepped(first, last, step).ok_or_else(wrong)?
    } else {
        items(values)
    };
    if values.iter().any(|value| value.trim().is_empty()) {
        return Err(wrong());
    }
    values.iter().map(|value| Setting::parse(&format!("{key}={value}"))).collect()
}

/// first, first + step, ..., up to last.
fn stepped(first: &str, last: &str, step: &str) -> Option<Vec<String>> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|x| x.is_finite());
    let (first, last, step) = (number(first)?, number(last)?, number(step)?);
    // half a billionth of a step, since 0.1 + 0.1 + 0.1 is not 0.3
    let steps = ((last - first) / step + 5e-10).floor();
    if !(steps >= 0.0 && steps <= MAX_MEMBERS as f64) {
        return None;
    }
    let round = |x: f64| format!("{x:.12e}").parse::<f64>().unwrap_or(x);
    // a TOML float has a point
    Some((0..=steps as u32).map(|i| format!("{:?}", round(first + f64::from(i) * step))).collect())
}

/// A list at its commas, but for those within brackets and quotes.
fn items(values: &str) -> Vec<String> {
    let (mut items, mut depth, mut quoted) = (vec![String::new()], 0, false);
    for c in values.chars() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        items.last_mut().expect("it starts with one").push(c);
    }
    items
}

/// Every combination, the last axis fastest.
fn grid(axes: &[Vec<Setting>]) -> Result<Vec<Member>> {
    let mut members = vec![Member { name: String::new(), sets: vec![] }];
    for axis in axes {
        if members.len() * axis.len() > MAX_MEMBERS {
            return Err(anyhow!("the sweep has more than {MAX_MEMBERS} members"));
        }
        let with = |member: &Member, set: &Setting| {
            let plain = |c: char| if c.is_alphanumeric() || "-_.=+".contains(c) { c } else { '_' };
            let part: String = set.text().chars().map(plain).collect();
            let name = if member.name.is_empty() { part } else { format!("{},{part}", member.name) };
            Member { name, sets: [member.sets.as_slice(), std::slice::from_ref(set)].concat() }
        };
        members = members.iter().flat_map(|member| axis.iter().map(move |set| with(member, set))).collect();
    }
    let mut names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(anyhow!("the sweep has {} twice", pair[0])),
        None => Ok(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_make_a_grid() {
        let texts = |text: &str| {
            axis(text).map(|axis| axis.iter().map(|set| set.text().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(texts("optim.lr=0.1,0.2").unwrap(), ["optim.lr=0.1", "optim.lr=0.2"]);
        assert_eq!(texts("seed=3..=5").unwrap(), ["seed=3", "seed=4", "seed=5"]);
        assert_eq!(texts("optim.lr=0.1:0.3:0.1").unwrap(), ["optim.lr=0.1", "optim.lr=0.2", "optim.lr=0.3"]);
        assert_eq!(texts("a=[1, 2],[3]").unwrap(), ["a=[1, 2]", "a=[3]"]);
        for wrong in ["seed", "seed=5..=3", "seed=1,,2", "lr=0.1:0.3:0", "lr=1:0:1", "lr=a:b:c"] {
            assert!(texts(wrong).unwrap_err().to_string().contains("expected KEY=VALUES"), "{wrong}");
        }
        let members = grid(&[axis("optim.lr=0.1,0.2").unwrap(), axis("seed=1..=2").unwrap()]).unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let expected =
            ["optim.lr=0.1,seed=1", "optim.lr=0.1,seed=2", "optim.lr=0.2,seed=1", "optim.lr=0.2,seed=2"];
        assert_eq!(names, expected);
        assert!(grid(&[axis("seed=1,1").unwrap()]).unwrap_err().to_string().contains("seed=1 twice"));
        assert!(grid(&[axis("seed=1..=99999").unwrap()]).is_err());
    }
}
