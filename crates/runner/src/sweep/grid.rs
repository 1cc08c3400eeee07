//! The grid of values that --sweep and --seeds ask for.

use anyhow::{Result, anyhow};

use crate::experiment_source::Setting;

/// Most members, so that a typing error does not fill the disk.
const MAX_MEMBERS: usize = 10_000;

/// A cell of the grid.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// The folder's name: the file's member and the values; empty where there are none.
    pub(super) name: String,
    /// The member of the experiment file.
    pub(super) file_member: Option<String>,
    /// The values on the axes.
    pub(super) settings: Vec<Setting>,
}

/// Parses `key=values` into the settings along an axis.
pub(super) fn axis(text: &str) -> Result<Vec<Setting>> {
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
    values.iter().map(|value| format!("{key}={value}").parse().map_err(|_| wrong())).collect()
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

/// The items between the commas of a list, except those within brackets and quotes.
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

/// Every combination of the file's members and the values on the axes; the last axis varies fastest.
pub(super) fn grid(file_members: &[Option<String>], axes: &[Vec<Setting>]) -> Result<Vec<Cell>> {
    let cell = |file_member: Option<String>| Cell {
        name: file_member.clone().unwrap_or_default(),
        file_member,
        settings: vec![],
    };
    let mut cells: Vec<Cell> = file_members.iter().cloned().map(cell).collect();
    for axis in axes {
        if cells.len() * axis.len() > MAX_MEMBERS {
            return Err(anyhow!("the sweep has more than {MAX_MEMBERS} members"));
        }
        let with = |cell: &Cell, setting: &Setting| {
            let plain = |c: char| if c.is_alphanumeric() || "-_.=+".contains(c) { c } else { '_' };
            let value: String = setting.text().chars().map(plain).collect();
            let name = if cell.name.is_empty() { value } else { format!("{},{value}", cell.name) };
            let settings = [cell.settings.as_slice(), std::slice::from_ref(setting)].concat();
            Cell { name, settings, ..cell.clone() }
        };
        cells = cells.iter().flat_map(|cell| axis.iter().map(move |value| with(cell, value))).collect();
    }
    let mut names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(anyhow!("the sweep has {} twice", pair[0])),
        None => Ok(cells),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_make_a_grid() {
        let texts = |text: &str| {
            axis(text).map(|axis| axis.iter().map(|value| value.text().to_owned()).collect::<Vec<_>>())
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
