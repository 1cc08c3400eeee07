//! Which experiment of a file, at which scale.

/// The scale that needs no section in the file: the experiment without changes.
pub(crate) const FULL: &str = "full";

/// Which experiment of a file to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection<'a> {
    /// The part `[scale.NAME]`; [`FULL`] if not given.
    pub(crate) scale: Option<&'a str>,
    /// The part `[member.NAME]`.
    pub(crate) member: Option<&'a str>,
}
