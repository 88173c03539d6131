//! From the agent's spool into the collector's store: all of it, once.
use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use gnomon_tests::{client::Kind, collector::Collector, wait};
use serde_json::Value;

use crate::stage::Stage;

const DRAINED_WITHIN: Duration = Duration::from_secs(60);
const CALLS: usize = 20;

#[test]
fn nothing_is_lost_and_nothing_twice_while_the_collector_is_down() -> Result<()> {
    let mut stage = Stage::without_agent()?;
    let mut collector = Collector::start(stage.dir.path())?;
    stage.start_agent(Some(&collector))?;
    let mut client = stage.client(Kind::Requests)?;
    let call = |client: &mut _| stage.expect_passed(client, &stage.servers.approved, "to be shipped");
    call(&mut client)?;
    let stored = |collector: &Collector| -> Result<usize> {
        let host = stage.servers.approved.host();
        Ok(collector.events()?.iter().filter(|event| event.is_request_to(&host)).count())
    };
    wait::until("the first event in the store", DRAINED_WITHIN, || Ok(stored(&collector)? == 1))?;

    for round in 1..=2 {
        collector.stop()?;
        for _ in 0..CALLS {
            call(&mut client)?;
        }
        wait::until("the spool to hold what cannot be sent", DRAINED_WITHIN, || {
            Ok(spooled(&stage)? >= CALLS as u64)
        })?;
        collector.resume()?;
        let expected = 1 + round * CALLS;
        wait::until("every event in the store", DRAINED_WITHIN, || Ok(stored(&collector)? >= expected))?;
        wait::until("the spool to be empty", DRAINED_WITHIN, || Ok(spooled(&stage)? == 0))?;
        ensure!(stored(&collector)? == expected, "{} events for {expected} requests", stored(&collector)?);
    }
    let events = collector.events()?;
    let mut seen = BTreeMap::new();
    for event in &events {
        *seen.entry(event.number("/seq")).or_insert(0) += 1;
    }
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    ensure!(twice.is_empty(), "stored more than once: {twice:?}");
    // Without holes: what the agent wrote locally and what arrived is the same.
    let numbers: Vec<u64> = seen.keys().copied().collect();
    ensure!(numbers == (1..=numbers.len() as u64).collect::<Vec<_>>(), "holes in {numbers:?}");
    Ok(())
}

fn spooled(stage: &Stage) -> Result<u64> {
    let status = stage.agent()?.status()?;
    // Absent means zero, as on the wire.
    Ok(status.pointer("/health/spool_events").and_then(Value::as_u64).unwrap_or_default())
}
