//! YAML text to a tree with positions, within fixed bounds.

mod load;
mod tree;

pub(crate) use load::load;
pub(crate) use tree::{Node, Position, Value};
