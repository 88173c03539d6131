//! `gnomon-agent scan`: what the daemon would see in recorded bytes.

mod batch;
mod files;
mod output;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use gnomon_inspect::{Direction, Transport};
use gnomon_policy::Policy;

#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// Policy that decides; without one the built-in policy, which allows and reports
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How the bytes are framed [default: auto]
    #[arg(long, value_enum)]
    transport: Option<TransportArg>,
    /// Which way the bytes went: request is client to server [default: request]
    #[arg(long, value_enum)]
    direction: Option<DirectionArg>,
    /// Read {"id","transport","direction","data_b64"} lines from stdin and answer each with one line
    #[arg(long, conflicts_with = "files")]
    batch: bool,
    /// Each file is one connection; stdin when there is none
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TransportArg {
    Auto,
    Http,
    Stdio,
    Text,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DirectionArg {
    Request,
    Response,
}

pub(super) fn run(args: &ScanArgs) -> anyhow::Result<ExitCode> {
    let scan = Scan {
        policy: match &args.policy {
            Some(file) => super::policy::load(file)?,
            None => Policy::builtin(),
        },
        transport: match args.transport {
            None | Some(TransportArg::Auto) => Transport::Auto,
            Some(TransportArg::Http) => Transport::Http,
            Some(TransportArg::Stdio) => Transport::Stdio,
            Some(TransportArg::Text) => Transport::Text,
        },
        direction: match args.direction {
            None | Some(DirectionArg::Request) => Direction::Request,
            Some(DirectionArg::Response) => Direction::Response,
        },
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if args.batch {
        batch::run(&scan, std::io::stdin().lock(), &mut out)?;
        return Ok(ExitCode::SUCCESS);
    }
    files::run(&scan, &args.files, &mut out)
}

/// What holds for all input of one call; in a batch, transport and direction are those of lines that name none.
struct Scan {
    policy: Policy,
    transport: Transport,
    direction: Direction,
}
