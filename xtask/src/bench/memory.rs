//! Resident memory of an agent with nothing to do.
use std::{fs, thread, time::Duration};

use anyhow::{Context, Result};
use gnomon_tests::{agent::Agent, policy};

use super::{
    Setting,
    row::{Budget, Row},
};

const MOST_MIB: f64 = 40.0;
/// Past the allocations of starting up.
const SETTLE: Duration = Duration::from_secs(5);

pub(super) fn measure(setting: &Setting<'_>) -> Result<Vec<Row>> {
    let agent =
        Agent::start(&setting.dir.join("agent"), &policy::only(1, &[("example", "mcp.example.com")]), None)?;
    thread::sleep(SETTLE);
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid()?))?;
    Ok(vec![Row {
        what: "agent, idle, resident memory".to_owned(),
        unit: "MiB",
        value: resident_mib(&status).context("no VmRSS in /proc/PID/status")?,
        baseline: None,
        against: "nothing".to_owned(),
        ratio: None,
        budget: Some(Budget::ValueAtMost(MOST_MIB)),
        rounds: Vec::new(),
    }])
}

fn resident_mib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::resident_mib;

    #[test]
    fn resident_memory_is_read_from_proc() {
        assert_eq!(resident_mib("VmHWM:\t 90000 kB\nVmRSS:\t   20480 kB\n"), Some(20.0));
        assert_eq!(resident_mib("VmHWM:\t 90000 kB\n"), None);
    }
}
