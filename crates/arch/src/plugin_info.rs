//! A plugin's self-description.

use serde::{Deserialize, Serialize};

use crate::options;
use crate::{OptionError, OptionSpec, OptionValues};

/// A plugin's name, description and options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginInfo {
    /// Its name in tables.
    pub name: String,
    /// A one-line description.
    pub about: String,
    /// Its options.
    pub options: Vec<OptionSpec>,
}

impl PluginInfo {
    /// Checks option values against this plugin's declarations.
    ///
    /// # Errors
    /// [`OptionError`] for the first unknown name or invalid value.
    pub fn check_options(&self, values: &OptionValues) -> Result<(), OptionError> {
        options::check(&self.options, values)
    }

    /// Adds the defaults of the options that `values` leaves out; returns their names.
    pub fn add_defaults(&self, values: &mut OptionValues) -> Vec<String> {
        let left_out = self.options.iter().filter(|option| !values.contains_key(&option.name));
        let left_out: Vec<&OptionSpec> = left_out.collect();
        let names = left_out.iter().map(|option| option.name.clone()).collect();
        values.extend(left_out.into_iter().map(|option| (option.name.clone(), option.default.clone())));
        names
    }
}
