//! The host agent. One message takes one way through these modules, in this order:
//! `kernel` (programs and maps) → `capture` (records) → `stream` (flows) → `pipeline` (inspect, decide) → `enforce`
//! → `journal` (events.jsonl, spool) → `ship` (collector).

pub mod cli;
pub mod config;
pub mod control;
pub mod journal;
pub mod kernel;
pub mod ship;
pub mod spool;
pub mod telemetry;
