//! Start and stop of the agent around clients that live on.
use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use aya::programs::loaded_programs;
use gnomon_tests::{client::Kind, wait};

use crate::stage::Stage;

/// The kernel frees programs some time after their last reference is gone.
const FREED_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_clean_stop_leaves_connections_working_and_nothing_attached() -> Result<()> {
    let mut stage = Stage::without_agent()?;
    let before = programs()?;
    stage.start_agent(None)?;
    ensure!(programs()? != before, "the agent loaded nothing, so that nothing is left proves nothing");
    let mut clients = Vec::new();
    for kind in [Kind::Requests, Kind::HttpxAsync, Kind::NodeFetch] {
        let mut client = stage.client(kind)?;
        stage.expect_passed(&mut client, &stage.servers.approved_tls, "while it runs")?;
        stage.expect_passed(&mut client, &stage.servers.approved, "while it runs")?;
        clients.push(client);
    }
    let connections = stage.servers.approved_tls.received().connections;
    let status = stage.agent.take().map(|mut agent| agent.stop()).transpose()?;
    ensure!(status.is_some_and(|status| status.success()), "SIGTERM ended the agent with {status:?}");

    wait::until("the agent's programs to be gone", FREED_WITHIN, || Ok(programs()?.is_subset(&before)))?;
    for client in &mut clients {
        stage.expect_passed(client, &stage.servers.approved_tls, "after its end")?;
        stage.expect_passed(client, &stage.servers.approved, "after its end")?;
    }
    ensure!(stage.servers.approved_tls.received().connections == connections, "connections were opened anew");
    // Nobody decides any more.
    for client in &mut clients {
        stage.expect_passed(client, &stage.servers.shadow_tls, "after its end")?;
        stage.expect_passed(client, &stage.servers.shadow, "after its end")?;
    }
    Ok(())
}

#[test]
fn connections_older_than_the_agent_are_stopped() -> Result<()> {
    for kind in [Kind::Requests, Kind::HttpxAsync, Kind::NodeFetch] {
        let mut stage = Stage::without_agent()?;
        let mut client = stage.client(kind)?;
        for server in [&stage.servers.shadow, &stage.servers.shadow_tls] {
            stage.expect_passed(&mut client, server, "before the agent")?;
        }
        stage.start_agent(None)?;
        for server in [&stage.servers.shadow, &stage.servers.shadow_tls] {
            let connections = server.received().connections;
            stage.expect_stopped(&mut client, server, "on the same connection")?;
            // A client that connected anew (some try again) would not be what this is about.
            ensure!(server.received().connections <= connections + 1, "{kind:?}");
        }
    }
    Ok(())
}

#[test]
fn the_agent_starts_again_where_it_stopped() -> Result<()> {
    let mut stage = Stage::with_agent()?;
    let mut client = stage.client(Kind::Curl)?;
    for _ in 0..2 {
        stage.expect_stopped(&mut client, &stage.servers.shadow_tls, "shadow")?;
        if let Some(agent) = &mut stage.agent {
            ensure!(agent.stop()?.success());
            agent.resume()?;
        }
    }
    stage.expect_stopped(&mut client, &stage.servers.shadow_tls, "shadow").map(drop)
}

/// Ids of every BPF program in the kernel.
fn programs() -> Result<BTreeSet<u32>> {
    Ok(loaded_programs().map(|program| program.map(|program| program.id())).collect::<Result<_, _>>()?)
}
