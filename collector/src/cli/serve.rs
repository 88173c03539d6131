//! `gnomon-collector serve`.

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Data, print};
use crate::serve::{Addresses, Options, start};

/// A certificate takes DNS names and IP addresses; anything else would fail later, at its issue.
fn server_name(text: &str) -> Result<String, String> {
    let is_name = text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'*')
        });
    if is_name || text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("expected a DNS name or an IP address, without port".into())
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    data: Data,
    /// Where agents connect, IP:PORT. Port 0: any free one, see addresses.json in the data folder.
    #[arg(long, value_name = "ADDR", default_value_t = Addresses::default().grpc)]
    grpc: SocketAddr,
    /// Where the dashboard and the API are, IP:PORT. Plain HTTP.
    #[arg(long, value_name = "ADDR", default_value_t = Addresses::default().http)]
    http: SocketAddr,
    /// A DNS name or IP address by which agents reach this collector; repeatable.
    #[arg(long = "name", value_name = "NAME", value_parser = server_name)]
    names: Vec<String>,
    /// Days for which events are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    retain_days: u32,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        // Before anything else, so that a signal during the start is not lost.
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let options = Options {
            data: self.data.data,
            grpc: self.grpc,
            http: self.http,
            names: self.names,
            retain: std::time::Duration::from_secs(u64::from(self.retain_days) * 86_400),
        };
        let running = start(&options).await?;
        let mut banner =
            format!("agents     {}\ndashboard  http://{}/\n", running.addresses.grpc, running.addresses.http);
        if let Some(link) = &running.admin_link {
            banner.push_str(&format!("log in     {link}\n           (works once, within 24 hours)\n"));
        }
        print(&banner)?;
        running
            .run_until(async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                tracing::info!("stopping");
            })
            .await?;
        Ok(())
    }
}
