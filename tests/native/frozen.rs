//! An agent that does not run: what the kernel was told holds without it.
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gnomon_tests::{client::Kind, mcp};
use rustix::process::{Pid, Signal, kill_process};

use crate::stage::Stage;

/// More than the ring holds (8 MiB), in bodies that are no MCP.
const FILLERS: usize = 100;
const FILLER_BYTES: usize = 128 << 10;

struct Frozen(Pid);

impl Frozen {
    fn new(stage: &Stage) -> Result<Self> {
        let pid = Pid::from_raw(i32::try_from(stage.agent()?.pid()?)?).context("the agent has a pid")?;
        kill_process(pid, Signal::STOP)?;
        Ok(Self(pid))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // The process is ours and was alive when it was stopped.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[test]
fn a_frozen_agent_and_a_full_ring_let_nothing_out() -> Result<()> {
    let stage = Stage::with_agent()?;
    let mut client = stage.client(Kind::Curl)?;
    let frozen = Frozen::new(&stage)?;
    let filler = format!("{{\"text\":\"{}\"}}", "x".repeat(FILLER_BYTES));
    for _ in 0..FILLERS {
        let outcome = client.post(&stage.servers.approved.url(), &filler)?;
        ensure!(outcome.passed(), "{outcome:?}");
    }
    for server in [&stage.servers.shadow, &stage.servers.shadow_tls] {
        let before = server.received().body_bytes;
        // Nobody ends its socket: the client runs into its own time-out.
        let outcome = client.post(&server.url(), &mcp::echo_call(1, "shadow"))?;
        ensure!(outcome.error.is_some(), "{outcome:?}");
        let leaked = server.received().body_bytes - before;
        ensure!(leaked == 0, "{leaked} body bytes reached {}", server.url());
    }
    drop(frozen);
    let full = |event: &gnomon_tests::events::Event| event.str("/loss/what") == "ring_full";
    stage.agent()?.event("the loss is told", Duration::from_secs(10), full)?;
    Ok(())
}
