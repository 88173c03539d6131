//! Who speaks: processes and users, from `/proc` and the user database.

#![forbid(unsafe_code)]

mod connected;
mod process;
mod tree;
mod users;

pub use connected::connected_processes;
pub use process::Processes;
