#![no_main]
//! The sections of an experiment file: whatever they say, they are read or refused.

use walk_data::DataConfig;
use walk_train::probe::ProbeConfig;
use walk_train::{CheckpointConfig, OptimConfig};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(probes) = toml::from_str::<ProbeConfig>(text) {
        let _ = probes.check(10, 20);
    }
    if let Ok(optim) = toml::from_str::<OptimConfig>(text) {
        let _ = optim.check(100);
    }
    if let Ok(checkpoint) = toml::from_str::<CheckpointConfig>(text) {
        let _ = checkpoint.check(10);
    }
    // only the built-in set: others read what lies on this machine
    if let Ok(data) = toml::from_str::<DataConfig>(text)
        && data.set == walk_data::DataSet::Digits
    {
        let _ = data.load();
    }
});
