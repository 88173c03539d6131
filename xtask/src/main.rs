//! `cargo xtask`: everything CI does, runnable by hand. Nothing here is needed at run time.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod demo;
mod interrupt;
mod paths;
mod setup;
mod shell;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Set up, build, show, test and measure Gnomon"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what building and testing need. Run again at will: what is there is left alone.
    Setup,
    /// Kernel objects, agent and collector, optimised, into target/release.
    Build,
    /// Real clients, real servers, one of them not approved: watch it being stopped. Needs root.
    Demo(demo::Args),
    /// Everything: format, lints, unit, property, end to end, virtual machine, browser.
    Test(test::Args),
    /// Load, attach and block under the Debian 6.1 kernel in a virtual machine.
    Vm(vm::Args),
    /// Measure what Gnomon costs, as ratios taken in one run.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Setup => setup::run(),
        Command::Build => setup::ensure_build_tools().and_then(|()| build::run().map(drop)),
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Vm(args) => vm::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
