//! The checked policy.

use std::fmt;

use crate::glob::Glob;
use crate::host::{Authority, HostPattern};

/// What a rule says about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It may pass.
    Allow,
    /// It may not pass.
    Deny,
    /// It may pass, and somebody should look at it.
    Alert,
}

impl Action {
    pub(crate) const ALL: [Action; 3] = [Action::Allow, Action::Deny, Action::Alert];

    /// As written in a policy document.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Deny => "deny",
            Action::Alert => "alert",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is done about an [`Action`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Record the message only.
    Observe,
    /// Record what would have been done.
    Simulate,
    /// Do it.
    Enforce,
}

impl Mode {
    pub(crate) const ALL: [Mode; 3] = [Mode::Observe, Mode::Simulate, Mode::Enforce];

    /// As written in a policy document.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Simulate => "simulate",
            Mode::Enforce => "enforce",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The `server` of rules for any server that the document does not list.
pub(crate) const UNSANCTIONED: &str = "unsanctioned";

/// A checked policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) revision: u64,
    pub(crate) description: Option<String>,
    pub(crate) servers: Vec<Server>,
    pub(crate) unsanctioned: Verdict,
    pub(crate) sanctioned: Verdict,
    pub(crate) rules: Vec<Rule>,
}

/// A sanctioned server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) hosts: Vec<HostPattern>,
}

/// An action and how seriously it is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) action: Action,
    pub(crate) mode: Mode,
}

impl Verdict {
    pub(crate) const ALLOW: Verdict = Verdict { action: Action::Allow, mode: Mode::Enforce };
    pub(crate) const WATCH: Verdict = Verdict { action: Action::Alert, mode: Mode::Observe };

    /// True if a message with this verdict is stopped.
    pub(crate) fn stops(self) -> bool {
        self.action == Action::Deny && self.mode == Mode::Enforce
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) description: Option<String>,
    pub(crate) matches: Match,
    pub(crate) verdict: Verdict,
}

/// Conditions of a rule. An empty list is a field that the document leaves out: it holds for anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) server: Vec<Glob>,
    pub(crate) host: Vec<HostPattern>,
    pub(crate) method: Vec<Glob>,
    pub(crate) tool: Vec<Glob>,
    pub(crate) user: Vec<Glob>,
    pub(crate) process: Vec<ProcessPattern>,
    pub(crate) data_class: Vec<Glob>,
}

/// A pattern over the path of an executable, or over its file name when written without a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessPattern {
    pub(crate) glob: Glob,
    pub(crate) file_name_only: bool,
}

impl Policy {
    /// The policy in force when none is configured: everything passes, servers nobody approved are reported.
    pub fn builtin() -> Policy {
        Policy {
            revision: 0,
            description: Some("built in: observe everything".into()),
            servers: Vec::new(),
            unsanctioned: Verdict::WATCH,
            sanctioned: Verdict::ALLOW,
            rules: Vec::new(),
        }
    }

    /// The number its author gave this version; 0 for [`Policy::builtin`] only.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What the author says it is for.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The description of a rule, for reports.
    pub fn rule_description(&self, id: &str) -> Option<&str> {
        self.rules.iter().find(|rule| rule.id == id)?.description.as_deref()
    }

    /// Identifiers of the sanctioned servers, in the order of the document.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().map(|server| server.id.as_str())
    }

    /// The sanctioned server that a client names with `host` (the value of `Host` or `:authority`), if any.
    pub fn sanctioned(&self, host: &str) -> Option<&str> {
        self.server_of(&Authority::parse(host)?).map(|server| server.id.as_str())
    }

    pub(crate) fn server_of(&self, authority: &Authority) -> Option<&Server> {
        self.servers.iter().find(|server| server.hosts.iter().any(|host| host.matches(authority)))
    }
}
