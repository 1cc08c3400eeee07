//! How a run trains.

use walk_record::Run;

/// The number of samples in the gradient of an update: in gradient descent, all of them.
pub fn batch_size(run: &Run) -> usize {
    let configured = run.value("optim.batch_size").and_then(|value| value.as_integer());
    configured.filter(|_| !is_gradient_descent(run)).map_or(run.info.data.train, |size| size as usize)
}

/// Network and data, method, learning rate, and momentum if there is one.
pub(crate) fn setting(run: &Run) -> Vec<String> {
    let rule = match run.value("optim.rule").and_then(|value| value.as_str()) {
        Some("adam") => Some("Adam"),
        Some("adamw") => Some("AdamW"),
        _ => None,
    };
    let method = match (is_gradient_descent(run), rule) {
        (true, None) => vec!["GD".into()],
        (true, Some(rule)) => vec![format!("full-batch {rule}")],
        (false, rule) => vec![rule.unwrap_or("SGD").into(), format!("B = {}", batch_size(run))],
    };
    let number = |key: &str| {
        let value = run.value(key)?;
        value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
    };
    let lr = number("optim.lr").map_or_else(|| "unknown".into(), |lr| lr.to_string());
    let momentum = number("optim.momentum").filter(|&momentum| momentum > 0.0);
    let is_nesterov = run.value("optim.nesterov").and_then(|value| value.as_bool()) == Some(true);
    let of = if is_nesterov { "Nesterov momentum" } else { "momentum" };
    let momentum = momentum.map(|momentum| format!("{of} = {momentum}"));
    let network = format!("{} on {}", run.info.plugin.name, run.info.data.set);
    [vec![network], method, vec![format!("lr = {lr}")]].concat().into_iter().chain(momentum).collect()
}

/// The run's value of a key of its experiment, without quotes if it is a string.
pub(crate) fn value_text(run: &Run, key: &str) -> Option<String> {
    run.value(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// A dotted key as a snake-case name.
pub(crate) fn snake(key: &str) -> String {
    key.replace('.', "_")
}

/// Whether each gradient is that of all samples.
pub(crate) fn is_gradient_descent(run: &Run) -> bool {
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
        let text = |key: &str, value: &str| ConfigValue { key: key.into(), value: value.into() };
        run.config.push(text("optim.rule", "adam"));
        assert_eq!(setting(&run).join(", "), "mlp on mnist, full-batch Adam, lr = 0.1");
        run.config[0].value = "sgd".into();
        assert_eq!(setting(&run).join(", "), "mlp on mnist, Adam, B = 100, lr = 0.1");
        run.config[3].value = "sgd".into();
        run.config.push(ConfigValue { key: "optim.momentum".into(), value: 0.9.into() });
        assert_eq!(setting(&run).join(", "), "mlp on mnist, SGD, B = 100, lr = 0.1, momentum = 0.9");
    }
}
