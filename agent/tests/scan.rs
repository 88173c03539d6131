//! `gnomon-agent scan` through the real binary.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"send","arguments":{"text":"hello"}}}"#;
/// The second key is the one of AWS's own documentation with its last letters changed: examples are not reported.
const LEAK: &str = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"send","arguments":{"text":"key AKIAQ3EGRTLMUZDSVP7X end"}}}"#;

fn agent(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gnomon-agent"));
    command.args(args).env_remove("RUST_LOG");
    command
}

fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child =
        agent(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // A command that does not read its stdin closes it.
    let _ = feed.join().unwrap();
    output
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn http(body: &str) -> String {
    format!(
        "POST /mcp?token=1 HTTP/1.1\r\nHost: shadow.example.com\r\nContent-Type: application/json\r\n\
         Mcp-Session-Id: s-1\r\nMCP-Protocol-Version: 2025-06-18\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn batch_line(id: Value, transport: &str, data: &str) -> String {
    json!({"id": id, "transport": transport, "direction": "request", "data_b64": STANDARD.encode(data)})
        .to_string()
}

#[test]
fn a_batch_answers_each_line_in_order() {
    let input = [
        batch_line(json!("a"), "http", &http(CALL)),
        batch_line(json!(2), "auto", &format!("{LEAK}\n")),
        batch_line(json!(null), "text", "nothing here"),
        batch_line(json!({"any": [1]}), "stdio", ""),
    ]
    .join("\n");
    let output = run(&["scan", "--batch"], input.as_bytes());
    assert!(output.status.success());
    let answers = lines(&output);
    let ids: Vec<&Value> = answers.iter().map(|a| &a["id"]).collect();
    assert_eq!(ids, [&json!("a"), &json!(2), &json!(null), &json!({"any": [1]})]);
    assert!(
        answers.iter().all(|a| a["error"].is_null() && a["messages"].is_array() && a["findings"].is_array())
    );

    let message = &answers[0]["messages"][0];
    for (field, want) in [
        ("protocol", json!("mcp")),
        ("transport", json!("http")),
        ("revision", json!("2025-06-18")),
        ("kind", json!("request")),
        ("method", json!("tools/call")),
        ("tool", json!("send")),
        ("id", json!(7)),
        ("session", json!("s-1")),
        ("server", json!("shadow.example.com")),
        ("path", json!("/mcp")),
        ("verdict", json!("alert")),
        ("rule", json!("default.unsanctioned")),
        ("policy_revision", json!(0)),
    ] {
        assert_eq!(message[field], want, "{field}");
    }
    assert!(message["signals"].as_array().is_some_and(|s| !s.is_empty()));
    assert_eq!(answers[0]["messages"].as_array().unwrap().len(), 1);

    assert_eq!(answers[1]["messages"][0]["transport"], "stdio");
    assert_eq!(answers[1]["findings"], answers[1]["messages"][0]["findings"]);
    let finding = &answers[1]["findings"][0];
    assert_eq!((&finding["class"], &finding["start"]), (&json!("secret"), &json!(4)));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("AKIAQ3EGRTLMUZDSVP7X"), "redacted");
    assert_eq!((&answers[3]["messages"], &answers[3]["findings"]), (&json!([]), &json!([])));
}

#[test]
fn a_wrong_line_of_a_batch_is_answered_and_the_next_is_read() {
    let good = batch_line(json!("good"), "stdio", &format!("{CALL}\n"));
    let cases = [
        ("not json", json!(null), "expected a JSON object"),
        ("[1]", json!(null), "expected a JSON object"),
        ("", json!(null), "expected a JSON object"),
        (r#"{"id":1}"#, json!(1), "data_b64"),
        (r#"{"id":2,"data_b64":5}"#, json!(2), "data_b64"),
        (r#"{"id":3,"data_b64":"%%"}"#, json!(3), "data_b64"),
        (r#"{"id":4,"transport":"smtp","data_b64":""}"#, json!(4), "transport"),
        (r#"{"id":5,"direction":"up","data_b64":""}"#, json!(5), "direction"),
        (r#"{"id":6,"transport":7,"data_b64":""}"#, json!(6), "transport"),
        ("{\"id\":\"\u{1}", json!(null), "expected a JSON object"),
    ];
    let mut input = Vec::new();
    for (line, ..) in &cases {
        input.extend_from_slice(format!("{line}\n{good}\n").as_bytes());
    }
    input.extend_from_slice(b"\xff\xfe\n");
    input.extend_from_slice(good.as_bytes());
    let output = run(&["scan", "--batch"], &input);
    assert!(output.status.success());
    let answers = lines(&output);
    assert_eq!(answers.len(), 2 * cases.len() + 2);
    for ((line, id, says), pair) in cases.iter().zip(answers.chunks(2)) {
        assert_eq!(&pair[0]["id"], id, "{line}");
        assert!(pair[0]["error"].as_str().is_some_and(|e| e.contains(says)), "{line}: {}", pair[0]);
        assert_eq!((&pair[0]["messages"], &pair[0]["findings"]), (&json!([]), &json!([])));
        assert_eq!((&pair[1]["id"], pair[1]["messages"].as_array().unwrap().len()), (&json!("good"), 1));
    }
}

#[test]
fn a_line_over_the_limit_is_answered_and_skipped() {
    let good = batch_line(json!("good"), "stdio", &format!("{CALL}\n"));
    let mut input = format!("{good}\n{{\"id\":1,\"data_b64\":\"").into_bytes();
    input.resize(input.len() + (64 << 20), b'A');
    input.extend_from_slice(format!("\"}}\n{good}\n").as_bytes());
    let answers = lines(&run(&["scan", "--batch"], &input));
    assert_eq!(
        answers.iter().map(|a| &a["id"]).collect::<Vec<_>>(),
        [&json!("good"), &json!(null), &json!("good")]
    );
    assert!(answers[1]["error"].as_str().unwrap().contains("67108864 bytes"));
}

#[test]
fn a_batch_can_be_a_conversation() {
    let mut child = agent(&["scan", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for id in 0..3 {
        writeln!(stdin, "{}", batch_line(json!(id), "stdio", &format!("{CALL}\n"))).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["id"], id);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = agent(&["scan", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let line = batch_line(json!(1), "stdio", &format!("{CALL}\n")) + "\n";
    // Ends when the agent is gone.
    while stdin.write_all(line.as_bytes()).is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn files_and_stdin_give_a_line_per_message_and_finding() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("call.http");
    std::fs::write(&file, http(LEAK)).unwrap();
    let file = file.to_str().unwrap();
    let output = run(&["scan", "--transport", "http", "--direction", "request", file, "/nonexistent"], b"");
    assert_eq!(output.status.code(), Some(1), "one file could not be read");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent"));
    let out = lines(&output);
    assert_eq!(out.len(), 2, "{out:?}");
    assert_eq!((&out[0]["protocol"], &out[0]["file"]), (&json!("mcp"), &json!(file)));
    assert_eq!((&out[1]["class"], &out[1]["file"]), (&json!("secret"), &json!(file)));

    let output = run(&["scan"], format!("{CALL}\n{CALL}\n").as_bytes());
    let out = lines(&output);
    assert_eq!(out.iter().filter(|l| l["protocol"] == "mcp" && l.get("file").is_none()).count(), 2);
}

#[test]
fn a_policy_decides() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.yaml");
    let policy = "schema: gnomon.policy/v1\nrevision: 12\nservers:\n  - id: shadow\n    hosts: [shadow.example.com]\n\
                  defaults:\n  unsanctioned: {action: deny, mode: enforce}\n  sanctioned: {action: allow}\nrules:\n  \
                  - id: no-secrets\n    match: {data_class: [secret]}\n    action: deny\n    mode: enforce\n";
    std::fs::write(&file, policy).unwrap();
    let file = file.to_str().unwrap();
    let input = [http(CALL), http(LEAK), http(CALL).replace("shadow.", "other.")]
        .iter()
        .map(|data| batch_line(json!(0), "http", data))
        .collect::<Vec<_>>()
        .join("\n");
    let output = run(&["scan", "--batch", "--policy", file], input.as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let decided: Vec<_> = lines(&output)
        .iter()
        .map(|a| &a["messages"][0])
        .map(|m| (m["verdict"].clone(), m["rule"].clone(), m["policy_revision"].clone()))
        .collect();
    let want = [("allow", "default.sanctioned"), ("deny", "no-secrets"), ("deny", "default.unsanctioned")];
    assert_eq!(decided, want.map(|(verdict, rule)| (json!(verdict), json!(rule), json!(12))));
}
