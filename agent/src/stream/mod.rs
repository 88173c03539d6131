//! Streams: the two directions of one connection, put back in order and bounded in memory.

#![forbid(unsafe_code)]

mod flow;
mod order;
mod table;

pub use flow::{Flow, Heard};
pub use table::{Evicted, FlowTable};
