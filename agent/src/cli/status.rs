//! `gnomon-agent status`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gnomon_proto::v1::Health;
use serde_json::Value;

use crate::config::Config;
use crate::control::client;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// The daemon's configuration file, for its socket [default: /etc/gnomon/agent.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(args.config.as_deref())?;
    let status = client::status(&config.control.socket)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{status}")?;
    } else {
        write!(out, "{}", text(&status))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(status: &Value) -> String {
    let mut lines = Vec::new();
    // An object of another version still shows the rest below.
    if let Some(health) = status.get("health").and_then(|h| serde_json::from_value::<Health>(h.clone()).ok())
    {
        lines.push(format!(
            "gnomon-agent {} on {}, kernel {}",
            health.agent_version, health.hostname, health.kernel
        ));
        lines.push(format!("level: {}", health.level));
        lines.push(format!("policy revision: {}", health.policy_revision));
        lines.push(format!("messages: {}, denied: {}", health.messages, health.denied));
        lines.push(format!("spool: {} events, {} bytes", health.spool_events, health.spool_bytes));
        let losses = health.losses.iter().map(|l| format!("{} {} ({} bytes)", l.what, l.count, l.bytes));
        push_list(&mut lines, "losses", losses.collect());
        push_list(&mut lines, "lacks", health.lacks);
    }
    for (name, value) in status.as_object().into_iter().flatten().filter(|(name, _)| *name != "health") {
        match value {
            Value::String(text) => lines.push(format!("{name}: {text}")),
            Value::Array(items) => push_list(&mut lines, name, items.iter().map(plain).collect()),
            other => lines.push(format!("{name}: {other}")),
        }
    }
    lines.join("\n") + "\n"
}

fn push_list(lines: &mut Vec<String>, name: &str, items: Vec<String>) {
    if items.is_empty() {
        lines.push(format!("{name}: none"));
    } else {
        lines.push(format!("{name}:"));
        lines.extend(items.into_iter().map(|item| format!("  {item}")));
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_health_and_whatever_else_there_is() {
        let status = serde_json::json!({
            "health": {"hostname": "h", "agent_version": "1", "kernel": "6", "level": "cut", "messages": 3,
                "losses": [{"what": "ring_full", "count": 2, "bytes": 9}]},
            "probes": ["libssl.so.3", {"pid": 4}],
            "enforcing": true,
        });
        assert_eq!(
            text(&status),
            "gnomon-agent 1 on h, kernel 6\nlevel: cut\npolicy revision: 0\nmessages: 3, denied: 0\n\
             spool: 0 events, 0 bytes\nlosses:\n  ring_full 2 (9 bytes)\nlacks: none\nenforcing: true\nprobes:\n  \
             libssl.so.3\n  {\"pid\":4}\n"
        );
    }
}
