//! `cargo xtask bench`: what Gnomon costs, against the same work without it in the same run.
mod matcher;
mod memory;
mod row;
mod scan;
mod tls;

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::{build, interrupt, paths, setup, shell::is_root};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pairs of rounds, without and with the agent, in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(3..=100))]
    rounds: u32,
    /// Length of a round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Measure only this.
    #[arg(long)]
    only: Option<Part>,
    /// Take the binaries that are in target/release as they are.
    #[arg(long)]
    no_build: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Requests per second through TLS, agent on : off.
    Tls,
    /// The kernel's matcher against the same matcher in user space.
    Matcher,
    /// Memory of an idle agent.
    Memory,
    /// Offline recognition against reading the same bytes.
    Scan,
}

/// How to measure.
struct Setting<'a> {
    /// Scratch folder of one part.
    dir: &'a Path,
    rounds: u32,
    round: Duration,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !is_root() {
        bail!("the benchmarks need root, because the agent loads kernel programs");
    }
    if args.no_build {
        build::present()?;
    } else {
        setup::run()?;
        build::run()?;
    }
    interrupt::install()?;
    let out = paths::target().join("bench");
    fs::create_dir_all(&out)?;
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for part in Part::value_variants().iter().filter(|part| args.only.is_none_or(|only| only == **part)) {
        interrupt::check()?;
        let name = part.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        println!("bench: {name}");
        let dir = tempfile::Builder::new().prefix("gnomon-bench-").tempdir()?;
        let setting =
            Setting { dir: dir.path(), rounds: args.rounds, round: Duration::from_secs(args.seconds) };
        let measured = match part {
            Part::Tls => tls::measure(&setting),
            Part::Matcher => matcher::measure(),
            Part::Memory => memory::measure(&setting),
            Part::Scan => scan::measure(&setting),
        };
        match measured {
            Ok(measured) => {
                let path = out.join(format!("{name}.json"));
                fs::write(&path, serde_json::to_vec_pretty(&measured)?)
                    .with_context(|| format!("{}", path.display()))?;
                rows.extend(measured);
            }
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    row::print(&rows);
    println!("\nfigures: {}", out.display());
    failed.extend(
        rows.iter().filter(|row| !row.within_budget()).map(|row| format!("{}: over budget", row.what)),
    );
    if !failed.is_empty() {
        bail!("{}", failed.join("\n  "));
    }
    Ok(())
}
