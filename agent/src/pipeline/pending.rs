//! Events of denied messages that wait for the kernel's word that the segment was dropped: an event says "stopped" only
//! when that was seen.

use gnomon_proto::v1::Event;
use std::time::{Duration, Instant};

/// How long the word may take. It comes within the same `send`, unless the client never sends.
const PATIENCE: Duration = Duration::from_secs(1);
/// Events that wait; the oldest is given up first.
const MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Waiting {
    pub stream: u64,
    pub tgid: u32,
    pub event: Event,
    until: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Pending(Vec<Waiting>);

impl Pending {
    /// Returns the oldest when there are too many.
    pub(super) fn add(&mut self, stream: u64, tgid: u32, event: Event) -> Option<Waiting> {
        let oldest = (self.0.len() >= MAX).then(|| self.0.remove(0));
        self.0.push(Waiting { stream, tgid, event, until: Instant::now() + PATIENCE });
        oldest
    }

    /// How long until the first is given up.
    pub(super) fn wait(&self) -> Option<Duration> {
        Some(self.0.first()?.until.saturating_duration_since(Instant::now()))
    }

    /// Those of a stream; or, when the dropped socket is not tied to a stream, those of its process.
    pub(super) fn confirm(&mut self, stream: u64, tgid: u32) -> Vec<Event> {
        let of_stream = self.take(|w| w.stream == stream);
        if of_stream.is_empty() { self.take(|w| w.tgid == tgid && tgid != 0) } else { of_stream }
    }

    /// Those that waited long enough.
    pub(super) fn overdue(&mut self) -> Vec<Event> {
        let now = Instant::now();
        self.take(|w| w.until <= now)
    }

    /// Those of a stream that has ended.
    pub(super) fn ended(&mut self, stream: u64) -> Vec<Event> {
        self.take(|w| w.stream == stream)
    }

    fn take(&mut self, which: impl Fn(&Waiting) -> bool) -> Vec<Event> {
        self.0.extract_if(.., |w| which(w)).map(|w| w.event).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmed_by_stream_before_process() {
        let mut pending = Pending::default();
        for (stream, tgid, note) in [(1, 7, "a"), (2, 7, "b"), (3, 8, "c")] {
            pending.add(stream, tgid, Event { note: note.into(), ..Event::default() });
        }
        let notes = |events: Vec<Event>| events.into_iter().map(|e| e.note).collect::<Vec<_>>();
        assert_eq!(notes(pending.confirm(2, 7)), ["b"]);
        assert_eq!(notes(pending.confirm(99, 7)), ["a"]);
        assert_eq!(notes(pending.confirm(99, 0)), Vec::<String>::new());
        assert!(pending.overdue().is_empty());
        assert!(pending.wait().unwrap() <= PATIENCE);
        assert_eq!(notes(pending.ended(3)), ["c"]);
    }

    #[test]
    fn bounded() {
        let mut pending = Pending::default();
        let given_up = (0..MAX as u64 + 5).filter_map(|s| pending.add(s, 1, Event::default())).count();
        assert_eq!(given_up, 5);
    }
}
