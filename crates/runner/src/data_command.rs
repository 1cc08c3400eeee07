//! `sgdwalk data`.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use walk_arch::did_you_mean;
use walk_data::fetch::{Fetched, fetch, remote_set};
use walk_data::{DataConfig, DataSet, usual_root};
use walk_report::{Cell, Column, Extent, Role, Table};

use crate::cli::DataCommand;
use crate::failure::Failure;
use crate::output::{outln, print_table};

pub(crate) fn data(command: &DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::Fetch { name, dir, from } => fetch_set(name, dir.as_deref(), from.as_deref())?,
        DataCommand::List { dir } => list(&dir.clone().unwrap_or_else(usual_root)),
    }
    Ok(())
}

fn fetch_set(name: &str, dir: Option<&Path>, from: Option<&str>) -> Result<(), Failure> {
    let remote: Vec<_> = DataSet::ALL.into_iter().filter_map(|set| Some((set, remote_set(set)?))).collect();
    let Some((set, origin)) = remote.iter().find(|(set, _)| set.name() == name) else {
        let names: Vec<&str> = remote.iter().map(|(set, _)| set.name()).collect();
        let suggestion = did_you_mean(name, names.iter().copied());
        let known = names.join(", ");
        if let Some(set) = DataSet::ALL.into_iter().find(|set| set.name() == name) {
            let reason = if set == DataSet::Digits { "it is built in" } else { "it reads your own images" };
            return Err(
                anyhow!("{name}: nothing to download: {reason}; downloadable data sets: {known}").into()
            );
        }
        return Err(
            anyhow!("`{name}` is not a downloadable data set, expected one of {known}{suggestion}").into()
        );
    };
    let dir = dir.map_or_else(|| set.usual_dir(None), PathBuf::from);
    for file in origin.files {
        let url = origin.address(file, from);
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        bar.set_style(ProgressStyle::with_template(style).context("the bar's template is fixed")?);
        bar.set_message(file.name);
        let result = fetch(file, &url, &dir, &mut |at, total| {
            total.into_iter().for_each(|total| bar.set_length(total));
            bar.set_position(at);
        });
        bar.finish_and_clear();
        let path = dir.join(file.name);
        match result.map_err(Failure::run)? {
            Fetched::There => outln!("{}: already present and verified", path.display()),
            Fetched::New(bytes) => {
                outln!("{}: {:.1} MB from {url}, verified", path.display(), bytes as f64 / 1e6)
            }
        }
    }
    outln!("to use it, put set = \"{}\" and dir = \"{}\" under [data]", set.name(), dir.display());
    Ok(())
}

fn list(dir: &Path) {
    let rows = DataSet::ALL.into_iter().map(|set| {
        let download =
            remote_set(set).map_or(Cell::Missing, |origin| format!("{} MB", origin.megabytes).into());
        let place = dir.join(set.name());
        let (place, there) = match set {
            DataSet::Digits => ("built in".into(), "yes".into()),
            DataSet::Folder => ("your own folder".into(), String::new()),
            _ => (place.display().to_string(), state(set, place)),
        };
        vec![set.name().into(), place.into(), there.into(), download]
    });
    let columns = [
        Column::new("set", "set", Role::Name),
        Column::new("place", "place", Role::Words),
        Column::new("present", "present", Role::Words),
        Column::new("download", "download", Role::Main),
    ];
    print_table(&Table::new("sets", "Data sets", columns, rows), Extent::All);
    outln!("to download one, run `sgdwalk data fetch NAME`");
}

/// Whether a data set can be read, and how many images it has.
fn state(set: DataSet, dir: PathBuf) -> String {
    if !dir.exists() {
        return "no".into();
    }
    match (DataConfig { dir: Some(dir), ..DataConfig::new(set) }).read() {
        Ok(images) => format!("yes, {} images", images.len()),
        Err(error) => format!("no: {error}"),
    }
}
