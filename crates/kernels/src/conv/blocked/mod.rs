//! Products of tiles and filters, both laid out for them.

mod layout;
mod panels;
mod products;

pub(super) use layout::{BLOCK, GROUP, Layout};
pub(super) use panels::{FilterPanels, PanelMut};
pub(super) use products::Product;
