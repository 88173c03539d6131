//! What end to end tests, the demo and the virtual machine share: real servers and clients under control, recorders that
//! count what really arrived, and handles on agent and collector.
#![forbid(unsafe_code)]

pub mod agent;
pub mod client;
pub mod collector;
pub mod events;
pub mod expect;
pub mod mcp;
pub mod paths;
pub mod pki;
pub mod policy;
pub mod process;
pub mod recorder;
pub mod server;
pub mod wait;
pub mod webdriver;
