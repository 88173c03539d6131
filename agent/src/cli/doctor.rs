//! `gnomon-agent doctor`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use super::DoctorArgs;

pub fn run(_args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("doctor is not built yet")
}
