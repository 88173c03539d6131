//! `gnomon-agent policy check`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use gnomon_policy::Policy;

use crate::policy_source::parse;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Say whether policy documents are valid, and where they are not
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
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

/// The policy in `file`, or what is wrong with it, one line per error.
pub(super) fn load(file: &std::path::Path) -> anyhow::Result<Policy> {
    parse(&read(file)?).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|e| format!("{}:{e}", file.display())).collect();
        anyhow::anyhow!("the policy is not valid\n{}", lines.join("\n"))
    })
}

fn read(file: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read policy {}", file.display()))
}
