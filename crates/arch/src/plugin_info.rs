//! What a plugin says about itself.

use serde::{Deserialize, Serialize};

use crate::options;
use crate::{OptionError, OptionSpec, OptionValues};

/// What a plugin says about itself.
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
    /// [`OptionError`] for the first name that is unknown or value that is refused.
    pub fn check_options(&self, values: &OptionValues) -> Result<(), OptionError> {
        options::check(&self.options, values)
    }
}
