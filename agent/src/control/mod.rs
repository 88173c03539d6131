//! The local socket of the running daemon: one JSON request per line in, one JSON reply per line out.
//!
//! `{"cmd":"status"}` is answered by the [`StatusSource`]; anything else by `{"error":"..."}`. The socket belongs to
//! the daemon's user and has mode 0600.
#![forbid(unsafe_code)]

pub mod client;
mod server;

pub use server::{ControlError, serve};

/// What the daemon says about itself.
pub trait StatusSource: Send + Sync {
    /// An object with the member `health` (the wire contract's `Health`), and whatever else is worth a line.
    fn status(&self) -> serde_json::Value;
}

#[cfg(test)]
mod tests;
