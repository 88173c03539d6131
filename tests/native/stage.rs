//! What most tests start with: approved and shadow servers, and an agent whose policy names the approved ones.
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gnomon_tests::{
    agent::Agent,
    client::{Client, Kind},
    collector::Collector,
    events::Event,
    expect, mcp,
    pki::Pki,
    policy,
    recorder::Recorder,
    wait,
};
use tempfile::TempDir;

/// From a client's error to the line in `events.jsonl`.
pub(crate) const EVENT_WITHIN: Duration = Duration::from_secs(5);

/// Plaintext or TLS, approved or not.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) approved: Recorder,
    pub(crate) approved_tls: Recorder,
    pub(crate) shadow: Recorder,
    pub(crate) shadow_tls: Recorder,
}

/// One test's world. The agent is dropped first.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) agent: Option<Agent>,
    pub(crate) servers: Servers,
    pub(crate) pki: Pki,
    pub(crate) dir: TempDir,
}

impl Servers {
    fn start(pki: &Pki) -> Result<Self> {
        Ok(Self {
            approved: Recorder::plain()?,
            approved_tls: Recorder::tls(pki)?,
            shadow: Recorder::plain()?,
            shadow_tls: Recorder::tls(pki)?,
        })
    }

    /// The policy that approves what is approved.
    pub(crate) fn policy(&self, revision: u64) -> String {
        policy::only(
            revision,
            &[("approved", &self.approved.host()), ("approved-tls", &self.approved_tls.host())],
        )
    }
}

impl Stage {
    /// Servers only.
    pub(crate) fn without_agent() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let pki = Pki::create(dir.path())?;
        let servers = Servers::start(&pki)?;
        Ok(Self { agent: None, servers, pki, dir })
    }

    /// Servers, and an agent that keeps its events to itself.
    pub(crate) fn with_agent() -> Result<Self> {
        let mut stage = Self::without_agent()?;
        stage.start_agent(None)?;
        Ok(stage)
    }

    pub(crate) fn start_agent(&mut self, collector: Option<&Collector>) -> Result<()> {
        self.agent = Some(Agent::start(&self.dir.path().join("agent"), &self.servers.policy(1), collector)?);
        Ok(())
    }

    pub(crate) fn agent(&self) -> Result<&Agent> {
        self.agent.as_ref().context("the agent was not started")
    }

    pub(crate) fn client(&self, kind: Kind) -> Result<Client> {
        Client::start(kind, &self.pki.ca)
    }

    /// A shadow call that must be stopped, in time, with nothing of its body arriving, and told as exactly one event.
    pub(crate) fn expect_stopped(&self, client: &mut Client, server: &Recorder, text: &str) -> Result<Event> {
        let before = self.denied(server)?.len();
        expect::stopped(client, server, &mcp::echo_call(1, text), expect::ERROR_WITHIN)
            .with_context(|| self.report())?;
        let event = wait::for_some("the event of the stopped call", EVENT_WITHIN, || {
            Ok(self.denied(server)?.into_iter().nth(before))
        })
        .with_context(|| self.report())?;
        ensure!(event.stopped(), "not stopped: {}", event.0);
        let (method, tool) = (event.str("/message/method"), event.str("/message/tool"));
        ensure!(method == "tools/call" && tool == "echo", "not recognised: {}", event.0);
        let after = self.denied(server)?.len();
        ensure!(after == before + 1, "{} events for one request", after - before);
        Ok(event)
    }

    /// Denied requests to `server` so far.
    pub(crate) fn denied(&self, server: &Recorder) -> Result<Vec<Event>> {
        let mut events = self.agent()?.events()?;
        events
            .retain(|event| event.is_request_to(&server.host()) && event.str("/decision/verdict") == "deny");
        Ok(events)
    }

    /// For error messages: what the agent saw last.
    fn report(&self) -> String {
        let Some(agent) = &self.agent else { return "no agent".to_owned() };
        let events = agent.events().unwrap_or_default();
        let last: Vec<String> = events.iter().rev().take(4).map(|event| event.0.to_string()).collect();
        format!(
            "{} events, newest first:\n{}\nagent log:\n{}",
            events.len(),
            last.join("\n"),
            agent.log_tail(20)
        )
    }

    /// An approved call that must arrive whole.
    pub(crate) fn expect_passed(&self, client: &mut Client, server: &Recorder, text: &str) -> Result<()> {
        expect::passed(client, server, &mcp::echo_call(1, text)).map(drop).with_context(|| self.report())
    }
}
