//! How a run trains.

use walk_record::Run;

/// The number of samples in the gradient of an update: in gradient descent, all of them.
pub fn batch_size(run: &Run) -> usize {
    let configured = run.value("optim.batch_size").and_then(|value| value.as_integer());
    configured.filter(|_| !is_gradient_descent(run)).map_or(run.info.data.train, |size| size as usize)
}

/// Network and data, method, and learning rate.
pub(crate) fn setting(run: &Run) -> Vec<String> {
    let method = if is_gradient_descent(run) {
        vec!["GD".into()]
    } else {
        vec!["SGD".into(), format!("B = {}", batch_size(run))]
    };
    let lr = run.value("optim.lr");
    let lr = lr.and_then(|value| value.as_float().or_else(|| value.as_integer().map(|lr| lr as f64)));
    let lr = lr.map_or_else(|| "unknown".into(), |lr| lr.to_string());
    let network = format!("{} on {}", run.info.plugin.name, run.info.data.set);
    [vec![network], method, vec![format!("lr = {lr}")]].concat()
}

/// The run's value of a key of its experiment, without quotes if it is a string.
pub(crate) fn value_text(run: &Run, key: &str) -> Option<String> {
    run.value(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// A dotted key as a snake-case name.
pub(crate) fn snake(key: &str) -> String {
    key.replace('.', "_")
}

fn is_gradient_descent(run: &Run) -> bool {
    run.value("optim.method").and_then(|value| value.as_str()) == Some("gd")
}

#[cfg(test)]
mod tests {
    use walk_record::ConfigValue;

    use super::*;

    #[test]
    fn a_setting_is_read_from_the_run() {
        let mut run = Run::default();
        (run.info.plugin.name, run.info.data.set, run.info.data.train) = ("mlp".into(), "mnist".into(), 500);
        let values =
            [("optim.method", "sgd".into()), ("optim.batch_size", 100.into()), ("optim.lr", 0.1.into())];
        run.config = values.map(|(key, value)| ConfigValue { key: key.into(), value }).into();
        assert_eq!(
            (setting(&run).join(", ").as_str(), batch_size(&run)),
            ("mlp on mnist, SGD, B = 100, lr = 0.1", 100)
        );
        run.config[0].value = "gd".into();
        assert_eq!(
            (setting(&run).join(", ").as_str(), batch_size(&run)),
            ("mlp on mnist, GD, lr = 0.1", 500)
        );
    }
}
