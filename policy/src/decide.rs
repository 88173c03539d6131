//! The authoritative decision on one message.

use std::net::SocketAddr;

use crate::glob::Glob;
use crate::host::Authority;
use crate::model::{Action, Match, Mode, Policy, ProcessPattern, UNSANCTIONED, Verdict};

/// What is known about a message. What is not known matches no condition.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The server as the client names it: the value of `Host` or `:authority`.
    pub host: Option<&'a str>,
    /// Where the connection goes. For the explanation only: a server is sanctioned by name.
    pub address: Option<SocketAddr>,
    /// JSON-RPC method.
    pub method: Option<&'a str>,
    /// Tool name of a `tools/call`.
    pub tool: Option<&'a str>,
    /// Name of the user the client runs as.
    pub user: Option<&'a str>,
    /// Number of the user the client runs as.
    pub uid: Option<u32>,
    /// Path of the client's executable.
    pub process: Option<&'a str>,
    /// Classes and detectors of what was found in the message.
    pub data_classes: &'a [&'a str],
}

/// What the policy says about a message, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What the rule says.
    pub action: Action,
    /// What is to be done about it.
    pub mode: Mode,
    /// Identifier of the rule, or `default.sanctioned`, or `default.unsanctioned`.
    pub rule: String,
    /// One sentence for people. Text from traffic is quoted and cut in it.
    pub reason: String,
    /// The sanctioned server the message goes to.
    pub server: Option<String>,
}

impl Decision {
    /// True if the message is to be stopped: action deny in mode enforce.
    pub fn denies(&self) -> bool {
        Verdict { action: self.action, mode: self.mode }.stops()
    }
}

impl Policy {
    /// Decides on one message: the first rule that matches, else the default for the kind of server.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let authority = facts.host.and_then(Authority::parse);
        let server = authority.as_ref().and_then(|a| self.server_of(a)).map(|server| server.id.as_str());
        let (verdict, rule, matched) =
            match self.rules.iter().find(|rule| rule.matches.holds(facts, authority.as_ref(), server)) {
                Some(rule) => (rule.verdict, rule.id.as_str(), rule.matches.explain(facts)),
                None if server.is_some() => (self.sanctioned, "default.sanctioned", String::new()),
                None => (self.unsanctioned, "default.unsanctioned", String::new()),
            };
        let target = match (facts.host, facts.address) {
            (Some(host), _) => quote(host),
            (None, Some(address)) => format!("{address} (no host named)"),
            (None, None) => "a server without a name".into(),
        };
        let sanction = match server {
            Some(id) => format!("sanctioned as {id}"),
            None => "not sanctioned".into(),
        };
        Decision {
            action: verdict.action,
            mode: verdict.mode,
            rule: rule.to_owned(),
            reason: format!("{rule}: {target} is {sanction}{matched}"),
            server: server.map(str::to_owned),
        }
    }
}

impl Match {
    fn holds(&self, facts: &Facts<'_>, authority: Option<&Authority>, server: Option<&str>) -> bool {
        (self.host.is_empty() || authority.is_some_and(|a| self.host.iter().any(|h| h.matches(a))))
            && any_of(&self.server, Some(server.unwrap_or(UNSANCTIONED)))
            && any_of(&self.method, facts.method)
            && any_of(&self.tool, facts.tool)
            && self.user_holds(facts)
            && (self.process.is_empty()
                || facts.process.is_some_and(|path| self.process.iter().any(|p| p.matches(path))))
            && (self.data_class.is_empty()
                || facts.data_classes.iter().any(|found| any_of(&self.data_class, Some(found))))
    }

    fn user_holds(&self, facts: &Facts<'_>) -> bool {
        any_of(&self.user, facts.user) || any_of(&self.user, facts.uid.map(|uid| uid.to_string()).as_deref())
    }

    /// The facts that met a condition other than that on the server.
    fn explain(&self, facts: &Facts<'_>) -> String {
        let mut text = String::new();
        let mut add = |what: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!(", {what} {value}"));
            }
        };
        if !self.method.is_empty() {
            add("method", facts.method.map(quote));
        }
        if !self.tool.is_empty() {
            add("tool", facts.tool.map(quote));
        }
        if !self.user.is_empty() {
            add("user", facts.user.map(quote).or(facts.uid.map(|uid| uid.to_string())));
        }
        if !self.process.is_empty() {
            add("process", facts.process.map(quote));
        }
        for found in facts
            .data_classes
            .iter()
            .filter(|f| !self.data_class.is_empty() && any_of(&self.data_class, Some(f)))
        {
            add("data", Some(quote(found)));
        }
        text
    }
}

impl ProcessPattern {
    fn matches(&self, path: &str) -> bool {
        let text = if self.file_name_only { path.rsplit('/').next().unwrap_or(path) } else { path };
        self.glob.matches(text)
    }
}

fn any_of(globs: &[Glob], value: Option<&str>) -> bool {
    globs.is_empty() || value.is_some_and(|value| globs.iter().any(|glob| glob.matches(value)))
}

/// Hostile text made fit for one line of a log.
pub(crate) fn quote(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let cut: String = text.chars().take(MAX_CHARS).collect();
    let more = if cut.len() < text.len() { "..." } else { "" };
    format!("{cut:?}{more}")
}
