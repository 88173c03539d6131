//! The policy document changes while the agent runs.
use std::time::Duration;

use anyhow::{Result, ensure};
use gnomon_tests::{client::Kind, policy, wait};

use crate::stage::Stage;

const NOTICED_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_broken_policy_changes_nothing_and_is_reported() -> Result<()> {
    let stage = Stage::with_agent()?;
    let agent = stage.agent()?;
    let mut client = stage.client(Kind::Curl)?;
    for broken in
        ["schema: gnomon.policy/v1\nrevision: [", "schema: gnomon.policy/v1\nrevision: 2\nruels: []\n", ""]
    {
        let reports = || -> Result<usize> {
            Ok(agent.events()?.iter().filter(|event| event.str("/kind") == "policy").count())
        };
        let before = reports()?;
        agent.write_policy(broken)?;
        wait::until("an event about the broken policy", NOTICED_WITHIN, || Ok(reports()? > before))?;
        stage.expect_passed(&mut client, &stage.servers.approved_tls, "under the last good policy")?;
        let event =
            stage.expect_stopped(&mut client, &stage.servers.shadow_tls, "under the last good policy")?;
        ensure!(event.number("/decision/policy_revision") == 1, "{}", event.0);
    }
    Ok(())
}

#[test]
fn a_new_policy_takes_effect_without_a_restart() -> Result<()> {
    let stage = Stage::with_agent()?;
    let agent = stage.agent()?;
    let servers = &stage.servers;
    let mut client = stage.client(Kind::Requests)?;
    stage.expect_stopped(&mut client, &servers.shadow_tls, "not approved yet")?;
    // Now the other way round.
    agent.write_policy(&policy::only(2, &[("new", &servers.shadow_tls.host())]))?;
    wait::until("revision 2 in force", NOTICED_WITHIN, || {
        let status = agent.status()?;
        Ok(status.pointer("/health/policy_revision").and_then(serde_json::Value::as_u64) == Some(2))
    })?;
    stage.expect_passed(&mut client, &servers.shadow_tls, "approved now")?;
    let event = stage.expect_stopped(&mut client, &servers.approved_tls, "no longer approved")?;
    ensure!(event.number("/decision/policy_revision") == 2, "{}", event.0);
    Ok(())
}
