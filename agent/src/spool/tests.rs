use std::fs;
use std::path::Path;

use gnomon_proto::Message;
use gnomon_proto::v1::Event;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::tempdir;

use super::*;

const LIMITS: SpoolLimits = SpoolLimits { max_bytes: 1 << 20, has_collector: true };

fn open(dir: &Path) -> Spool {
    open_with(dir, LIMITS.max_bytes).0
}

fn open_with(dir: &Path, max_bytes: u64) -> (Spool, Telemetry) {
    let telemetry = Telemetry::new();
    (Spool::open(dir, SpoolLimits { max_bytes, ..LIMITS }, telemetry.clone()).unwrap(), telemetry)
}

fn event(note: &str) -> Event {
    Event { kind: "agent".into(), note: note.into(), ..Event::default() }
}

fn append(spool: &Spool, notes: &[&str]) -> Vec<u64> {
    let mut events: Vec<Event> = notes.iter().map(|n| event(n)).collect();
    spool.append(&mut events, false).unwrap();
    events.iter().map(|e| e.seq).collect()
}

fn all(spool: &Spool) -> Vec<(u64, String)> {
    let chunk = spool.read_after(&spool.epoch(), 0, usize::MAX, 100_000).unwrap();
    chunk.events.into_iter().map(|e| (e.seq, e.note)).collect()
}

#[test]
fn numbers_go_on_after_a_restart_even_when_all_was_acked() {
    let dir = tempdir().unwrap();
    let spool = open(dir.path());
    let epoch = spool.epoch();
    assert_eq!(append(&spool, &["a", "b"]), [1, 2]);
    spool.ack(&epoch, 2).unwrap();
    assert_eq!(spool.size(), (0, 0));
    drop(spool);
    let spool = open(dir.path());
    assert_eq!(spool.epoch(), epoch);
    assert_eq!(append(&spool, &["c"]), [3]);
    assert_eq!(all(&spool), [(3, "c".into())]);
}

#[test]
fn reading_is_bounded_but_always_moves() {
    let dir = tempdir().unwrap();
    let spool = open(dir.path());
    append(&spool, &["x"; 10]);
    let one = event("x").encoded_len() + 2;
    let seqs = |after, bytes, events| -> Vec<u64> {
        spool.read_after(&spool.epoch(), after, bytes, events).unwrap().events.iter().map(|e| e.seq).collect()
    };
    assert_eq!(seqs(0, usize::MAX, 3), [1, 2, 3]);
    assert_eq!(seqs(4, 3 * one, 100), [5, 6, 7]);
    assert_eq!(seqs(4, 1, 100), [5]);
    assert!(seqs(10, 100, 100).is_empty());
    let other = spool.read_after("another epoch", 9, usize::MAX, 2).unwrap();
    assert_eq!(other.events.first().unwrap().seq, 1, "of the present epoch, from its beginning");
}

#[test]
fn an_ack_of_another_epoch_or_beyond_the_end_does_no_harm() {
    let dir = tempdir().unwrap();
    let spool = open(dir.path());
    append(&spool, &["a", "b"]);
    spool.ack("another", 2).unwrap();
    assert_eq!(spool.size().0, 2);
    spool.ack(&spool.epoch(), u64::MAX).unwrap();
    assert_eq!(spool.size(), (0, 0));
    assert_eq!(append(&spool, &["c"]), [3]);
}

#[test]
fn a_full_spool_evicts_the_oldest_and_says_so_even_after_a_crash() {
    let dir = tempdir().unwrap();
    let (spool, telemetry) = open_with(dir.path(), 64 << 10);
    let big = "x".repeat(10_000);
    append(&spool, &[big.as_str(); 10]);
    let (count, bytes) = telemetry.lost(LossKind::SpoolEvicted);
    assert_eq!(count, 4, "six of them fit");
    assert!(spool.size().1 <= 64 << 10);
    assert_eq!(all(&spool).first().unwrap().0, 5);
    drop(spool);

    let (spool, _) = open_with(dir.path(), 64 << 10);
    let mut events = Vec::new();
    spool.append(&mut events, true).unwrap();
    let loss = events[0].loss.as_ref().unwrap();
    assert_eq!((events[0].kind.as_str(), events[0].seq), ("loss", 11));
    assert_eq!((loss.what.as_str(), loss.count, loss.bytes), ("spool_evicted", count, bytes));
    let mut events = Vec::new();
    spool.append(&mut events, true).unwrap();
    assert!(events.is_empty(), "reported once");
}

#[test]
fn without_a_collector_the_end_of_the_history_is_no_loss() {
    let dir = tempdir().unwrap();
    let telemetry = Telemetry::new();
    let limits = SpoolLimits { max_bytes: 64 << 10, has_collector: false };
    let spool = Spool::open(dir.path(), limits, telemetry.clone()).unwrap();
    append(&spool, &["x".repeat(10_000).as_str(); 10]);
    assert!(spool.size().1 <= 64 << 10);
    assert_eq!(telemetry.lost(LossKind::SpoolEvicted), (0, 0));
}

#[test]
fn a_rejected_event_is_dropped_and_counted_once() {
    let dir = tempdir().unwrap();
    let (spool, telemetry) = open_with(dir.path(), 1 << 20);
    append(&spool, &["a", "b", "c"]);
    let epoch = spool.epoch();
    spool.reject(&epoch, 2).unwrap();
    spool.reject(&epoch, 2).unwrap();
    spool.reject("another", 3).unwrap();
    assert_eq!(telemetry.lost(LossKind::BatchRejected).0, 1);
    assert_eq!(all(&spool), [(1, "a".into()), (3, "c".into())]);
    let mut events = Vec::new();
    spool.append(&mut events, true).unwrap();
    assert_eq!(events[0].loss.as_ref().unwrap().what, "batch_rejected");
}

#[test]
fn the_space_of_an_outage_is_given_back() {
    let dir = tempdir().unwrap();
    let (spool, _) = open_with(dir.path(), 64 << 20);
    (0..20).for_each(|_| drop(append(&spool, &vec!["x".repeat(4000).as_str(); 200])));
    spool.ack(&spool.epoch(), u64::MAX).unwrap();
    append(&spool, &["after"]);
    drop(spool);
    assert!(fs::metadata(dir.path().join("spool.db")).unwrap().len() < 1 << 20);
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempdir().unwrap();
    let _spool = open(dir.path());
    let error = Spool::open(dir.path(), LIMITS, Telemetry::new()).unwrap_err();
    assert!(matches!(error, SpoolError::InUse { .. }), "{error}");
}

#[test]
fn a_damaged_database_is_moved_aside_and_a_new_life_begins() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 5] = [
        ("garbage", |file| fs::write(file, vec![0x5a; 50_000]).unwrap()),
        ("cut in half", |file| {
            let half = fs::metadata(file).unwrap().len() / 2;
            fs::OpenOptions::new().write(true).open(file).unwrap().set_len(half).unwrap();
        }),
        ("page overwritten", |file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[4096 * 3..4096 * 4].fill(0xff);
            fs::write(file, bytes).unwrap();
        }),
        ("foreign", |file| {
            fs::remove_file(file).unwrap();
            Connection::open(file).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        }),
        ("no life", |file| Connection::open(file).unwrap().execute_batch("DROP TABLE life").unwrap()),
    ];
    for (name, damage) in cases {
        let dir = tempdir().unwrap();
        let spool = open(dir.path());
        let epoch = spool.epoch();
        append(&spool, &["x".repeat(5000).as_str(); 30]);
        drop(spool);
        damage(&dir.path().join("spool.db"));

        let (spool, telemetry) = open_with(dir.path(), 1 << 20);
        assert_ne!(spool.epoch(), epoch, "{name}");
        assert_eq!(telemetry.lost(LossKind::SpoolCorrupt).0, 1, "{name}");
        let mut events = vec![event("new")];
        spool.append(&mut events, true).unwrap();
        assert_eq!((events[0].seq, events[1].kind.as_str()), (1, "loss"), "{name}");
        let kept = fs::read_dir(dir.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains(".corrupt-"))
            .count();
        assert!(kept >= 1, "{name}");
    }
}

#[test]
fn damage_found_while_running_starts_a_new_life_too() {
    let dir = tempdir().unwrap();
    let (spool, telemetry) = open_with(dir.path(), 64 << 20);
    append(&spool, &vec!["x".repeat(5000).as_str(); 2000]);
    let epoch = spool.epoch();
    drop(spool);
    let (spool, _) = {
        let opened = open_with(dir.path(), 64 << 20);
        // Behind SQLite's back, past what its cache holds.
        let file = dir.path().join("spool.db");
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0xff);
        fs::write(&file, bytes).unwrap();
        opened
    };
    let after = spool.read_after(&epoch, 0, usize::MAX, 100_000).unwrap();
    assert_ne!(after.epoch, epoch);
    assert!(after.events.is_empty());
    assert_eq!(append(&spool, &["new"]), [1]);
    drop(telemetry);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempdir().unwrap();
    drop(open(dir.path()));
    let file = dir.path().join("spool.db");
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Spool::open(dir.path(), LIMITS, Telemetry::new()).unwrap_err();
    assert!(error.to_string().contains("format 99"), "{error}");
    assert!(file.exists());
}

#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let state = dir.path().join("state");
    let spool = open(&state);
    append(&spool, &["a"]);
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    for file in fs::read_dir(&state).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[derive(Clone, Debug)]
enum Op {
    Append(Vec<u16>),
    Ack(u64),
    Reject(u64),
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => proptest::collection::vec(0u16..3000, 1..8).prop_map(Op::Append),
        2 => (0u64..40).prop_map(Op::Ack),
        1 => (0u64..40).prop_map(Op::Reject),
        1 => Just(Op::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Against a model: after any operations, with restarts anywhere, the spool holds exactly what it should, and
    /// every event that is gone was acked or counted.
    #[test]
    fn the_spool_keeps_its_promises(ops in proptest::collection::vec(op(), 1..24)) {
        const MAX: u64 = 24_000;
        let dir = tempdir().unwrap();
        let (mut spool, mut telemetry) = open_with(dir.path(), MAX);
        let epoch = spool.epoch();
        let mut model: Vec<(u64, String)> = Vec::new();
        let mut last = 0;
        let (mut evicted, mut rejected) = (0, 0);
        let (mut evicted_before, mut rejected_before) = (0, 0);
        let size = |seq: u64, note: &str| Event { seq, ..event(note) }.encoded_len() as u64;
        for op in ops {
            match op {
                Op::Append(lengths) => {
                    let notes: Vec<String> = lengths.iter().map(|n| "x".repeat(usize::from(*n))).collect();
                    let seqs = append(&spool, &notes.iter().map(String::as_str).collect::<Vec<_>>());
                    prop_assert_eq!(&seqs, &(last + 1..=last + notes.len() as u64).collect::<Vec<_>>());
                    last += notes.len() as u64;
                    model.extend(seqs.into_iter().zip(notes));
                    while model.iter().map(|(s, n)| size(*s, n)).sum::<u64>() > MAX {
                        model.remove(0);
                        evicted += 1;
                    }
                }
                Op::Ack(seq) => {
                    let seq = seq.min(last);
                    spool.ack(&epoch, seq).unwrap();
                    model.retain(|(s, _)| *s > seq);
                }
                Op::Reject(seq) => {
                    spool.reject(&epoch, seq).unwrap();
                    let before = model.len();
                    model.retain(|(s, _)| *s != seq);
                    rejected += (before - model.len()) as u64;
                }
                Op::Reopen => {
                    evicted_before += telemetry.lost(LossKind::SpoolEvicted).0;
                    rejected_before += telemetry.lost(LossKind::BatchRejected).0;
                    drop(spool);
                    (spool, telemetry) = open_with(dir.path(), MAX);
                    prop_assert_eq!(spool.epoch(), epoch.clone());
                }
            }
            prop_assert_eq!(all(&spool), model.clone());
            let bytes = model.iter().map(|(s, n)| size(*s, n)).sum::<u64>();
            prop_assert_eq!(spool.size(), (model.len() as u64, bytes));
            prop_assert_eq!(evicted_before + telemetry.lost(LossKind::SpoolEvicted).0, evicted);
            prop_assert_eq!(rejected_before + telemetry.lost(LossKind::BatchRejected).0, rejected);
        }
    }
}
