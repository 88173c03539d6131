//! What `flush` has confirmed survives SIGKILL: a child process writes and is killed, again and again, on one spool.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use gnomon_agent::config::Config;
use gnomon_agent::journal::Journal;
use gnomon_agent::telemetry::Telemetry;
use gnomon_proto::v1::Event;

const CHILD_DIR: &str = "GNOMON_TEST_CRASH_DIR";

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.spool.dir = dir.join("state");
    config.output.jsonl = Some(dir.join("events.jsonl"));
    config
}

/// Not a test of its own: the body of the child. Without the variable there is nothing to do.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let journal = Journal::open(&config(Path::new(&dir)), Telemetry::new()).unwrap();
    for n in 0u64.. {
        for part in 0..=n % 5 {
            let note = format!("{}:{n}:{part}", std::process::id());
            journal.record(Event { kind: "agent".into(), note, ..Event::default() });
        }
        journal.flush().unwrap();
        println!("flushed {}:{n}:{}", std::process::id(), n % 5);
    }
}

#[test]
fn nothing_that_was_flushed_is_lost_by_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut flushed = Vec::new();
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let lines = out.lines().map(|line| line.unwrap());
        flushed.extend(
            lines.filter_map(|line| line.strip_prefix("flushed ").map(str::to_owned)).take(3 + round * 4),
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(flushed.len(), (0..8).map(|round| 3 + round * 4).sum::<usize>());

    let journal = Journal::open(&config(dir.path()), Telemetry::new()).unwrap();
    let spool = journal.spool();
    let events = spool.read_after(&spool.epoch(), 0, usize::MAX, usize::MAX).unwrap().events;
    journal.close();
    assert!(events.iter().map(|e| e.seq).eq(1..=events.len() as u64), "no hole, one epoch");
    let notes: BTreeSet<&str> = events.iter().map(|e| e.note.as_str()).collect();
    for last in &flushed {
        let (group, parts) = last.rsplit_once(':').unwrap();
        for part in 0..=parts.parse::<u32>().unwrap() {
            assert!(notes.contains(format!("{group}:{part}").as_str()), "{group}:{part}");
        }
    }
    let text = std::fs::read_to_string(dir.path().join("events.jsonl")).unwrap();
    let seqs: Vec<u64> = text.lines().map(|line| serde_json::from_str::<Event>(line).unwrap().seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "no number is given twice");
}
