//! `--sweep`, `--seeds`, and files with several members: experiments that differ in some values, each a process and a folder
//! of its own.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use walk_record::RunFolder;

use crate::child::{Child, Jobs, run_all};
use crate::cli::RunArguments;
use crate::experiment::Experiment;
use crate::failure::Failure;
use crate::prepare::prepare;
use crate::report_command::{Output, report};
use crate::source::{Selection, Setting, Source};

/// Most members, so that a slip of the hand does not fill the disk.
const MAX_MEMBERS: usize = 10_000;

/// One run of a sweep.
#[derive(Clone, Debug)]
struct Member {
    /// Its folder's name: its part of the file, and its values.
    name: String,
    /// Its part of the file.
    part: Option<String>,
    sets: Vec<Setting>,
}

/// Runs every member that has not been run, and prints the tables of all.
pub(crate) fn sweep(path: &Path, arguments: &RunArguments) -> Result<(), Failure> {
    let parts = Source::members(path, arguments.member.as_deref())?;
    let mut axes: Vec<Vec<Setting>> =
        arguments.sweeps.iter().map(|text| axis(text)).collect::<Result<_>>()?;
    let read = |part: Option<&str>, sets: &[Setting]| {
        let selection = Selection { member: part, ..arguments.selection() };
        Source::read(path, selection, &[arguments.sets.as_slice(), sets].concat())
    };
    if let Some(seeds) = arguments.seeds {
        let first = Experiment::parse(&read(parts[0].as_deref(), &[])?)?.seed;
        let seed = |n: u32| Setting::parse(&format!("seed={}", first + u64::from(n)));
        axes.push((0..seeds).map(seed).collect::<Result<_>>()?);
    }
    let members = grid(&parts, &axes)?;
    // whatever is wrong with a member is said before any is run; the plugin is built once
    let sources: Vec<Source> =
        members.iter().map(|member| read(member.part.as_deref(), &member.sets)).collect::<Result<_>>()?;
    let experiments: Vec<Experiment> = sources.iter().map(Experiment::parse).collect::<Result<_>>()?;
    prepare(&sources[0])?;
    let folder = arguments.out.clone().unwrap_or_else(|| {
        let scale = arguments.scale.as_deref().map(|scale| format!("-{scale}")).unwrap_or_default();
        PathBuf::from("runs").join(format!("{}{scale}.sweep", experiments[0].name()))
    });
    std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be created", folder.display()))?;

    let children = members.iter().zip(&experiments).map(|(member, experiment)| {
        let mut own = vec![path.display().to_string()];
        let mut option = |name: &str, value: &str| own.extend([name.to_owned(), value.to_owned()]);
        arguments.scale.iter().for_each(|scale| option("--scale", scale));
        member.part.iter().for_each(|part| option("--member", part));
        arguments.sets.iter().chain(&member.sets).for_each(|set| option("--set", set.text()));
        let (name, config) = (member.name.clone(), toml::to_string(experiment)?);
        Ok(Child { out: folder.join(&name), name, arguments: own, config })
    });
    let children: Vec<Child> = children.collect::<Result<_>>()?;
    let RunArguments { jobs, threads, quiet, .. } = *arguments;
    let ends = run_all(&children, Jobs { jobs, threads, quiet })?;
    let there: Vec<PathBuf> = children.iter().map(|child| child.out.clone()).collect();
    let there: Vec<PathBuf> = there.into_iter().filter(|path| RunFolder::open(path).is_ok()).collect();
    let output = if arguments.json { Output::Json } else { Output::Text };
    if !there.is_empty() {
        report(&there, Some(&folder.join("report")), output)?;
    }
    if output == Output::Text {
        println!("\n{} of {} runs are in {}", there.len(), members.len(), folder.display());
    }
    ends.result(&children)
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

/// Every combination of the file's parts and the axes' values, the last axis fastest.
fn grid(parts: &[Option<String>], axes: &[Vec<Setting>]) -> Result<Vec<Member>> {
    let member = |part: &Option<String>| Member {
        name: part.clone().unwrap_or_default(),
        part: part.clone(),
        sets: vec![],
    };
    let mut members: Vec<Member> = parts.iter().map(member).collect();
    for axis in axes {
        if members.len() * axis.len() > MAX_MEMBERS {
            return Err(anyhow!("the sweep has more than {MAX_MEMBERS} members"));
        }
        let with = |member: &Member, set: &Setting| {
            let plain = |c: char| if c.is_alphanumeric() || "-_.=+".contains(c) { c } else { '_' };
            let part: String = set.text().chars().map(plain).collect();
            let name = if member.name.is_empty() { part } else { format!("{},{part}", member.name) };
            let sets = [member.sets.as_slice(), std::slice::from_ref(set)].concat();
            Member { name, sets, ..member.clone() }
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
        let members =
            grid(&[None], &[axis("optim.lr=0.1,0.2").unwrap(), axis("seed=1..=2").unwrap()]).unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let expected =
            ["optim.lr=0.1,seed=1", "optim.lr=0.1,seed=2", "optim.lr=0.2,seed=1", "optim.lr=0.2,seed=2"];
        assert_eq!(names, expected);
        assert!(
            grid(&[None], &[axis("seed=1,1").unwrap()]).unwrap_err().to_string().contains("seed=1 twice")
        );
        let parts = ["a", "b"].map(|name| Some(name.to_owned()));
        let members = grid(&parts, &[axis("seed=1..=2").unwrap()]).unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["a,seed=1", "a,seed=2", "b,seed=1", "b,seed=2"]);
        assert!(grid(&[None], &[axis("seed=1..=99999").unwrap()]).is_err());
    }
}
