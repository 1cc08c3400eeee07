//! The probes of the loss surface.
