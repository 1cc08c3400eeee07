//! Imports shared by all rows.

pub(super) use schemars::JsonSchema;
pub(super) use serde::{Deserialize, Serialize};

pub(super) use crate::scalar::scalars;
pub(super) use crate::{BatchNorm, EvaluationData, Measured, Scalar, Scalars};
