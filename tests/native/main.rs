//! The agent on this machine's kernel, as root, against real clients.
mod attach;
mod frozen;
mod lifecycle;
mod policy_change;
mod ship;
mod stage;
mod stop;
