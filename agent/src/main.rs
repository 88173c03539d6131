//! `gnomon-agent`: see `cli` for the commands.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    gnomon_agent::cli::main()
}
