//! `gnomon-agent run`: the daemon, from its first file to its last.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{RunArgs, init_log};
use crate::config::Config;
use crate::control::{self, StatusSource};
use crate::journal::Journal;
use crate::ship::Shipper;
use crate::telemetry::Telemetry;

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(args.config.as_deref())?;
    init_log(args.log.as_deref(), Some(&config.log));
    let telemetry = Telemetry::new();
    let journal = Journal::open(&config, telemetry.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(serve(&config, &journal, telemetry));
    journal.close();
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: &Config, journal: &Journal, telemetry: Telemetry) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let control = tokio::spawn(control::serve(&config.control.socket, Arc::new(Status(telemetry.clone())))?);
    let (stop, stopped) = watch::channel(false);
    let shipper = config.collector.clone().map(|collector| {
        let shipper = Shipper::new(collector, config.spool.dir.clone(), journal.spool().clone(), telemetry);
        tokio::spawn(shipper.run(stopped))
    });
    tracing::info!(config = ?config, "started");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    control.abort();
    // Written first, so that it can still be sent.
    let last = journal.clone();
    tokio::task::spawn_blocking(move || last.close()).await?;
    stop.send_replace(true);
    if let Some(shipper) = shipper {
        shipper.await.context("the shipper ended badly")?;
    }
    Ok(())
}

struct Status(Telemetry);

impl StatusSource for Status {
    fn status(&self) -> serde_json::Value {
        serde_json::json!({ "health": self.0.health() })
    }
}
