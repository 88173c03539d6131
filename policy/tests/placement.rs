//! What the kernel carries out and what it leaves to user space.
#![forbid(unsafe_code)]

use gnomon_common::matcher::{MatchState, flag};
use gnomon_policy::{Compiled, Facts, compile, parse};

fn compiled(defaults: &str, rules: &str) -> (gnomon_policy::Policy, Compiled) {
    let policy = parse(&format!(
        "schema: gnomon.policy/v1\nrevision: 1\nservers: [{{id: s, hosts: [ok.example.com]}}]\ndefaults: {{unsanctioned: {{{defaults}}}}}\nrules: [{rules}]\n"
    ))
    .expect("policy");
    let compiled = compile(&policy, 1);
    (policy, compiled)
}

fn kernel_stops(compiled: &Compiled, host: &str) -> bool {
    let mut state = MatchState::default();
    let request = format!("POST / HTTP/1.1\r\nHost: {host}\r\n\r\n{{\"method\":\"tools/list\"}}");
    compiled.automaton.run(&mut state, request.as_bytes());
    compiled.enforce_unsanctioned && state.flags & flag::UNSANCTIONED != 0
}

const DENY: &str = "action: deny";

#[test]
fn only_deny_in_mode_enforce_is_enforced() {
    for (defaults, enforced) in [
        (DENY, true),
        ("action: deny, mode: simulate", false),
        ("action: deny, mode: observe", false),
        ("action: alert", false),
        ("action: allow", false),
    ] {
        let (_, compiled) = compiled(defaults, "");
        assert_eq!(compiled.enforce_unsanctioned, enforced, "{defaults}");
        assert_eq!(compiled.unplaced, [""; 0], "{defaults}");
    }
}

#[test]
fn rules_that_may_let_something_pass() {
    // (rules, kernel enforces, kernel stops x.corp, start of the remark)
    let cases = [
        ("{id: r, match: {host: '*.corp'}, action: allow}", true, false, ""),
        ("{id: r, match: {host: '*.corp'}, action: deny, mode: simulate}", true, false, ""),
        (
            "{id: r, match: {host: '*.corp', user: alice}, action: allow}",
            true,
            false,
            "r: decided in user space for its hosts (host, user)",
        ),
        (
            "{id: r, match: {host: 'x.*'}, action: allow}",
            false,
            false,
            "r: may let messages to any unsanctioned server pass",
        ),
        (
            "{id: r, match: {user: alice}, action: allow}",
            false,
            false,
            "r: may let messages to any unsanctioned server pass",
        ),
        (
            "{id: r, match: {tool: '*'}, action: alert}",
            false,
            false,
            "r: may let messages to any unsanctioned server pass",
        ),
        (
            "{id: r, match: {server: s, user: alice}, action: allow}",
            true,
            true,
            "r: decided in user space (server, user)",
        ),
        (
            "{id: r, match: {data_class: secret}, action: deny}",
            true,
            true,
            "r: decided in user space (data_class)",
        ),
        ("{id: r, action: allow}", false, false, "r: allow in mode enforce: decided in user space"),
        // What comes after a rule for all unsanctioned servers cannot weaken it.
        (
            "{id: d, match: {server: unsanctioned}, action: deny}, {id: r, match: {user: alice}, action: allow}",
            true,
            true,
            "r: decided in user space (user)",
        ),
    ];
    for (rules, enforces, stops_corp, remark) in cases {
        let (_, compiled) = compiled(DENY, rules);
        assert_eq!(compiled.enforce_unsanctioned, enforces, "{rules}");
        assert_eq!(kernel_stops(&compiled, "x.corp"), stops_corp, "{rules}");
        assert_eq!(kernel_stops(&compiled, "evil.tld"), enforces, "{rules}");
        assert!(!kernel_stops(&compiled, "ok.example.com"), "{rules}");
        match compiled.unplaced.as_slice() {
            [] => assert_eq!(remark, "", "{rules}"),
            [only] => assert!(!remark.is_empty() && only.starts_with(remark), "{rules}: {only}"),
            more => panic!("{rules}: {more:?}"),
        }
    }
}

#[test]
fn a_rule_can_be_the_default() {
    let (_, compiled) = compiled("action: alert", "{id: d, match: {server: unsanctioned}, action: deny}");
    assert!(kernel_stops(&compiled, "evil.tld"));
}

#[test]
fn the_kernel_never_stops_what_user_space_lets_pass() {
    let rules = [
        "{id: a, match: {host: '*.corp', tool: 'read_*'}, action: allow}",
        "{id: b, match: {user: alice}, action: alert}",
        "{id: c, match: {host: [a.net, 'b.*']}, action: deny}",
        "{id: d, match: {server: unsanctioned}, action: deny, mode: observe}",
        "{id: e, match: {server: s}, action: deny}",
        "{id: f, match: {server: '*', method: 'tools/*'}, action: deny}",
        "{id: g, match: {host: a.net}, action: allow}",
    ];
    // Each table takes a moment to build without optimisation, so not all 128 sets: a step prime to 2 mixes all bits.
    for chosen in (0u32..1 << rules.len()).step_by(5) {
        let some: Vec<&str> = (0..rules.len()).filter(|i| chosen & (1 << i) != 0).map(|i| rules[i]).collect();
        let (policy, compiled) = compiled(DENY, &some.join(", "));
        for host in ["evil.tld", "x.corp", "a.net", "b.net", "ok.example.com"] {
            for user in [None, Some("alice")] {
                for (method, tool) in
                    [(None, None), (Some("tools/call"), Some("read_x")), (Some("tools/list"), None)]
                {
                    let facts = Facts { host: Some(host), user, method, tool, ..Facts::default() };
                    if !policy.decide(&facts).denies() {
                        assert!(!kernel_stops(&compiled, host), "{some:?} {facts:?}");
                    }
                }
            }
        }
    }
}
