//! The JSON objects that `scan` writes.

use gnomon_inspect::{Direction, Finding, Loss, Message};
use gnomon_policy::{Facts, Policy};
use serde::Serialize;

/// A message with the verdict on it.
#[derive(Serialize)]
pub(super) struct Decided {
    #[serde(flatten)]
    message: Message,
    /// "allow", "deny", "alert".
    verdict: &'static str,
    rule: String,
    /// "observe", "simulate", "enforce".
    mode: &'static str,
    reason: String,
    policy_revision: u64,
}

/// Bytes that were not inspected.
#[derive(Serialize)]
pub(super) struct NotInspected {
    pub(super) direction: Direction,
    pub(super) what: Loss,
    pub(super) bytes: u64,
}

/// Also returns the message's findings, which stand beside the messages as well.
pub(super) fn decide(policy: &Policy, message: Message) -> (Decided, Vec<Finding>) {
    let findings = message.findings.clone();
    let data = message.data_classes();
    let decision = policy.decide(&Facts {
        host: message.host.as_deref(),
        method: message.method.as_deref(),
        tool: message.tool.as_deref(),
        data_classes: &data,
        ..Facts::default()
    });
    let decided = Decided {
        verdict: decision.action.as_str(),
        rule: decision.rule,
        mode: decision.mode.as_str(),
        reason: decision.reason,
        policy_revision: policy.revision(),
        message,
    };
    (decided, findings)
}
