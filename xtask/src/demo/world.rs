//! Everything that runs during the demo.
use std::{fs, path::Path};

use anyhow::Result;
use gnomon_tests::{
    agent::Agent, collector::Collector, pki::Pki, policy, recorder::Recorder, server::RealServer,
};

use super::story::Story;
use crate::interrupt;

/// Collector, servers and, once approved servers are known, the agent. Fields are dropped in this order: the agent
/// first, so that nothing is watched while it ends.
#[derive(Debug)]
pub(super) struct World {
    pub(super) agent: Option<Agent>,
    pub(super) collector: Collector,
    pub(super) pki: Pki,
    /// Approved, plaintext.
    pub(super) approved: RealServer,
    /// Approved, TLS.
    pub(super) approved_tls: RealServer,
    /// Nobody approved it; clients reach it through the counter in front of it.
    pub(super) shadow: Recorder,
    shadow_behind: RealServer,
    /// Nobody approved it; counts for itself what it decrypts.
    pub(super) shadow_tls: RealServer,
    dir: std::path::PathBuf,
}

impl World {
    /// Starts all but the agent.
    pub(super) fn start(story: &Story, dir: &Path) -> Result<Self> {
        story.heading("The cast");
        let pki = Pki::create(dir)?;
        let collector = Collector::start(dir)?;
        story.say(&format!("collector             http://{}", collector.http()));
        interrupt::check()?;
        let approved = RealServer::everything("approved", dir)?;
        story.say(&format!(
            "approved server       {}  (@modelcontextprotocol/server-everything, npm)",
            approved.url()
        ));
        let shadow_behind = RealServer::everything("shadow", dir)?;
        let shadow = Recorder::in_front_of(shadow_behind.addr())?;
        story.say(&format!(
            "shadow server         {}  (the same, approved by nobody; bytes are counted in front of it)",
            shadow.url()
        ));
        interrupt::check()?;
        let approved_tls = RealServer::fastmcp_tls("approved-tls", &pki, dir)?;
        story.say(&format!("approved server, TLS  {} (fastmcp, PyPI)", approved_tls.url()));
        let shadow_tls = RealServer::fastmcp_tls("shadow-tls", &pki, dir)?;
        story.say(&format!(
            "shadow server, TLS    {} (the same, approved by nobody; counts what it decrypts)",
            shadow_tls.url()
        ));
        interrupt::check()?;
        Ok(Self {
            agent: None,
            collector,
            pki,
            approved,
            approved_tls,
            shadow,
            shadow_behind,
            shadow_tls,
            dir: dir.to_owned(),
        })
    }

    /// Starts the agent with a policy that names the two approved servers.
    pub(super) fn start_agent(&mut self) -> Result<()> {
        let document =
            policy::only(1, &[("everything", &self.approved.host()), ("fastmcp", &self.approved_tls.host())]);
        self.agent = Some(Agent::start(&self.dir.join("agent"), &document, Some(&self.collector))?);
        Ok(())
    }

    /// Where everything is written.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the process behind the counter still runs: nothing arriving at a dead server would prove nothing.
    pub(super) fn shadow_alive(&mut self) -> bool {
        self.shadow_behind.process.alive() && self.shadow_tls.process.alive()
    }
}

/// The end of every log below `dir`.
pub(super) fn print_logs(dir: &Path) {
    for folder in [dir.to_path_buf(), dir.join("agent")] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = fs::read(&path).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let lines: Vec<&str> = text.lines().collect();
                eprintln!(
                    "--- {} (last lines)\n{}",
                    path.display(),
                    lines[lines.len().saturating_sub(25)..].join("\n")
                );
            }
        }
    }
}
