//! What a reproduction runs: the experiments of each table, figure and later result with their seeds; experiments that train identically
//! share one run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use walk_arch::did_you_mean;

use crate::cli::{ReproduceArguments, Suite};
use crate::digest::sha256;
use crate::experiment::Experiment;
use crate::experiment_source::{ExperimentSource, Selection, Setting};

/// A table or figure of the paper, or a result of another publication.
#[derive(Debug)]
pub(super) struct ReproducedItem {
    /// Its file's name: `table1`, `fig07a`, `noise-scale`.
    pub(super) name: String,
    pub(super) members: Vec<Member>,
}

/// One experiment of a table or figure.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name in the file, or the architecture's.
    pub(super) label: String,
    /// The experiment with each of its seeds, starting with its own.
    pub(super) experiments: Vec<Experiment>,
    /// The index of the run that contains the rows of each.
    pub(super) runs: Vec<usize>,
}

/// A run that one or several experiments share.
#[derive(Clone, Debug)]
pub(super) struct SharedRun {
    /// The architecture, the data, and a digest of the rest.
    pub(super) name: String,
    pub(super) experiment: Experiment,
    /// The resolved experiment, as its run folder keeps it.
    pub(super) config: String,
}

/// Tables and figures, and the runs that they need.
#[derive(Debug)]
pub(super) struct ReproductionPlan {
    pub(super) items: Vec<ReproducedItem>,
    pub(super) runs: Vec<SharedRun>,
}

impl ReproductionPlan {
    /// Reads the named tables and figures, or all if none is named. A run in `finished` is reused if it measured enough.
    pub(super) fn read(arguments: &ReproduceArguments, finished: &[SharedRun]) -> Result<Self> {
        let mut items = vec![];
        let folders = arguments.dir.clone().map_or_else(|| arguments.suite.folders(), |dir| vec![dir]);
        for path in chosen(&folders, arguments.suite, &arguments.only)? {
            let members = ExperimentSource::members(&path, None)?.into_iter();
            let members = members.map(|name| Member::read(&path, name, arguments)).collect::<Result<_>>()?;
            items.push(ReproducedItem { name: stem(&path), members });
        }
        let (mut experiments, most_seeds) =
            (vec![], members(&mut items).map(|member| member.experiments.len()).max());
        // every table and figure gets its first seed before any gets its second
        for seed in 0..most_seeds.unwrap_or(0) {
            for member in members(&mut items) {
                let run =
                    member.experiments.get(seed).map(|experiment| run_for(&mut experiments, experiment));
                member.runs.extend(run);
            }
        }
        let runs = experiments.into_iter().map(|experiment| {
            match finished.iter().find(|run| run.experiment.covers(&experiment)) {
                Some(run) => Ok(run.clone()),
                None => SharedRun::new(experiment),
            }
        });
        Ok(Self { items, runs: runs.collect::<Result<_>>()? })
    }
}

fn members(items: &mut [ReproducedItem]) -> impl Iterator<Item = &mut Member> {
    items.iter_mut().flat_map(|item| &mut item.members)
}

impl Member {
    /// Reads an experiment of a file with the number of seeds given by the arguments, or else by the experiment. Its runs
    /// are not known yet.
    fn read(path: &Path, name: Option<String>, arguments: &ReproduceArguments) -> Result<Self> {
        let selection = Selection { scale: Some(&arguments.scale), member: name.as_deref() };
        let read = |seed: &[Setting]| {
            let settings = [&arguments.settings, seed].concat();
            Experiment::parse(&ExperimentSource::read(path, selection, &settings)?)
        };
        let first = read(&[])?;
        let count = arguments.seeds.or(first.reproduce_seeds).unwrap_or(1);
        let seeds = first.seed_settings(count)?;
        let experiments = seeds.iter().map(|seed| read(std::slice::from_ref(seed)));
        let experiments = experiments.collect::<Result<_>>()?;
        Ok(Self { label: name.unwrap_or(first.model.plugin), experiments, runs: vec![] })
    }
}

/// The index of the run that measures what `experiment` does: one that trains identically, extended to measure this as
/// well, or a new one.
fn run_for(runs: &mut Vec<Experiment>, experiment: &Experiment) -> usize {
    for (index, run) in runs.iter_mut().enumerate() {
        if let Some(both) = run.join(experiment) {
            *run = both;
            return index;
        }
    }
    runs.push(experiment.clone());
    runs.len() - 1
}

impl SharedRun {
    /// The name of the experiment's run.
    fn new(experiment: Experiment) -> Result<Self> {
        let mut experiment = Experiment { name: None, claims: vec![], reproduce_seeds: None, ..experiment };
        let digest = sha256(experiment.to_toml()?);
        let plugin = Path::new(&experiment.model.plugin).file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{plugin}-{}-{}", experiment.data.set.name(), &digest[..8]);
        experiment.name = Some(name.clone());
        Ok(Self { name, config: experiment.to_toml()?, experiment })
    }
}

/// The files of the named tables, figures and results, folder by folder, tables first.
fn chosen(folders: &[PathBuf], suite: Suite, only: &[String]) -> Result<Vec<PathBuf>> {
    let mut paths = vec![];
    for dir in folders {
        let entries =
            std::fs::read_dir(dir).with_context(|| format!("{}: cannot read the folder", dir.display()))?;
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        found.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
        let is_of_paper = |path: &Path| ["table", "fig"].iter().any(|kind| stem(path).starts_with(kind));
        // the paper's folder contains other experiments as well
        if suite == Suite::Paper || found.iter().any(|path| is_of_paper(path)) {
            found.retain(|path| is_of_paper(path));
        }
        found.sort_by_key(|path| (!stem(path).starts_with("table"), stem(path)));
        if found.is_empty() {
            let names = if suite == Suite::Paper { "table*.toml or fig*.toml" } else { "*.toml" };
            return Err(anyhow!("{}: contains no {names}", dir.display()));
        }
        paths.append(&mut found);
    }
    let wanted = |path: &Path, name: &str| {
        let stem = stem(path);
        // fig07 is fig07a and fig07b
        stem == name
            || stem
                .strip_prefix(name)
                .is_some_and(|rest| rest.len() == 1 && !rest.as_bytes()[0].is_ascii_digit())
    };
    if let Some(name) = only.iter().find(|name| !paths.iter().any(|path| wanted(path, name))) {
        let stems: Vec<String> = paths.iter().map(|path| stem(path)).collect();
        // fig5 is fig05
        let (letters, rest) = name.split_at(name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len()));
        let padded = format!("{}0{rest}", letters.trim_end_matches(['-', '_', ' ']));
        let suggestion = match paths.iter().any(|path| wanted(path, &padded)) {
            true => format!(", did you mean `{padded}`?"),
            false => did_you_mean(name, stems.iter().map(String::as_str)),
        };
        let folders: Vec<String> = folders.iter().map(|dir| dir.display().to_string()).collect();
        return Err(anyhow!("--only {name}: {} has no {name}.toml{suggestion}", folders.join(" and ")));
    }
    paths.retain(|path| only.is_empty() || only.iter().any(|name| wanted(path, name)));
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_figures_are_named_by_their_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["fig10.toml", "fig07b.toml", "fig07a.toml", "table1.toml", "quick.toml", "fig01.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
            chosen(&[dir.path().to_owned()], Suite::Paper, &only)
                .map(|paths| paths.iter().map(|path| stem(path)).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["table1", "fig07a", "fig07b", "fig10"]);
        assert_eq!(names(&["fig07", "fig10"]).unwrap(), ["fig07a", "fig07b", "fig10"]);
        let wrong = names(&["fig7"]).unwrap_err().to_string();
        assert!(wrong.contains("--only fig7: ") && wrong.contains("did you mean `fig07`?"), "{wrong}");
        let wrong = names(&["fig1"]).unwrap_err().to_string();
        assert!(wrong.contains("--only fig1: ") && wrong.contains("did you mean `fig10`?"), "{wrong}");
    }
}
