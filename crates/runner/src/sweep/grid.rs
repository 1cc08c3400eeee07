//! The grid of values given by --sweep and --seeds.

use anyhow::{Result, anyhow};
use toml::Value;

use crate::digest::sha256;
use crate::experiment_source::Setting;

/// Maximum number of members; it keeps a typo from filling the disk.
const MAX_MEMBERS: usize = 10_000;
/// Maximum length in bytes of a folder name before its digest; file systems allow 255, and longer names are derived from it.
const MAX_NAME: usize = 120;

/// A cell of the grid.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// The folder's name: the file's member and the values; empty if there are none.
    pub(super) name: String,
    /// The member of the experiment file.
    pub(super) file_member: Option<String>,
    /// The values on the axes.
    pub(super) settings: Vec<Setting>,
}

/// What the values of --sweep look like.
const FORMS: &str = "expected KEY=VALUES with a list 0.1,0.2, a range 1..=5, or first:last:step";

/// Parses `key=values` into the settings along an axis.
pub(super) fn axis(text: &str) -> Result<Vec<Setting>> {
    let wrong = |why: String| anyhow!("--sweep {text}: {why}");
    let (key, values) = text.split_once('=').ok_or_else(|| wrong(FORMS.into()))?;
    let values = if let Some((first, last)) = values.split_once("..=") {
        range(first, last).map_err(wrong)?
    } else if let [first, last, step] = values.split(':').collect::<Vec<_>>()[..] {
        stepped(first, last, step).map_err(wrong)?
    } else {
        items(values)
    };
    if values.iter().any(|value| value.trim().is_empty()) {
        return Err(wrong(format!("a value is missing, {FORMS}")));
    }
    let setting = |value: &String| {
        let setting = format!("{key}={value}").parse::<Setting>().map_err(|_| wrong(FORMS.into()))?;
        Ok(setting.of_option("--sweep"))
    };
    values.iter().map(setting).collect()
}

/// The whole numbers from first to last, as far as a sweep may have that many members.
fn range(first: &str, last: &str) -> Result<Vec<String>, String> {
    let number = |text: &str| {
        text.trim().parse::<i64>().map_err(|_| format!("\"{text}\" is not a whole number, {FORMS}"))
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("{first} is above {last}, expected the first value before the last"));
    }
    Ok((first..=last).take(MAX_MEMBERS + 1).map(|value| value.to_string()).collect())
}

/// The values first, first + step, ..., up to last.
fn stepped(first: &str, last: &str, step: &str) -> Result<Vec<String>, String> {
    let number = |text: &str| {
        let number = text.trim().parse::<f64>().ok().filter(|x| x.is_finite());
        number.ok_or_else(|| format!("\"{text}\" is not a finite number, {FORMS}"))
    };
    let (first, last, step) = (number(first)?, number(last)?, number(step)?);
    // half a billionth of a step, since 0.1 + 0.1 + 0.1 is not 0.3
    let steps = ((last - first) / step + 5e-10).floor();
    if step == 0.0 || steps < 0.0 {
        return Err(format!("a step of {step} does not lead from {first} to {last}"));
    }
    if steps >= MAX_MEMBERS as f64 {
        return Err(format!(
            "{first} to {last} in steps of {step} are {} values, expected at most {MAX_MEMBERS}; use a larger step",
            steps + 1.0
        ));
    }
    let round = |x: f64| format!("{x:.12e}").parse::<f64>().unwrap_or(x);
    // a TOML float has a point
    Ok((0..=steps as u32).map(|i| format!("{:?}", round(first + f64::from(i) * step))).collect())
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
    axes.iter().try_for_each(|axis| check_distinct(axis))?;
    check_independent(axes)?;
    let cell = |file_member: &Option<String>| Cell { file_member: file_member.clone(), ..Cell::default() };
    let mut cells: Vec<Cell> = file_members.iter().map(cell).collect();
    for axis in axes {
        if cells.len() * axis.len() > MAX_MEMBERS {
            return Err(anyhow!("the sweep has more than {MAX_MEMBERS} members"));
        }
        let with = |cell: &Cell, setting: &Setting| {
            let settings = [cell.settings.as_slice(), std::slice::from_ref(setting)].concat();
            Cell { settings, ..cell.clone() }
        };
        cells = cells.iter().flat_map(|cell| axis.iter().map(move |value| with(cell, value))).collect();
    }
    cells.iter_mut().for_each(|cell| cell.name = folder_name(cell));
    Ok(cells)
}

/// Rejects two axes that set the same key, or where one sets a key within the other.
fn check_independent(axes: &[Vec<Setting>]) -> Result<()> {
    let firsts: Vec<&Setting> = axes.iter().filter_map(|axis| axis.first()).collect();
    let is_within = |key: &str, outer: &str| key.starts_with(&format!("{outer}."));
    for (index, setting) in firsts.iter().enumerate() {
        for other in &firsts[..index] {
            let (key, known) = (setting.key(), other.key());
            let [option, earlier] = [setting.option(), other.option()];
            if key == known && option == earlier {
                return Err(anyhow!("{option} sets `{key}` twice; give all of its values in one {option}"));
            } else if key == known {
                return Err(anyhow!("both {earlier} and {option} set `{key}`; leave one of them out"));
            } else if is_within(&key, &known) || is_within(&known, &key) {
                return Err(anyhow!("the sweep sets `{key}` twice: by itself and through `{known}`"));
            }
        }
    }
    Ok(())
}

/// Rejects an axis with a repeated value, however it is written.
fn check_distinct(axis: &[Setting]) -> Result<()> {
    for (index, setting) in axis.iter().enumerate() {
        let same = |other: &&Setting| {
            other.key() == setting.key() && canonical(other.value()) == canonical(setting.value())
        };
        if let Some(other) = axis[..index].iter().find(same) {
            return Err(match (other.text(), setting.text()) {
                (a, b) if a == b => anyhow!("the sweep contains {a} twice"),
                (a, b) => anyhow!("the sweep contains one value twice, as {a} and as {b}"),
            });
        }
    }
    Ok(())
}

/// A canonical form of a value, in which 1 and 1.0 are equal.
fn canonical(value: &Value) -> String {
    match value {
        Value::Integer(number) => format!("{:?}", *number as f64),
        Value::Float(number) => format!("{number:?}"),
        Value::Array(values) => format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Table(table) => {
            let pairs = table.iter().map(|(key, value)| format!("{key}={}", canonical(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// The name of a cell's folder: the file's member and the values. If characters had to be replaced or the name was cut, a digest
/// of the values keeps names distinct.
fn folder_name(cell: &Cell) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.=+".contains(c) { c } else { '_' };
    let texts = cell.file_member.as_deref().into_iter().chain(cell.settings.iter().map(Setting::text));
    let texts: Vec<&str> = texts.collect();
    let parts: Vec<String> = texts.iter().map(|text| text.chars().map(plain).collect()).collect();
    let mut name = parts.join(",");
    if name.len() <= MAX_NAME && texts.iter().zip(&parts).all(|(text, part)| text == part) {
        return name;
    }
    let values =
        cell.settings.iter().map(|setting| format!("{}={}", setting.key(), canonical(setting.value())));
    let values = cell.file_member.iter().cloned().chain(values).collect::<Vec<_>>().join("\n");
    let digest = sha256(values);
    while name.len() > MAX_NAME {
        name.pop();
    }
    format!("{name}-{}", &digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_an_axis_is_named() {
        let cases = [
            ("seed", "expected KEY=VALUES with a list 0.1,0.2"),
            ("seed=1,,2", "a value is missing, expected KEY=VALUES"),
            ("seed=5..=1", "5 is above 1, expected the first value before the last"),
            ("seed=a..=3", "\"a\" is not a whole number, expected KEY=VALUES"),
            ("lr=a:b:c", "\"a\" is not a finite number, expected KEY=VALUES"),
            ("lr=0.1:0.5:0", "a step of 0 does not lead from 0.1 to 0.5"),
            ("lr=1:0:1", "a step of 1 does not lead from 1 to 0"),
            (
                "lr=0:1:0.000001",
                "0 to 1 in steps of 0.000001 are 1000001 values, expected at most 10000; use a larger step",
            ),
        ];
        for (text, expected) in cases {
            let message = axis(text).unwrap_err().to_string();
            assert!(message.starts_with(&format!("--sweep {text}: {expected}")), "{message}");
        }
    }

    #[test]
    fn lists_and_ranges_make_a_grid() {
        let texts = |text: &str| {
            axis(text).map(|axis| axis.iter().map(|value| value.text().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(texts("optim.lr=0.1,0.2").unwrap(), ["optim.lr=0.1", "optim.lr=0.2"]);
        assert_eq!(texts("seed=3..=5").unwrap(), ["seed=3", "seed=4", "seed=5"]);
        assert_eq!(texts("optim.lr=0.1:0.3:0.1").unwrap(), ["optim.lr=0.1", "optim.lr=0.2", "optim.lr=0.3"]);
        assert_eq!(texts("a=[1, 2],[3]").unwrap(), ["a=[1, 2]", "a=[3]"]);
        assert_eq!(texts("lr=2:1:-0.5").unwrap(), ["lr=2.0", "lr=1.5", "lr=1.0"]);
        let members =
            grid(&[None], &[axis("optim.lr=0.1,0.2").unwrap(), axis("seed=1..=2").unwrap()]).unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let expected =
            ["optim.lr=0.1,seed=1", "optim.lr=0.1,seed=2", "optim.lr=0.2,seed=1", "optim.lr=0.2,seed=2"];
        assert_eq!(names, expected);
        let twice = |text: &str| grid(&[None], &[axis(text).unwrap()]).unwrap_err().to_string();
        assert_eq!(twice("lr=0.1,1e-1"), "the sweep contains one value twice, as lr=0.1 and as lr=1e-1");
        assert!(twice("lr=1,1.0").contains("twice") && twice("a=[0,50],[0, 50]").contains("twice"));
        assert!(
            grid(&[None], &[axis("seed=1,1").unwrap()]).unwrap_err().to_string().contains("seed=1 twice")
        );
        for clash in [["seed=1,2", "seed=3,4"], ["optim.lr=1,2", "optim={lr=1},{lr=2}"]] {
            let axes = clash.map(|text| axis(text).unwrap());
            assert!(grid(&[None], &axes).unwrap_err().to_string().contains("twice"), "{clash:?}");
        }
        let seeds = vec!["seed=1".parse::<Setting>().unwrap().of_option("--seeds")];
        let clash = grid(&[None], &[axis("seed=1,2").unwrap(), seeds]).unwrap_err().to_string();
        assert_eq!(clash, "both --sweep and --seeds set `seed`; leave one of them out");
        // unusual and long values are distinguished by a digest
        let names = |text: &str| {
            let cells = grid(&[None], &[axis(text).unwrap()]).unwrap();
            cells.into_iter().map(|cell| cell.name).collect::<Vec<_>>()
        };
        let strange = names("data.dir=\"a b/x\",\"a_b/x\"");
        assert!(strange.iter().all(|name| name.starts_with("data.dir=_a_b_x_-")), "{strange:?}");
        assert_ne!(strange[0], strange[1]);
        assert_ne!(names("a=[0,50],[0;50]")[0], names("a=[0,50],[0;50]")[1]);
        // the same values give the same name, whatever else is swept
        assert_eq!(names("a=[4],[8]")[0], names("a=[4]")[0]);
        let long = format!("a={}b,{0}c", "ä".repeat(200));
        let long = names(&long);
        assert!(long[0] != long[1] && long.iter().all(|name| name.len() <= 130), "{long:?}");
        let parts = ["a", "b"].map(|name| Some(name.to_owned()));
        let members = grid(&parts, &[axis("seed=1..=2").unwrap()]).unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["a,seed=1", "a,seed=2", "b,seed=1", "b,seed=2"]);
        assert!(grid(&[None], &[axis("seed=1..=99999").unwrap()]).is_err());
    }
}
