//! The host agent. One message takes one way through these modules, in this order:
//! `kernel` (programs and maps) → `capture` (records) → `stream` (flows) → `pipeline` (inspect, decide) → `enforce`
//! → `journal` (events.jsonl, spool) → `ship` (collector).

pub mod cli;
pub mod config;
pub mod control;
pub mod enforce;
pub mod identity;
pub mod journal;
pub mod kernel;
pub mod pipeline;
pub mod policy_source;
pub mod ship;
pub mod spool;
pub mod stream;
pub mod telemetry;
