//! End-to-end tests: the real binary, real plugins, real data. One program, so that it is linked once.
#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test")]

mod bad_input;
mod browser;
mod cli;
mod commands;
mod comparison;
mod cuda;
mod data;
mod documents;
mod forks;
mod interrupted;
mod layout;
mod messages;
mod mpi;
mod networks;
mod noise;
mod onnx;
mod optimizers;
mod plugins;
mod probes;
mod pytorch;
mod records;
mod reproduce;
mod resume;
mod selfcheck;
mod support;
mod sweep;
mod tensorboard;
mod unusual;
