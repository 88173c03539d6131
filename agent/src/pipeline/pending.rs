//! Events that wait for the kernel's word: of a denied message, that its segment was dropped (an event says "stopped"
//! only when that was seen); of the first message of a TLS stream, which socket carries it.

use gnomon_proto::v1::Event;
use std::time::{Duration, Instant};

/// What an event waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Dropped,
    Bound,
}

impl Word {
    /// How long it may take. Both come within the same `send`, unless the client never sends.
    fn patience(self) -> Duration {
        match self {
            Self::Dropped => Duration::from_secs(1),
            Self::Bound => Duration::from_millis(100),
        }
    }
}

/// Events that wait; the oldest is given up first.
const MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Waiting {
    pub stream: u64,
    pub tgid: u32,
    pub word: Word,
    pub event: Event,
    until: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: Vec<Waiting>,
    /// Processes of which a TLS socket was dropped that is not tied to a stream, and when: the word may come before the
    /// event that waits for it.
    untied: Vec<(u32, Instant)>,
}

impl Pending {
    /// A segment was dropped on a TLS socket that is not tied to a stream.
    pub(super) fn untied(&mut self, tgid: u32) {
        self.untied.retain(|(_, at)| at.elapsed() < Word::Dropped.patience());
        if self.untied.len() < MAX {
            self.untied.push((tgid, Instant::now()));
        }
    }

    /// Whether that was so for this process a moment ago.
    pub(super) fn was_untied(&self, tgid: u32) -> bool {
        self.untied.iter().any(|(t, at)| *t == tgid && at.elapsed() < Word::Dropped.patience())
    }

    /// Returns the oldest when there are too many.
    pub(super) fn add(&mut self, word: Word, stream: u64, tgid: u32, event: Event) -> Option<Waiting> {
        let oldest = (self.waiting.len() >= MAX).then(|| self.waiting.remove(0));
        self.waiting.push(Waiting { stream, tgid, word, event, until: Instant::now() + word.patience() });
        oldest
    }

    /// How long until the first is given up.
    pub(super) fn wait(&self) -> Option<Duration> {
        let first = self.waiting.iter().map(|w| w.until).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// A segment was dropped: events of its stream; or, when its socket is not tied to one, those of its process.
    pub(super) fn dropped(&mut self, stream: u64, tgid: u32) -> Vec<Event> {
        let of_stream = events(self.take(|w| w.word == Word::Dropped && w.stream == stream));
        if of_stream.is_empty() {
            events(self.take(|w| w.word == Word::Dropped && w.tgid == tgid && tgid != 0))
        } else {
            of_stream
        }
    }

    /// A stream was tied to its socket.
    pub(super) fn bound(&mut self, stream: u64) -> Vec<Event> {
        events(self.take(|w| w.word == Word::Bound && w.stream == stream))
    }

    /// Those that waited long enough.
    pub(super) fn overdue(&mut self) -> Vec<Waiting> {
        let now = Instant::now();
        self.take(|w| w.until <= now)
    }

    /// Those of a stream that has ended.
    pub(super) fn ended(&mut self, stream: u64) -> Vec<Waiting> {
        self.take(|w| w.stream == stream)
    }

    fn take(&mut self, which: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        self.waiting.extract_if(.., |w| which(w)).collect()
    }
}

fn events(waiting: Vec<Waiting>) -> Vec<Event> {
    waiting.into_iter().map(|w| w.event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(note: &str) -> Event {
        Event { note: note.into(), ..Event::default() }
    }

    fn notes(events: Vec<Event>) -> Vec<String> {
        events.into_iter().map(|e| e.note).collect()
    }

    #[test]
    fn confirmed_by_stream_before_process() {
        let mut pending = Pending::default();
        for (stream, tgid, note) in [(1, 7, "a"), (2, 7, "b"), (3, 8, "c")] {
            pending.add(Word::Dropped, stream, tgid, event(note));
        }
        pending.add(Word::Bound, 2, 7, event("d"));
        assert_eq!(notes(pending.dropped(2, 7)), ["b"]);
        assert_eq!(notes(pending.dropped(99, 7)), ["a"]);
        assert!(pending.dropped(99, 0).is_empty());
        assert!(pending.bound(3).is_empty());
        assert_eq!(notes(pending.bound(2)), ["d"]);
        assert!(pending.overdue().is_empty());
        assert!(pending.wait().unwrap() <= Word::Dropped.patience());
        assert_eq!(notes(events(pending.ended(3))), ["c"]);
        assert!(pending.wait().is_none());
    }

    #[test]
    fn bounded() {
        let mut pending = Pending::default();
        let given_up = (0..MAX as u64 + 5).filter_map(|s| pending.add(Word::Bound, s, 1, event(""))).count();
        assert_eq!(given_up, 5);
    }
}
