//! `gnomon-agent policy check`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use gnomon_policy::Policy;

use crate::policy_source::{PolicyError, parse};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Say whether policy documents are valid, and where they are not
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Policy documents
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let mut good = true;
    for file in &args.files {
        let text = match read(file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("gnomon-agent: {error:#}");
                good = false;
                continue;
            }
        };
        match parse(&text) {
            Ok(policy) => writeln!(out, "{}: ok, revision {}", file.display(), policy.revision())?,
            Err(errors) => {
                good = false;
                for error in &errors {
                    writeln!(out, "{}:{error}", file.display())?;
                }
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The policy in `file`. An error of the configuration otherwise, with exit code 2.
pub(super) fn load(file: &std::path::Path) -> anyhow::Result<Policy> {
    let path = file.to_owned();
    let text =
        std::fs::read_to_string(file).map_err(|source| PolicyError::Read { path: path.clone(), source })?;
    Ok(parse(&text).map_err(|errors| PolicyError::Wrong { path, errors })?)
}

fn read(file: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read policy {}", file.display()))
}
