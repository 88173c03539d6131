//! The collector: enrols hosts, takes their events over mutual TLS, keeps them, and shows them.
//!
//! One way in ([`grpc`]), one place ([`store`]), one way out ([`http`]); [`pki`] and [`secret`] say who may.
#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod data_dir;
pub mod grpc;
pub mod http;
pub mod pki;
pub mod secret;
pub mod serve;
pub mod store;
