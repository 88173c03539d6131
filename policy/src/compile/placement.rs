//! Which part of the policy the kernel carries out.

use crate::host::{HostPattern, Name};
use crate::model::{Match, Policy, Rule, UNSANCTIONED, Verdict};

pub(super) struct Placement<'p> {
    /// Hosts to which the kernel stops nothing: sanctioned ones, and those for which user space decides.
    pub(super) hosts: Vec<&'p HostPattern>,
    pub(super) enforce_unsanctioned: bool,
    pub(super) unplaced: Vec<String>,
}

/// Walks the rules as a message to an unsanctioned server would meet them.
pub(super) fn place(policy: &Policy) -> Placement<'_> {
    let mut hosts: Vec<&HostPattern> = policy.servers.iter().flat_map(|server| &server.hosts).collect();
    let mut unplaced = Vec::new();
    // Why the kernel must leave unsanctioned servers alone.
    let mut obstacles = Vec::new();
    // What becomes of a message to an unsanctioned server that no rule singles out.
    let mut verdict: Option<Verdict> = None;
    for rule in &policy.rules {
        if verdict.is_some() || !rule.matches.may_meet_unsanctioned() {
            unplaced.push(format!(
                "{}: decided in user space ({})",
                rule.id,
                rule.matches.fields().join(", ")
            ));
            continue;
        }
        if rule.matches.meets_all_unsanctioned() {
            verdict = Some(rule.verdict);
            if !rule.verdict.stops() {
                unplaced.push(format!(
                    "{}: {} in mode {}: decided in user space",
                    rule.id, rule.verdict.action, rule.verdict.mode
                ));
            }
        } else if rule.verdict.stops() {
            unplaced.push(format!(
                "{}: decided in user space ({})",
                rule.id,
                rule.matches.fields().join(", ")
            ));
        } else {
            exempt(rule, &mut hosts, &mut obstacles, &mut unplaced);
        }
    }
    let stops = verdict.unwrap_or(policy.unsanctioned).stops();
    if stops {
        unplaced.extend(obstacles.iter().map(|rule| {
            format!("{rule}: may let messages to any unsanctioned server pass, so all of them are decided in user space")
        }));
    }
    Placement { hosts, enforce_unsanctioned: stops && obstacles.is_empty(), unplaced }
}

/// A rule that may let something pass: its hosts are left to user space, or everything is.
fn exempt<'p>(
    rule: &'p Rule,
    hosts: &mut Vec<&'p HostPattern>,
    obstacles: &mut Vec<&'p str>,
    unplaced: &mut Vec<String>,
) {
    let fields = rule.matches.fields();
    if rule.matches.host.is_empty() || rule.matches.host.iter().any(|host| matches!(host.name, Name::Glob(_)))
    {
        obstacles.push(&rule.id);
        return;
    }
    hosts.extend(&rule.matches.host);
    if fields.iter().any(|field| *field != "host") {
        unplaced.push(format!("{}: decided in user space for its hosts ({})", rule.id, fields.join(", ")));
    }
}

impl Match {
    fn may_meet_unsanctioned(&self) -> bool {
        self.server.is_empty() || self.server.iter().any(|glob| glob.matches(UNSANCTIONED))
    }

    /// True if no message to an unsanctioned server gets past the rule. `tool: "*"` is not that: it wants a tool.
    fn meets_all_unsanctioned(&self) -> bool {
        self.may_meet_unsanctioned() && self.fields().iter().all(|field| *field == "server")
    }

    /// Names of the fields that are given.
    fn fields(&self) -> Vec<&'static str> {
        [
            ("server", self.server.is_empty()),
            ("host", self.host.is_empty()),
            ("method", self.method.is_empty()),
            ("tool", self.tool.is_empty()),
            ("user", self.user.is_empty()),
            ("process", self.process.is_empty()),
            ("data_class", self.data_class.is_empty()),
        ]
        .into_iter()
        .filter(|(_, absent)| !absent)
        .map(|(name, _)| name)
        .collect()
    }
}
