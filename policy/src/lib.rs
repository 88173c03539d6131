//! Policy documents: parse and check them, decide on a message, compile them to the kernel's tables.
//!
//! Pure: no I/O, no clock, no globals. A document goes one way: [`parse`] turns YAML text into a [`Policy`] or into
//! every problem found, each with its line and column; [`Policy::decide`] is the authoritative verdict on one message;
//! [`compile`] produces the part of it that the kernel can take alone, and says what it left to user space.
#![forbid(unsafe_code)]

mod compile;
mod decide;
mod document;
mod error;
mod glob;
mod host;
mod methods;
mod model;
mod yaml;

pub use compile::{Compiled, compile};
pub use decide::{Decision, Facts};
pub use document::{parse, parse_with_data_classes};
pub use error::{Diagnostic, Errors};
pub use model::{Action, Mode, Policy};
