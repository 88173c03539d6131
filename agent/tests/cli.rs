//! The rest of the command line through the real binary: exit codes and what is said.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};

/// Exit code, stdout, stderr.
fn agent(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gnomon-agent"))
        .args(args)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let file = dir.join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn wrong_usage_exits_with_2() {
    for args in [
        &["fly"][..],
        &[],
        &["scan", "--transport", "smtp"],
        &["scan", "--batch", "file"],
        &["policy", "check"],
        &["--log", "a=b=c", "status"],
    ] {
        assert_eq!(agent(args).0, 2, "{args:?}");
    }
    assert_eq!(agent(&["--help"]).0, 0);
    assert_eq!(agent(&["--version"]).1.trim(), format!("gnomon-agent {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_config_exits_with_2_and_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = write(dir.path(), "a.toml", "[spool]\nmax_byte = 5\n");
    for command in ["run", "status"] {
        let (code, _, stderr) = agent(&[command, "--config", &wrong]);
        assert_eq!(code, 2);
        assert!(stderr.contains(&format!("{wrong}:2:1: unknown field `max_byte`")), "{stderr}");
        assert!(stderr.contains("did you mean `max_bytes`?"), "{stderr}");
        let (code, _, stderr) = agent(&[command, "--config", "/nonexistent.toml"]);
        assert_eq!(code, 2);
        assert!(stderr.contains("/nonexistent.toml"), "{stderr}");
    }
}

#[test]
fn status_without_a_daemon_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let config = write(dir.path(), "a.toml", &format!("[control]\nsocket = {socket:?}\n"));
    let (code, _, stderr) = agent(&["status", "--config", &config]);
    assert_eq!(code, 1);
    assert!(stderr.contains("gnomon-agent run"), "{stderr}");
}

#[test]
fn policy_check_points_at_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let head = "schema: gnomon.policy/v1\nrevision: 3\n";
    let good =
        write(dir.path(), "good.yaml", &format!("{head}defaults:\n  unsanctioned: {{action: deny}}\n"));
    let wrong =
        write(dir.path(), "wrong.yaml", &format!("{head}defaults:\n  unsanctoned: {{action: deny}}\n"));
    let (code, stdout, stderr) = agent(&["policy", "check", &good]);
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (0, format!("{good}: ok, revision 3\n").as_str(), "")
    );
    let (code, stdout, _) = agent(&["policy", "check", &good, &wrong]);
    assert_eq!(code, 1);
    assert!(stdout.contains(&format!("{good}: ok")), "{stdout}");
    assert!(stdout.contains(&format!("{wrong}:4:3: ")) && stdout.contains("\"unsanctioned\""), "{stdout}");
    let (code, _, stderr) = agent(&["policy", "check", "/nonexistent.yaml"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("/nonexistent.yaml"), "{stderr}");
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, stdout, _) = agent(&["completions", shell]);
        assert!(code == 0 && stdout.contains("policy"), "{shell}");
    }
    let (code, page, _) = agent(&["man"]);
    assert!(code == 0 && page.contains(".TH gnomon-agent"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("man");
    assert_eq!(agent(&["man", "--out", out.to_str().unwrap()]).0, 0);
    assert!(out.join("gnomon-agent-scan.1").exists());
}
