//! Waiting for a condition with a deadline, never for a fixed time.
use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// Calls `probe` until it returns a value; fails after `within`, naming `what`.
pub fn for_some<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {:.1} s", within.as_secs_f32());
        }
        thread::sleep(EVERY);
    }
}

/// Calls `probe` until it is true; fails after `within`, naming `what`.
pub fn until(what: &str, within: Duration, mut probe: impl FnMut() -> Result<bool>) -> Result<()> {
    for_some(what, within, || Ok(probe()?.then_some(())))
}
