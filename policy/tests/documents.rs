//! Documents: what is accepted, and what is said about what is not.
#![forbid(unsafe_code)]

use gnomon_policy::{parse, parse_with_data_classes};

const HEAD: &str = "schema: gnomon.policy/v1\nrevision: 7\n";

/// The first line of the report on `HEAD` followed by `rest`; so `rest` starts on line 3.
fn first_error(rest: &str) -> String {
    let errors = parse(&format!("{HEAD}{rest}")).expect_err(rest);
    errors.diagnostics()[0].to_string()
}

#[test]
fn the_whole_format_is_accepted() {
    let policy = parse(
        r#"
schema: gnomon.policy/v1
revision: 7
description: what we run
servers:
  - id: everything
    hosts: ["127.0.0.1:3001", "mcp.example.com", "*.tools.example.com", "[::1]:3001"]
  - id: other
    hosts: other.example.com
defaults:
  unsanctioned: { action: deny, mode: enforce }
  sanctioned: { action: allow }
rules:
  - id: no-secrets-out
    description: keys stay here
    match:
      server: [everything, unsanctioned]
      host: ["*.example.com", "10.*"]
      method: ["tools/call", "x-vendor/*"]
      tool: "write_*"
      user: [alice, 1000]
      process: ["/usr/bin/node", python3]
      data_class: [secret, "aws_*"]
    action: deny
    mode: simulate
  - id: catch-all
    action: alert
"#,
    )
    .unwrap();
    assert_eq!(policy.revision(), 7);
    assert_eq!(policy.description(), Some("what we run"));
    assert_eq!(policy.servers().collect::<Vec<_>>(), ["everything", "other"]);
    assert_eq!(policy.rule_description("no-secrets-out"), Some("keys stay here"));
}

#[test]
fn json_and_crlf_and_byte_order_mark_are_yaml_too() {
    parse(r#"{"schema":"gnomon.policy/v1","revision":1,"rules":[{"id":"a","action":"deny"}]}"#).unwrap();
    parse("\u{feff}schema: gnomon.policy/v1\r\nrevision: 1\r\n").unwrap();
    parse("---\nschema: 'gnomon.policy/v1'\nrevision: 1\n...\n").unwrap();
}

#[test]
fn problems_are_reported_at_the_offending_token() {
    let rule = |text: &str| format!("rules:\n  - id: r\n    action: deny\n    match: {{ {text} }}\n");
    let cases = [
        (
            "rulez: []",
            "3:1: unknown key \"rulez\" in the policy; expected schema, revision, description, servers, defaults or rules (did you mean \"rules\"?)",
        ),
        ("rules: {}", "3:8: expected a list for rules, found a mapping"),
        ("rules:", "3:1: expected a list for rules, found nothing"),
        ("rules: []\nrules: []", "4:1: key \"rules\" is given twice in the policy"),
        ("rules: [deny]", "3:9: expected a mapping for the rule, found text"),
        (
            "rules:\n  - id: r\n    action: denny",
            "5:13: unknown action \"denny\"; expected allow, deny or alert (did you mean \"deny\"?)",
        ),
        (
            "rules:\n  - id: r\n    action: block",
            "5:13: unknown action \"block\"; expected allow, deny or alert",
        ),
        (
            "rules:\n  - id: r\n    action: deny\n    mode: Enforce",
            "6:11: unknown mode \"Enforce\"; expected observe, simulate or enforce (did you mean \"enforce\"?)",
        ),
        (
            "rules:\n  - id: r\n    action: true",
            "5:13: expected text for action, found a boolean: write it in quotes",
        ),
        ("rules:\n  - id: r\n    action:", "5:5: expected text for action, found nothing"),
        ("rules:\n  - id: r", "4:5: missing action in the rule"),
        ("rules:\n  - action: deny", "4:5: missing id in the rule"),
        (
            "rules:\n  - {id: r, action: deny}\n  - {id: r, action: deny}",
            "5:10: rule id \"r\" is already used on line 4",
        ),
        (
            "rules:\n  - {id: default.x, action: deny}",
            "4:10: rule ids that start with \"default.\" are reserved",
        ),
        ("rules:\n  - {id: 'a b', action: deny}", "4:10: bad rule id \"a b\""),
        (
            "servers:\n  - {id: s, hosts: [a.b]}\n  - {id: s, hosts: [c.d]}",
            "5:10: server id \"s\" is already used on line 4",
        ),
        (
            "servers:\n  - {id: s, hosts: [a.b]}\n  - {id: t, hosts: [A.B]}",
            "5:21: host \"A.B\" is already listed for server \"s\"",
        ),
        ("servers:\n  - {id: unsanctioned, hosts: [a.b]}", "4:10: server id \"unsanctioned\" is reserved"),
        ("servers:\n  - {id: s}", "4:5: missing hosts in the server"),
        ("servers:\n  - {id: s, hosts: []}", "4:20: empty list for hosts"),
        (
            "servers:\n  - {id: s, hosts: ['https://a.b/mcp']}",
            "4:21: bad host \"https://a.b/mcp\": expected a host, not a URL (did you mean \"a.b\"?)",
        ),
        (
            "servers:\n  - {id: s, hosts: ['mcp.*']}",
            "4:21: bad host \"mcp.*\": \"*\" may only stand for whole leading labels",
        ),
        ("servers:\n  - {id: s, hosts: [3001]}", "4:21: expected text for a host, found a number"),
        (
            "defaults: { unsanctioned: { action: deny, mod: observe } }",
            "3:43: unknown key \"mod\" in defaults.unsanctioned; expected action or mode (did you mean \"mode\"?)",
        ),
        (
            "defaults: { unsanctionned: { action: deny } }",
            "3:13: unknown key \"unsanctionned\" in defaults; expected unsanctioned or sanctioned (did you mean \"unsanctioned\"?)",
        ),
        (
            "defaults: { unsanctioned: deny }",
            "3:27: expected a mapping for defaults.unsanctioned, found text",
        ),
        (
            &rule("method: [tools/list, tools/cal]"),
            "6:35: unknown method \"tools/cal\": it is not a method of MCP; for one of an extension use a pattern, such as \"x/*\" (did you mean \"tools/call\"?)",
        ),
        (&rule("method: eth_call"), "6:22: unknown method \"eth_call\""),
        (
            &rule("server: everythin"),
            "6:22: unknown server \"everythin\": expected the id of a listed server or \"unsanctioned\"",
        ),
        (
            &rule("server: unsanctoned"),
            "6:22: unknown server \"unsanctoned\": expected the id of a listed server or \"unsanctioned\" (did you mean \"unsanctioned\"?)",
        ),
        (&rule("server: 'no-such-*'"), "6:22: unknown server \"no-such-*\""),
        (&rule("tool: []"), "6:20: empty list for tool"),
        (&rule("tool: ''"), "6:20: bad tool \"\": an empty pattern"),
        (&rule("tool: 'a**'"), "6:20: bad tool \"a**\": bad pattern: \"**\""),
        (&rule("tool: ['x?']"), "6:21: bad tool \"x?\": bad pattern: '?' is not supported"),
        (&rule("tool: {a: b}"), "6:20: expected text or a list of texts for tool, found a mapping"),
        (&rule("toolname: x"), "6:14: unknown key \"toolname\" in match"),
        (
            &rule("process: bin/node"),
            "6:23: bad process \"bin/node\": expected a full path or a bare file name (did you mean \"*/bin/node\"?)",
        ),
        (
            &rule("data_class: Secret"),
            "6:26: bad data_class \"Secret\": expected lower-case letters, digits, \".\", \"_\" or \"-\" (did you mean \"secret\"?)",
        ),
        (
            &rule("host: '::1'"),
            "6:20: bad host \"::1\": an IPv6 address is written in brackets (did you mean \"[::1]\"?)",
        ),
        ("rules: &a []", "3:8: anchors and tags are not supported"),
        ("description: &a x", "3:14: anchors and tags are not supported"),
        ("description: !!str x", "3:14: anchors and tags are not supported"),
        ("---\nschema: x", "3:1: a second document starts here"),
        ("rules:\n\t- id: r", "4:1: "),
        ("rules: [", "4:1: "),
        ("  é: [\"ü\", bogus: {]", "3:"),
    ];
    for (rest, expected) in cases {
        let found = first_error(rest);
        assert!(found.starts_with(expected), "{rest:?}\n   found {found}\nexpected {expected}");
    }
}

#[test]
fn columns_count_characters() {
    assert!(
        first_error("rules: [{id: a, action: deny, description: 'äöü→', mod: x}]")
            .starts_with("3:52: unknown key")
    );
}

#[test]
fn schema_and_revision_are_required() {
    let errors = |text: &str| parse(text).unwrap_err().to_string();
    assert_eq!(errors("rules: []"), "1:1: missing schema in the policy\n1:1: missing revision in the policy");
    assert_eq!(
        errors("schema: gnomon.policy/v2\nrevision: 1"),
        "1:9: unknown schema \"gnomon.policy/v2\"; expected gnomon.policy/v1 (did you mean \"gnomon.policy/v1\"?)"
    );
    for revision in ["0", "-1", "1.5", "seven", "'7'", "", "[1]", "99999999999999999999"] {
        let found = errors(&format!("schema: gnomon.policy/v1\nrevision: {revision}\n"));
        assert!(found.contains(": expected a whole number from 1 for revision"), "{revision}: {found}");
    }
    for empty in ["", "# only a comment\n"] {
        assert!(errors(empty).starts_with("1:1: empty document"), "{empty:?}");
    }
}

#[test]
fn every_problem_is_reported_in_one_go() {
    let errors =
        parse("revision: x\nservers: 1\nrules:\n  - id: a\n    action: no\n  - mode: maybe\n").unwrap_err();
    let lines: Vec<usize> = errors.iter().map(|d| d.line).collect();
    assert_eq!(lines, [1, 1, 2, 5, 6, 6, 6], "{errors}");
}

#[test]
fn known_data_classes_are_checked_when_given() {
    let text = |class: &str| {
        format!("{HEAD}rules:\n  - id: r\n    match: {{ data_class: {class} }}\n    action: deny\n")
    };
    let known = ["secret", "pii", "aws_access_key"];
    parse_with_data_classes(&text("secret"), &known).unwrap();
    parse_with_data_classes(&text("'aws_*'"), &known).unwrap();
    let errors = parse_with_data_classes(&text("secrt"), &known).unwrap_err();
    assert_eq!(errors.diagnostics()[0].suggestion.as_deref(), Some("secret"));
    assert!(parse_with_data_classes(&text("'gcp_*'"), &known).is_err());
}

#[test]
fn documents_are_bounded() {
    let errors = |text: String| parse(&text).unwrap_err();
    assert!(errors(format!("# {}", "x".repeat(2 << 20))).to_string().contains("larger than"));
    for nested in
        [format!("{HEAD}rules: {}", "[".repeat(200)), format!("{HEAD}rules:\n  {}x", "- ".repeat(50_000))]
    {
        let found = errors(nested).to_string();
        assert!(found.contains("nested deeper") || found.contains("recursion"), "{found}");
    }
    let many: String = (0..5_000).map(|i| format!("  - {{id: r{i}, action: nope}}\n")).collect();
    assert!(errors(format!("{HEAD}rules:\n{many}")).diagnostics().len() <= 100);
    let many: String = (0..1_000).map(|i| format!("  - {{id: r{i}, action: nope}}\n")).collect();
    assert_eq!(errors(format!("{HEAD}rules:\n{many}")).diagnostics().len(), 100);
}
