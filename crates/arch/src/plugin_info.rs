//! A plugin's description of itself.

use serde::{Deserialize, Serialize};

use crate::options;
use crate::{OptionError, OptionSpec, OptionValues};

/// A plugin's name, description and options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginInfo {
    /// Its name in tables.
    pub name: String,
    /// One line about it.
    pub about: String,
    /// Its options.
    pub options: Vec<OptionSpec>,
}

impl PluginInfo {
    /// Checks option values against this plugin's declarations.
    ///
    /// # Errors
    /// [`OptionError`] for the first name that is unknown or value that is not accepted.
    pub fn check_options(&self, values: &OptionValues) -> Result<(), OptionError> {
        options::check(&self.options, values)
    }
}
