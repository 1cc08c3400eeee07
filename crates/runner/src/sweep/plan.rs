//! The runs requested by an experiment file or a fork together with --sweep and --seeds.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use walk_record::ForkInfo;

use super::description::SweepDescription;
use super::grid::{Cell, axis, grid};
use crate::child::Child;
use crate::cli::{ExperimentArguments, SweepArguments};
use crate::experiment::Experiment;
use crate::experiment_source::{ExperimentSource, Selection, Setting};
use crate::fork::{ForkPoint, check_left, find};
use crate::hints;
use crate::prepare::{Preparation, Prepared};
use crate::resume::open_run;

/// What the members of a sweep have in common.
#[derive(Clone, Debug)]
pub(crate) struct Base<'a> {
    /// The experiment file; for a fork, that of its parent.
    path: PathBuf,
    selection: Selection<'a>,
    settings: &'a [Setting],
    fork: Option<&'a ForkPoint>,
}

/// The requested runs: one, or the members of a sweep.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) members: Vec<Member>,
    pub(crate) is_sweep: bool,
    /// The folder of a sweep.
    pub(crate) folder: PathBuf,
    /// What the members of a sweep have in common.
    pub(super) description: SweepDescription,
}

/// A requested run.
#[derive(Debug)]
pub(crate) struct Member {
    /// The name of its folder in a sweep.
    pub(crate) name: String,
    /// The member of the experiment file.
    file_member: Option<String>,
    pub(crate) source: ExperimentSource,
    pub(crate) experiment: Experiment,
    /// The command line that starts it, without the folder.
    arguments: Vec<String>,
    fork: Option<ForkInfo>,
}

impl<'a> Base<'a> {
    pub(crate) fn file(arguments: &'a ExperimentArguments) -> Result<Self> {
        let ExperimentArguments { path, settings, .. } = arguments;
        match hints::for_path(path) {
            Some(hint) => Err(anyhow!(hint)),
            None => Ok(Self { path: path.clone(), selection: arguments.selection(), settings, fork: None }),
        }
    }

    pub(crate) fn fork(point: &'a ForkPoint, settings: &'a [Setting]) -> Result<Self> {
        let path = open_run(&point.run)?.config_path();
        Ok(Self { path, selection: Selection::default(), settings, fork: Some(point) })
    }

    /// Whether several runs are requested, each in its own subfolder of a common folder.
    pub(crate) fn is_sweep(&self, sweep: &SweepArguments) -> Result<bool> {
        let has_axes = !sweep.axes.is_empty() || sweep.seeds.is_some();
        Ok(has_axes || self.selection.member.is_none() && self.file_members()? != [None])
    }

    fn file_members(&self) -> Result<Vec<Option<String>>> {
        ExperimentSource::members(&self.path, self.selection.member)
    }

    /// The experiment if only one is requested.
    pub(crate) fn experiment_source(&self) -> Result<ExperimentSource> {
        ExperimentSource::read(&self.path, self.selection, self.settings)
    }

    /// How the description of a fork with additional settings records it.
    pub(crate) fn fork_info(&self, more: &[Setting]) -> Option<ForkInfo> {
        self.fork.map(|point| point.info(&[self.settings, more].concat()))
    }

    fn member(&self, cell: Cell) -> Result<Member> {
        let Cell { name, file_member, settings } = cell;
        let fork = self.fork_info(&settings);
        let settings = [self.settings, &settings].concat();
        let selection = Selection { member: file_member.as_deref(), ..self.selection };
        let source = ExperimentSource::read(&self.path, selection, &settings)?;
        let mut arguments = match self.fork {
            Some(point) => vec!["fork".into(), point.to_string()],
            None => vec![self.path.display().to_string()],
        };
        let mut option = |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
        selection.scale.iter().for_each(|scale| option("--scale", scale));
        selection.member.iter().for_each(|member| option("--member", member));
        settings.iter().for_each(|setting| option("--set", setting.text()));
        Ok(Member { name, experiment: Experiment::parse(&source)?, file_member, source, arguments, fork })
    }

    /// The default folder of a sweep: `runs/NAME.sweep`, or `runs/NAME-2.sweep`, ...
    fn default_folder(&self, name: &str, number: u32) -> PathBuf {
        let suffix = match (self.fork, self.selection.scale) {
            (Some(point), _) => format!("@{}", point.step),
            (None, Some(scale)) => format!("-{scale}"),
            (None, None) => String::new(),
        };
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        PathBuf::from("runs").join(format!("{name}{suffix}{number}.sweep"))
    }
}

impl Member {
    /// Checks it as far as that is possible without training it.
    fn check(&self, preparation: &mut Preparation) -> Result<Prepared> {
        let prepared = preparation.prepare(&self.source)?;
        prepared.check_probes(&self.source)?;
        // a fork starts from its parent's parameters
        if self.fork.is_none() {
            prepared.check_initial(&self.source)?;
        }
        Ok(prepared)
    }

    /// The error with the member's name, unless it blames one of the values in the name.
    fn named(&self, error: &anyhow::Error) -> anyhow::Error {
        let (name, error) = (&self.name, format!("{error:#}"));
        let is_blamed = error.starts_with("--sweep ") || error.starts_with("--seeds ");
        if is_blamed { anyhow!(error) } else { anyhow!("{name}: {error}") }
    }
}

impl Plan {
    /// Reads every requested experiment.
    pub(crate) fn read(base: &Base<'_>, sweep: &SweepArguments) -> Result<Self> {
        let file_members = base.file_members()?;
        let mut axes: Vec<Vec<Setting>> = sweep.axes.iter().map(|text| axis(text)).collect::<Result<_>>()?;
        if let Some(seeds) = sweep.seeds {
            let cell = Cell { file_member: file_members[0].clone(), ..Cell::default() };
            axes.push(base.member(cell)?.experiment.seed_settings(seeds)?);
        }
        let cells = grid(&file_members, &axes)?.into_iter();
        let members: Vec<Member> = cells.map(|cell| base.member(cell)).collect::<Result<_>>()?;
        if let Some(point) = base.fork {
            let place = find(point)?.place;
            members.iter().try_for_each(|member| check_left(point, place, &member.experiment))?;
        }
        let keys: BTreeSet<String> = axes.iter().flatten().map(Setting::key).collect();
        let keys: Vec<String> = keys.into_iter().collect();
        let mut bases = BTreeMap::new();
        for Member { source, file_member, .. } in &members {
            let name = file_member.clone().unwrap_or_default();
            if let Entry::Vacant(vacant) = bases.entry(name) {
                vacant.insert(source.sha256_without(&keys)?);
            }
        }
        let fork = base.fork.map(ForkPoint::to_string);
        let description = SweepDescription { keys, fork, bases };
        let folder = sweep.out.clone().unwrap_or_default();
        let mut plan = Self { members, is_sweep: base.is_sweep(sweep)?, folder, description };
        if sweep.out.is_none() && plan.is_sweep {
            plan.choose_folder(base)?;
        }
        Ok(plan)
    }

    /// Checks every member as far as that is possible without training it, and prints the warnings of the first. The others
    /// print their own when they run.
    pub(crate) fn check_members(&self) -> Result<()> {
        let mut preparation = Preparation::default();
        for (index, member) in self.members.iter().enumerate() {
            let prepared = member.check(&mut preparation).map_err(|error| member.named(&error))?;
            if index == 0 {
                prepared.warn();
            }
        }
        Ok(())
    }

    /// Chooses the first of the default folders that contains this sweep or nothing.
    fn choose_folder(&mut self, base: &Base<'_>) -> Result<()> {
        for number in 1.. {
            self.folder = base.default_folder(self.members[0].experiment.name(), number);
            if self.folder.symlink_metadata().is_err() || self.check_folder().is_ok() {
                break;
            }
        }
        Ok(())
    }

    /// Rejects a folder that contains something else.
    pub(crate) fn check_folder(&self) -> Result<()> {
        self.description.check(&self.folder, &self.children()?)
    }

    /// The members of a sweep as runs in its folder.
    pub(crate) fn children(&self) -> Result<Vec<Child>> {
        let child = |Member { name, experiment, arguments, fork, .. }: &Member| {
            let (out, config) = (self.folder.join(name), experiment.to_toml()?);
            Ok(Child { name: name.clone(), out, arguments: arguments.clone(), config, fork: fork.clone() })
        };
        self.members.iter().map(child).collect()
    }
}
