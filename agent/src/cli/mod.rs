//! The command line, a stable contract: names, output and exit codes (0 done, 1 the work failed, 2 wrong usage or
//! configuration).
#![forbid(unsafe_code)]

mod docs;
pub mod doctor;
mod log;
pub(crate) mod policy;
pub mod run;
mod scan;
mod status;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::ConfigError;
use crate::policy_source::PolicyError;
pub use log::init as init_log;

/// Sees MCP traffic on this host, stops what the policy denies, and reports it.
#[derive(Debug, Parser)]
#[command(name = "gnomon-agent", version, max_term_width = 100)]
pub struct Cli {
    /// What to log to stderr, such as info or gnomon_agent=debug [default: RUST_LOG, then the config file]
    #[arg(long, global = true, value_name = "FILTER", value_parser = log::parse_filter)]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground, until SIGTERM or SIGINT
    Run(RunArgs),
    /// Recognise MCP messages and find data in recorded bytes, and decide on them; nothing leaves this process
    Scan(scan::ScanArgs),
    /// Work on policy documents
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Tell what this host can see and stop, what it cannot, and how to mend it
    Doctor(DoctorArgs),
    /// Ask the running daemon how it is
    Status(status::StatusArgs),
    /// Measure the kernel's matcher, as JSON; for `cargo xtask bench`
    #[command(hide = true)]
    BenchMatcher,
    /// Print a completion script for a shell
    Completions(docs::CompletionsArgs),
    /// Print the manual page, or write those of all commands
    Man(docs::ManArgs),
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Configuration file [default: /etc/gnomon/agent.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The global `--log`, which goes before the config file's.
    #[arg(skip)]
    pub log: Option<String>,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Parses the arguments, does the work, reports what failed.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // The daemon's log also depends on its config file.
    if !matches!(cli.command, Command::Run(_)) {
        log::init(cli.log.as_deref(), None);
    }
    let done = match cli.command {
        Command::Run(args) => run::run(&RunArgs { log: cli.log, ..args }),
        Command::Scan(args) => scan::run(&args),
        Command::Policy(policy::PolicyCommand::Check(args)) => policy::check(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Status(args) => status::run(&args),
        Command::BenchMatcher => bench_matcher(),
        Command::Completions(args) => docs::completions(&args),
        Command::Man(args) => docs::man(&args),
    };
    done.unwrap_or_else(|error| failure(&error))
}

fn bench_matcher() -> anyhow::Result<ExitCode> {
    let cost = crate::kernel::matcher_cost(&gnomon_policy::Policy::builtin())?;
    println!("{}", serde_json::to_string(&cost)?);
    Ok(ExitCode::SUCCESS)
}

fn failure(error: &anyhow::Error) -> ExitCode {
    // `gnomon-agent scan | head -1` is no failure.
    let kind = |e: &(dyn std::error::Error + 'static)| match e.downcast_ref::<serde_json::Error>() {
        Some(json) => json.io_error_kind(),
        None => e.downcast_ref::<std::io::Error>().map(std::io::Error::kind),
    };
    if error.chain().any(|e| kind(e) == Some(ErrorKind::BrokenPipe)) {
        return ExitCode::SUCCESS;
    }
    eprintln!("gnomon-agent: {error:#}");
    if error.is::<ConfigError>() || error.is::<PolicyError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}
