//! Decisions: rule order, matching, defaults.
#![forbid(unsafe_code)]

use gnomon_policy::{Action, Facts, Mode, Policy, parse};

const POLICY: &str = r#"
schema: gnomon.policy/v1
revision: 3
servers:
  - id: everything
    hosts: ["127.0.0.1:3001", "*.example.com"]
defaults:
  unsanctioned: { action: deny }
rules:
  - id: corp-is-watched
    match: { host: "*.corp" }
    action: alert
  - id: root-simulated
    match: { user: [root, 0], server: everything }
    action: deny
    mode: simulate
  - id: no-secrets-out
    match: { server: everything, method: tools/call, tool: ["write_*", echo], data_class: secret }
    action: deny
  - id: node-only
    match: { server: unsanctioned, process: [node, "/opt/*/client"] }
    action: allow
"#;

#[test]
fn first_matching_rule_wins_then_the_defaults() {
    let policy = parse(POLICY).unwrap();
    let sanctioned = Facts { host: Some("127.0.0.1:3001"), ..Facts::default() };
    let shadow = Facts { host: Some("evil.tld"), ..Facts::default() };
    let call = Facts { method: Some("tools/call"), tool: Some("write_file"), ..sanctioned };
    let cases: &[(Facts<'_>, &str, Action, Mode)] = &[
        (sanctioned, "default.sanctioned", Action::Allow, Mode::Enforce),
        (shadow, "default.unsanctioned", Action::Deny, Mode::Enforce),
        (Facts::default(), "default.unsanctioned", Action::Deny, Mode::Enforce),
        (Facts { host: Some("a.corp"), ..shadow }, "corp-is-watched", Action::Alert, Mode::Enforce),
        (call, "default.sanctioned", Action::Allow, Mode::Enforce),
        (Facts { data_classes: &["pii", "secret"], ..call }, "no-secrets-out", Action::Deny, Mode::Enforce),
        (
            Facts { data_classes: &["secret"], tool: Some("read"), ..call },
            "default.sanctioned",
            Action::Allow,
            Mode::Enforce,
        ),
        (
            Facts { data_classes: &["secret"], tool: None, ..call },
            "default.sanctioned",
            Action::Allow,
            Mode::Enforce,
        ),
        // An earlier rule in mode simulate still is the one that decides.
        (
            Facts { data_classes: &["secret"], uid: Some(0), ..call },
            "root-simulated",
            Action::Deny,
            Mode::Simulate,
        ),
        (Facts { user: Some("root"), ..sanctioned }, "root-simulated", Action::Deny, Mode::Simulate),
        (
            Facts { user: Some("groot"), uid: Some(10), ..sanctioned },
            "default.sanctioned",
            Action::Allow,
            Mode::Enforce,
        ),
        (Facts { process: Some("/usr/bin/node"), ..shadow }, "node-only", Action::Allow, Mode::Enforce),
        (
            Facts { process: Some("/usr/bin/notnode"), ..shadow },
            "default.unsanctioned",
            Action::Deny,
            Mode::Enforce,
        ),
        (Facts { process: Some("/opt/a/b/client"), ..shadow }, "node-only", Action::Allow, Mode::Enforce),
        (
            Facts { process: Some("/usr/bin/node"), ..sanctioned },
            "default.sanctioned",
            Action::Allow,
            Mode::Enforce,
        ),
    ];
    for (facts, rule, action, mode) in cases {
        let decision = policy.decide(facts);
        assert_eq!(
            (decision.rule.as_str(), decision.action, decision.mode),
            (*rule, *action, *mode),
            "{facts:?}"
        );
        assert_eq!(decision.denies(), *action == Action::Deny && *mode == Mode::Enforce);
        assert!(decision.reason.starts_with(rule), "{}", decision.reason);
    }
}

#[test]
fn the_decision_names_the_server_and_the_reason() {
    let policy = parse(POLICY).unwrap();
    let decision = policy.decide(&Facts {
        host: Some("a.example.com"),
        method: Some("tools/call"),
        tool: Some("write_\n\u{1b}[31m"),
        data_classes: &["secret"],
        ..Facts::default()
    });
    assert_eq!(decision.server.as_deref(), Some("everything"));
    assert_eq!(
        decision.reason,
        "no-secrets-out: \"a.example.com\" is sanctioned as everything, method \"tools/call\", \
         tool \"write_\\n\\u{1b}[31m\", data \"secret\""
    );
    let long = "x".repeat(100_000);
    assert!(policy.decide(&Facts { host: Some(&long), ..Facts::default() }).reason.len() < 300);
}

#[test]
fn builtin_stops_nothing_and_reports_the_unsanctioned() {
    let decision = Policy::builtin().decide(&Facts { host: Some("a.b"), ..Facts::default() });
    assert_eq!((decision.action, decision.mode, decision.denies()), (Action::Alert, Mode::Observe, false));
    assert_eq!(Policy::builtin().revision(), 0);
}

#[test]
fn a_document_without_defaults_watches() {
    let policy = parse("schema: gnomon.policy/v1\nrevision: 1\n").unwrap();
    let decision = policy.decide(&Facts::default());
    assert_eq!(
        (decision.rule.as_str(), decision.action, decision.mode),
        ("default.unsanctioned", Action::Alert, Mode::Observe)
    );
}

#[test]
fn look_alikes_are_not_sanctioned() {
    let policy = parse(POLICY).unwrap();
    assert_eq!(policy.sanctioned("A.Example.COM:8443"), Some("everything"));
    for host in [
        "example.com",
        "notexample.com",
        "a.example.com.evil.tld",
        "127.0.0.1",
        "127.0.0.1:30010",
        "127.0.0.1:3001@evil.tld",
        "evil.tld/.example.com",
        "evil.tld#.example.com",
        "evil tld.example.com",
        "",
    ] {
        assert_eq!(policy.sanctioned(host), None, "{host:?}");
    }
}
