//! The runs that an experiment file or a fork, together with --sweep and --seeds, asks for.

use std::path::{Path, PathBuf};

use anyhow::Result;
use walk_record::ForkInfo;

use super::grid::{axis, grid};
use crate::child::Child;
use crate::cli::{ExperimentArguments, SweepArguments};
use crate::experiment::Experiment;
use crate::experiment_source::{ExperimentSource, Selection, Setting};
use crate::fork::ForkPoint;

/// What the members of a sweep have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Base<'a> {
    File(&'a ExperimentArguments),
    Fork { point: &'a ForkPoint, sets: &'a [Setting] },
}

/// The runs asked for: one, or the members of a sweep.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) members: Vec<Member>,
    pub(crate) is_sweep: bool,
    /// The folder of a sweep.
    pub(crate) folder: PathBuf,
}

/// A run asked for.
#[derive(Debug)]
pub(crate) struct Member {
    /// The name of its folder in a sweep.
    pub(crate) name: String,
    pub(crate) source: ExperimentSource,
    pub(crate) experiment: Experiment,
    /// The command line that starts it, without the folder.
    arguments: Vec<String>,
    fork: Option<ForkInfo>,
}

impl Base<'_> {
    /// Whether several runs are asked for, each in a folder of a common one.
    pub(crate) fn is_sweep(&self, sweep: &SweepArguments) -> Result<bool> {
        if !sweep.axes.is_empty() || sweep.seeds.is_some() {
            return Ok(true);
        }
        let names_member = matches!(self, Self::File(file) if file.member.is_some());
        Ok(!names_member && self.file_members()? != [None])
    }

    fn file_members(&self) -> Result<Vec<Option<String>>> {
        match self {
            Self::File(file) => ExperimentSource::members(&file.path, file.member.as_deref()),
            Self::Fork { .. } => Ok(vec![None]),
        }
    }

    fn sets(&self) -> &[Setting] {
        match self {
            Self::File(file) => &file.set.values,
            Self::Fork { sets, .. } => sets,
        }
    }

    /// Reads the experiment of a member, with further settings.
    fn read(&self, file_member: Option<&str>, sets: &[Setting]) -> Result<ExperimentSource> {
        let sets = [self.sets(), sets].concat();
        match self {
            Self::File(file) => {
                let selection = Selection { member: file_member, ..file.selection() };
                ExperimentSource::read(&file.path, selection, &sets)
            }
            Self::Fork { point, .. } => point.experiment_source(&sets),
        }
    }

    /// The command line that starts a member, without the folder.
    fn arguments(&self, file_member: Option<&str>, sets: &[Setting]) -> Vec<String> {
        let mut arguments = match self {
            Self::File(file) => vec![file.path.display().to_string()],
            Self::Fork { point, .. } => vec!["fork".into(), point.to_string()],
        };
        let mut option = |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
        if let Self::File(ExperimentArguments { scale: Some(scale), .. }) = self {
            option("--scale", scale);
        }
        file_member.iter().for_each(|member| option("--member", member));
        self.sets().iter().chain(sets).for_each(|set| option("--set", set.text()));
        arguments
    }

    /// The folder of a sweep if the user names none.
    fn usual_folder(&self, name: &str) -> PathBuf {
        let suffix = match self {
            Self::File(file) => file.scale.as_ref().map(|scale| format!("-{scale}")),
            Self::Fork { point, .. } => Some(format!("@{}", point.step)),
        };
        PathBuf::from("runs").join(format!("{name}{}.sweep", suffix.unwrap_or_default()))
    }
}

impl Plan {
    /// Reads every experiment asked for; `out` is the folder of a sweep.
    pub(crate) fn read(base: Base<'_>, sweep: &SweepArguments, out: Option<&Path>) -> Result<Self> {
        let file_members = base.file_members()?;
        let mut axes: Vec<Vec<Setting>> = sweep.axes.iter().map(|text| axis(text)).collect::<Result<_>>()?;
        if let Some(seeds) = sweep.seeds {
            let first = Experiment::parse(&base.read(file_members[0].as_deref(), &[])?)?.seed;
            let seed = |n: u32| Setting::parse(&format!("seed={}", first + u64::from(n)));
            axes.push((0..seeds).map(seed).collect::<Result<_>>()?);
        }
        let members = grid(&file_members, &axes)?.into_iter().map(|cell| {
            let source = base.read(cell.file_member.as_deref(), &cell.sets)?;
            let experiment = Experiment::parse(&source)?;
            let arguments = base.arguments(cell.file_member.as_deref(), &cell.sets);
            let fork = match base {
                Base::File(_) => None,
                Base::Fork { point, sets } => Some(point.info(&[sets, &cell.sets].concat())),
            };
            Ok(Member { name: cell.name, source, experiment, arguments, fork })
        });
        let members: Vec<Member> = members.collect::<Result<_>>()?;
        let folder = out.map_or_else(|| base.usual_folder(members[0].experiment.name()), Path::to_path_buf);
        Ok(Self { members, is_sweep: base.is_sweep(sweep)?, folder })
    }

    /// The members of a sweep as runs in its folder.
    pub(crate) fn children(&self) -> Result<Vec<Child>> {
        let child = |member: &Member| {
            Ok(Child {
                name: member.name.clone(),
                out: self.folder.join(&member.name),
                arguments: member.arguments.clone(),
                config: toml::to_string(&member.experiment)?,
                fork: member.fork.clone(),
            })
        };
        self.members.iter().map(child).collect()
    }
}
