//! How a run trains.

use walk_record::{ConfigValue, Run};

/// Samples behind the gradient of an update: in gradient descent, all of them.
pub fn batch_size(run: &Run) -> usize {
    let configured = run.value("optim.batch_size").and_then(|value| value.as_integer());
    configured.filter(|_| !is_gradient_descent(run)).map_or(run.info.data.train, |size| size as usize)
}

/// Network, data, method, and learning rate.
pub(crate) fn setting(run: &Run) -> String {
    let method = if is_gradient_descent(run) { "GD".into() } else { format!("SGD, B = {}", batch_size(run)) };
    let lr = run.value("optim.lr");
    let lr = lr.and_then(|value| value.as_float().or_else(|| value.as_integer().map(|lr| lr as f64)));
    let lr = lr.map_or_else(|| "unknown".into(), |lr| lr.to_string());
    format!("{} on {}, {method}, lr {lr}", run.info.plugin.name, run.info.data.set)
}

/// For each run, the number of its setting: runs that differ in their seeds alone have the same.
pub(crate) fn setting_numbers(runs: &[&Run]) -> Vec<usize> {
    let setting = |run: &Run| -> Vec<ConfigValue> {
        let sections = ["model", "data", "optim", "loss", "numerics", "init"];
        let of_setting = |entry: &&ConfigValue| sections.contains(&entry.key.split('.').next().unwrap_or(""));
        run.config.iter().filter(of_setting).cloned().collect()
    };
    let mut known: Vec<Vec<ConfigValue>> = vec![];
    let number = |run: &&Run| {
        let own = setting(run);
        known.iter().position(|other| *other == own).unwrap_or_else(|| {
            known.push(own);
            known.len() - 1
        })
    };
    runs.iter().map(number).collect()
}

fn is_gradient_descent(run: &Run) -> bool {
    run.value("optim.method").and_then(|value| value.as_str()) == Some("gd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_from_the_run() {
        let mut run = Run::default();
        (run.info.plugin.name, run.info.data.set, run.info.data.train) = ("mlp".into(), "mnist".into(), 500);
        let values =
            [("optim.method", "sgd".into()), ("optim.batch_size", 100.into()), ("optim.lr", 0.1.into())];
        run.config = values.map(|(key, value)| ConfigValue { key: key.into(), value }).into();
        assert_eq!((setting(&run).as_str(), batch_size(&run)), ("mlp on mnist, SGD, B = 100, lr 0.1", 100));
        run.config[0].value = "gd".into();
        assert_eq!((setting(&run).as_str(), batch_size(&run)), ("mlp on mnist, GD, lr 0.1", 500));
    }
}
