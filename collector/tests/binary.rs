//! The program as a user starts it.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed set-up ends the test")]

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

fn program(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gnomon-collector"));
    command.args(args).arg("--data").arg(data);
    command
}

fn run(data: &Path, args: &[&str]) -> Output {
    program(data, args).output().unwrap()
}

fn serve(data: &Path) -> Child {
    let child = program(data, &["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !data.join("addresses.json").exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "no start");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn it_serves_and_stops_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let child = serve(data);
    let addresses: serde_json::Value =
        serde_json::from_slice(&std::fs::read(data.join("addresses.json")).unwrap()).unwrap();

    let created = run(data, &["token", "create", "--ttl", "5m", "--json"]);
    assert!(created.status.success(), "{}", text(&created.stderr));
    let token: serde_json::Value = serde_json::from_slice(&created.stdout).unwrap();
    assert!(token["token"].as_str().unwrap().starts_with("gn1."));
    assert_eq!(token["collector"], addresses["grpc"]);

    let link = text(&run(data, &["link"]).stdout);
    assert!(
        link.starts_with(&format!("http://{}/login?token=", addresses["http"].as_str().unwrap())),
        "{link}"
    );
    assert!(run(data, &["host", "list", "--json"]).status.success());
    assert!(run(data, &["export", "events", "--since", "1h"]).stdout.is_empty());
    let second = run(data, &["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("in use"), "{}", text(&second.stderr));

    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let banner = text(&output.stdout);
    assert!(
        banner.contains("/login?token=") && banner.contains(addresses["grpc"].as_str().unwrap()),
        "{banner}"
    );
    assert!(!data.join("addresses.json").exists(), "a stopped collector has no address");
}

#[test]
fn wrong_usage_is_2_and_failed_work_is_1() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in [
        &["serve", "--grpc", "nowhere"][..],
        &["serve", "--name", "a b"],
        &["serve", "--retain-days", "0"],
        &["token", "create", "--ttl", "soon"],
        &["export", "events", "--since", "then"],
        &["policy"],
        &[],
    ] {
        assert_eq!(run(dir.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
    let nothing = run(dir.path(), &["host", "list"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing.stderr).contains("gnomon-collector serve"), "says what to do");
    std::fs::write(dir.path().join("collector.db"), "not a database, but long enough to look like something")
        .unwrap();
    assert_eq!(run(dir.path(), &["host", "list"]).status.code(), Some(1));
}

#[test]
fn completions_and_the_manual_page_are_made() {
    let binary = || Command::new(env!("CARGO_BIN_EXE_gnomon-collector"));
    let completions = binary().args(["completions", "bash"]).output().unwrap();
    assert!(completions.status.success() && text(&completions.stdout).contains("gnomon-collector"));
    let man = binary().arg("man").output().unwrap();
    assert!(man.status.success() && text(&man.stdout).contains(".TH"));
}
