//! The command line.
#![forbid(unsafe_code)]

mod export;
mod host;
mod meta;
mod serve;
mod token;

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

use crate::{data_dir::DataDir, store::Store};

/// Takes events from Gnomon agents, keeps them, and shows them.
#[derive(Debug, Parser)]
#[command(name = "gnomon-collector", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the collector in the foreground until SIGTERM or SIGINT.
    Serve(serve::Serve),
    /// Make tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Print a new one-time admin link for the dashboard.
    Link(token::Link),
    /// Show or revoke enrolled hosts.
    #[command(subcommand)]
    Host(host::Host),
    /// Write stored data to stdout.
    #[command(subcommand)]
    Export(export::Export),
    /// Print a completion script for a shell.
    Completions(meta::Completions),
    /// Print the manual page (roff).
    Man,
}

/// Where the collector's data is.
#[derive(Debug, clap::Args)]
struct Data {
    /// Folder of the database, the CA and the admin link.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/gnomon-collector")]
    data: PathBuf,
}

impl Cli {
    /// The log filter without `RUST_LOG`: a server tells what happens, a command only what is wrong.
    #[must_use]
    pub fn default_filter(&self) -> &'static str {
        match self.command {
            Command::Serve(_) => "info",
            _ => "warn",
        }
    }

    pub fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        runtime.block_on(async {
            match self.command {
                Command::Serve(command) => command.run().await,
                Command::Token(command) => command.run().await,
                Command::Link(command) => command.run().await,
                Command::Host(command) => command.run().await,
                Command::Export(command) => command.run().await,
                Command::Completions(command) => command.run(),
                Command::Man => meta::man(),
            }
        })
    }
}

impl Data {
    /// For commands that ask about a collector: without one there is nothing to ask.
    fn existing(&self) -> anyhow::Result<(DataDir, Store)> {
        if !self.data.join("collector.db").is_file() {
            bail!(
                "{} holds no collector's data: start `gnomon-collector serve` first, or name another --data",
                self.data.display()
            );
        }
        let data = DataDir::open(&self.data)?;
        let store = Store::open(&data.database())?;
        Ok((data, store))
    }
}

/// To stdout; a reader that closes the pipe early, such as `head`, is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to stdout"),
    }
}
