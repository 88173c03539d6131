use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::tempdir;

use super::*;

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.spool.dir = dir.join("state");
    config.output.jsonl = Some(dir.join("log/events.jsonl"));
    config
}

fn event(note: &str) -> Event {
    Event { kind: "agent".into(), note: note.into(), ..Event::default() }
}

fn lines(path: &Path) -> Vec<Event> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn spooled(journal: &Journal) -> Vec<Event> {
    let spool = journal.spool();
    spool.read_after(&spool.epoch(), 0, usize::MAX, 1_000_000).unwrap().events
}

#[test]
fn what_many_threads_record_is_numbered_without_holes_in_both_places() {
    const THREADS: usize = 8;
    const EACH: usize = 200;
    let dir = tempdir().unwrap();
    let journal = Journal::open(&config(dir.path()), Telemetry::new()).unwrap();
    std::thread::scope(|scope| {
        for t in 0..THREADS {
            let journal = journal.clone();
            scope.spawn(move || (0..EACH).for_each(|i| journal.record(event(&format!("{t}:{i}")))));
        }
    });
    journal.flush().unwrap();
    let events = spooled(&journal);
    journal.close();
    let seqs: Vec<u64> = events.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=(THREADS * EACH) as u64).collect::<Vec<_>>());
    let notes: BTreeSet<&str> = events.iter().map(|e| e.note.as_str()).collect();
    assert_eq!(notes.len(), THREADS * EACH);
    for t in 0..THREADS {
        let own: Vec<&str> =
            events.iter().map(|e| e.note.as_str()).filter(|n| n.starts_with(&format!("{t}:"))).collect();
        assert!(own.windows(2).all(|w| number(w[0]) < number(w[1])), "a thread's events keep their order");
    }
    assert_eq!(lines(&dir.path().join("log/events.jsonl")), events);
}

fn number(note: &str) -> usize {
    note.split(':').nth(1).unwrap().parse().unwrap()
}

#[test]
fn close_writes_everything_and_later_records_are_counted() {
    let dir = tempdir().unwrap();
    let telemetry = Telemetry::new();
    let journal = Journal::open(&config(dir.path()), telemetry.clone()).unwrap();
    (0..100).for_each(|i| journal.record(event(&i.to_string())));
    journal.close();
    journal.close();
    assert_eq!(spooled(&journal).len(), 100);
    journal.record(event("late"));
    assert_eq!(telemetry.lost(LossKind::JournalFull).0, 1);
    assert!(matches!(journal.flush(), Err(JournalError::Closed)));
}

#[test]
fn counted_losses_become_events() {
    let dir = tempdir().unwrap();
    let telemetry = Telemetry::new();
    let journal = Journal::open(&config(dir.path()), telemetry.clone()).unwrap();
    telemetry.lose(LossKind::RingFull, 3, 300);
    telemetry.lose(LossKind::StreamGap, 1, 7);
    journal.close();
    let losses: Vec<_> =
        spooled(&journal).into_iter().map(|e| e.loss.unwrap()).map(|l| (l.what, l.count, l.bytes)).collect();
    assert_eq!(losses, [("ring_full".into(), 3, 300), ("stream_gap".into(), 1, 7)]);
}

#[test]
fn a_full_disk_keeps_events_in_memory_until_there_is_room() {
    let dir = tempdir().unwrap();
    let telemetry = Telemetry::new();
    let spool = dir.path().join("state/spool.db");
    let journal = Journal::open(&config(dir.path()), telemetry.clone()).unwrap();
    journal.record(event("before"));
    journal.flush().unwrap();
    // A transaction of this very process cannot be blocked by a lock of its own; a limit on the size can.
    journal.spool().limit_pages_for_test(Some(1));
    journal.record(event(&"x".repeat(4000)));
    journal.record(event(&"y".repeat(4000)));
    assert!(matches!(journal.flush(), Err(JournalError::NotWritten(_))));
    journal.spool().limit_pages_for_test(None);
    let written = (0..50).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        journal.flush().is_ok()
    });
    assert!(written, "{}", spool.display());
    assert_eq!(spooled(&journal).iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(telemetry.lost(LossKind::JournalFull), (0, 0));
    journal.close();
}

#[test]
fn the_file_is_private_rotates_at_its_size_and_survives_being_moved() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let path = dir.path().join("log/events.jsonl");
    let mut config = config(dir.path());
    config.output.jsonl_max_bytes = 10_000;
    let journal = Journal::open(&config, Telemetry::new()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for _ in 0..30 {
        journal.record(event(&"x".repeat(1000)));
        journal.flush().unwrap();
    }
    let old = dir.path().join("log/events.jsonl.1");
    for file in [&path, &old] {
        assert!(fs::metadata(file).unwrap().len() <= 10_000);
    }
    let (old, new) = (lines(&old), lines(&path));
    assert_eq!(old.last().unwrap().seq + 1, new.first().unwrap().seq);
    assert_eq!(new.last().unwrap().seq, 30);

    fs::rename(&path, dir.path().join("moved")).unwrap();
    journal.record(event("after"));
    journal.close();
    assert_eq!(lines(&path).iter().map(|e| e.note.as_str()).collect::<Vec<_>>(), ["after"]);
}

#[test]
fn a_line_that_a_crash_cut_off_is_removed() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("log/events.jsonl");
    fs::create_dir(path.parent().unwrap()).unwrap();
    for (before, kept) in [
        ("{\"kind\":\"a\"}\n{\"ki".to_owned(), 1),
        ("{\"ki".to_owned(), 0),
        (format!("{{\"kind\":\"a\"}}\n{{\"note\":\"{}", "x".repeat(200_000)), 1),
    ] {
        fs::write(&path, before).unwrap();
        let journal = Journal::open(&config(dir.path()), Telemetry::new()).unwrap();
        journal.record(event("b"));
        journal.close();
        assert_eq!(lines(&path).len(), kept + 1);
    }
}

#[test]
fn an_event_over_the_collectors_limits_is_cut_and_counted() {
    let dir = tempdir().unwrap();
    let telemetry = Telemetry::new();
    let journal = Journal::open(&config(dir.path()), telemetry.clone()).unwrap();
    journal.record(event(&"x".repeat(5000)));
    journal.flush().unwrap();
    assert_eq!(spooled(&journal)[0].note.len(), gnomon_proto::limits::TEXT_BYTES);
    assert_eq!(telemetry.lost(LossKind::StreamTruncated).0, 1);
    journal.close();
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let mut config = Config::default();
    config.spool.dir = "/proc/gnomon".into();
    let error = Journal::open(&config, Telemetry::new()).unwrap_err().to_string();
    assert!(error.contains("/proc/gnomon") && error.contains("[spool] dir"), "{error}");
}
