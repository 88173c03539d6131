//! The two statements that everything here is about: a request was stopped, a request passed.
use std::{thread, time::Duration};

use anyhow::{Result, ensure};

use crate::{
    client::{Client, Outcome},
    recorder::Recorder,
};

/// Longest time that a stopped client may take to see its error.
pub const ERROR_WITHIN: Duration = Duration::from_secs(2);

/// TCP sends a lost segment again after 200 ms at the earliest, then after twice that: a leak by retransmission shows
/// within this time after the client gave up.
const RETRANSMISSIONS: Duration = Duration::from_millis(700);

/// Sends `body` and expects that nothing of it arrives and that the client sees an error within `within`.
///
/// # Errors
/// When it is otherwise.
pub fn stopped(client: &mut Client, server: &Recorder, body: &str, within: Duration) -> Result<Outcome> {
    let before = server.received();
    let outcome = client.post(&server.url(), body)?;
    thread::sleep(RETRANSMISSIONS);
    let leaked = server.received().body_bytes - before.body_bytes;
    ensure!(leaked == 0, "{leaked} body bytes reached {}: {outcome:?}", server.url());
    ensure!(outcome.error.is_some(), "the client saw no error: {outcome:?}");
    ensure!(u128::from(outcome.ms) < within.as_millis(), "the client saw its error too late: {outcome:?}");
    Ok(outcome)
}

/// Sends `body` and expects that it arrives whole, once, and is answered.
///
/// # Errors
/// When it is otherwise.
pub fn passed(client: &mut Client, server: &Recorder, body: &str) -> Result<Outcome> {
    let before = server.received();
    let outcome = client.post(&server.url(), body)?;
    ensure!(outcome.passed(), "the request did not pass: {outcome:?}");
    let after = server.received();
    let arrived =
        after.bodies[before.bodies.len()..].iter().filter(|found| *found == body.as_bytes()).count();
    ensure!(arrived == 1, "the body arrived {arrived} times at {}", server.url());
    Ok(outcome)
}
