//! The kernel's matcher per byte, measured by the agent with BPF_PROG_TEST_RUN, against the same tables in user space.
use std::process::Command;

use anyhow::{Context, Result};
use gnomon_tests::paths;
use serde::Deserialize;

use super::row::Row;
use crate::shell::output;

/// What `gnomon-agent bench-matcher` prints.
#[derive(Debug, Deserialize)]
struct Report {
    kernel_ns_per_byte: f64,
    user_ns_per_byte: f64,
}

pub(super) fn measure() -> Result<Vec<Row>> {
    let text = output(Command::new(paths::binary("gnomon-agent")?).arg("bench-matcher"))?;
    let report: Report = serde_json::from_str(text.trim())
        .with_context(|| format!("gnomon-agent bench-matcher printed {text:?}"))?;
    Ok(vec![Row {
        what: "matcher in the kernel".to_owned(),
        unit: "ns/byte",
        value: report.kernel_ns_per_byte,
        baseline: Some(report.user_ns_per_byte),
        against: "ns/byte in user space".to_owned(),
        ratio: Some(report.kernel_ns_per_byte / report.user_ns_per_byte),
        budget: None,
        rounds: Vec::new(),
    }])
}
