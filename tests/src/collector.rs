//! A running `gnomon-collector` with its own data folder.
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::{events::Event, paths, process::Process, server::free_port};

const START: Duration = Duration::from_secs(60);

/// A collector; stopped when dropped.
#[derive(Debug)]
pub struct Collector {
    data: PathBuf,
    grpc: SocketAddr,
    http: SocketAddr,
    api_token: String,
    process: Option<Process>,
}

/// Events per request; the most that the API gives.
const PAGE: usize = 500;

#[derive(Debug, Deserialize)]
struct Page {
    events: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: i64,
    event: Value,
}

#[derive(Debug, Deserialize)]
struct Addresses {
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Collector {
    /// Starts a collector with its data in `dir/data`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(dir: &Path) -> Result<Self> {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Fixed for the life of this value, so that a restarted collector is found again.
        let (grpc, http) = (local(free_port()?), local(free_port()?));
        let mut collector =
            Self { data: dir.join("data"), grpc, http, api_token: String::new(), process: None };
        collector.resume()?;
        collector.api_token = collector.new_token("api")?;
        Ok(collector)
    }

    /// Starts it again on the same addresses with the same data.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn resume(&mut self) -> Result<()> {
        let logs = self.data.parent().context("data folder without parent")?;
        let mut command = Command::new(paths::binary("gnomon-collector")?);
        command.arg("serve").arg("--data").arg(&self.data);
        command.args(["--grpc", &self.grpc.to_string(), "--http", &self.http.to_string()]);
        let mut process = Process::start("collector", &mut command, logs)?;
        process.ready(START, |_| {
            self.addresses().is_ok_and(|found| found.grpc == self.grpc && found.http == self.http)
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops it; its data stays.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.process.take().context("the collector is stopped")?.stop()?;
        if !status.success() {
            bail!("the collector ended with {status}");
        }
        Ok(())
    }

    fn addresses(&self) -> Result<Addresses> {
        Ok(serde_json::from_slice(&fs::read(self.data.join("addresses.json"))?)?)
    }

    /// Where agents connect.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where the dashboard is.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// A fresh one-time enrolment token.
    ///
    /// # Errors
    /// When the command fails.
    pub fn token(&self) -> Result<String> {
        self.new_token("create")
    }

    fn new_token(&self, kind: &str) -> Result<String> {
        let mut command = Command::new(paths::binary("gnomon-collector")?);
        let output = command.args(["token", kind, "--json", "--data"]).arg(&self.data).output()?;
        if !output.status.success() {
            bail!("token {kind}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let reply: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("token {kind} printed no JSON"))?;
        Ok(reply
            .get("token")
            .and_then(Value::as_str)
            .with_context(|| format!("no token in {reply}"))?
            .to_owned())
    }

    /// Every event in the store, oldest first, read through the HTTP API.
    ///
    /// # Errors
    /// When the API does not answer as documented.
    pub fn events(&self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut cursor = 0;
        loop {
            let url = format!("http://{}/api/v1/events?limit={PAGE}&after={cursor}", self.http);
            let mut page: Page = ureq::get(&url)
                .header("authorization", format!("Bearer {}", self.api_token))
                .call()
                .and_then(|mut answer| answer.body_mut().read_json())
                .with_context(|| format!("GET {url}"))?;
            let Some(last) = page.events.last() else { return Ok(events) };
            cursor = last.id;
            events.extend(page.events.drain(..).map(|row| Event(row.event)));
        }
    }

    /// The one-time link that signs an administrator in to the dashboard.
    ///
    /// # Errors
    /// When it was used already.
    pub fn admin_link(&self) -> Result<String> {
        let path = self.data.join("admin-link");
        Ok(fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?.trim().to_owned())
    }
}
