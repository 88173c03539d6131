//! Which processes are worth following in what they read: a return probe on every read costs more than everything
//! else together.

use gnomon_inspect::Relevance;
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// Bytes on one stream, none of them MCP, after which a process is left alone.
const PATIENCE: u64 = 256 << 10;
/// How soon a process that connects again is looked at again: it may have loaded a TLS library since.
const AGAIN: Duration = Duration::from_millis(100);
/// Processes and streams remembered; forgotten together when there are more.
const MAX: usize = 16_384;

/// What to do about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Nothing,
    /// It speaks MCP on this stream.
    Keep,
    /// It had its chance.
    Leave,
}

#[derive(Debug, Default)]
pub(super) struct Reads {
    processes: HashMap<u32, State>,
    /// When a process was last asked to be followed.
    asked: HashMap<u32, Instant>,
    /// Streams that carry MCP and were told to the kernel.
    kept: HashSet<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Connected, undecided: followed since then.
    Watched,
    Speaks,
    Left,
}

impl Reads {
    /// A process opened a connection. Whether to follow it: not again at each of many connections.
    pub(super) fn connected(&mut self, tgid: u32) -> bool {
        if self.processes.len() >= MAX {
            self.processes.clear();
            self.asked.clear();
        }
        if *self.processes.entry(tgid).or_insert(State::Watched) == State::Left {
            return false;
        }
        let lately = self.asked.get(&tgid).is_some_and(|at| at.elapsed() < AGAIN);
        if !lately {
            self.asked.insert(tgid, Instant::now());
        }
        !lately
    }

    pub(super) fn judge(&mut self, tgid: u32, stream: u64, relevance: Relevance) -> Verdict {
        let state = self.processes.get(&tgid).copied();
        match relevance {
            Relevance::Mcp => {
                if self.kept.len() >= MAX {
                    self.kept.clear();
                }
                self.processes.insert(tgid, State::Speaks);
                if self.kept.insert(stream) { Verdict::Keep } else { Verdict::Nothing }
            }
            Relevance::Other { bytes } | Relevance::Undecided { bytes } => {
                if bytes > PATIENCE && matches!(state, None | Some(State::Watched)) {
                    self.processes.insert(tgid, State::Left);
                    Verdict::Leave
                } else {
                    Verdict::Nothing
                }
            }
        }
    }

    pub(super) fn forget(&mut self, tgid: u32) {
        self.processes.remove(&tgid);
        self.asked.remove(&tgid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_left_once_and_taken_up_again_when_it_speaks() {
        let mut reads = Reads::default();
        assert!(reads.connected(7));
        assert_eq!(reads.judge(7, 1, Relevance::Other { bytes: 10 }), Verdict::Nothing);
        assert_eq!(reads.judge(7, 1, Relevance::Other { bytes: PATIENCE + 1 }), Verdict::Leave);
        assert_eq!(reads.judge(7, 1, Relevance::Other { bytes: PATIENCE + 2 }), Verdict::Nothing);
        assert!(!reads.connected(7));
        assert_eq!(reads.judge(7, 2, Relevance::Mcp), Verdict::Keep);
        assert_eq!(reads.judge(7, 2, Relevance::Mcp), Verdict::Nothing);
        assert!(!reads.connected(7), "asked a moment ago");
        std::thread::sleep(AGAIN);
        assert!(reads.connected(7));
        assert_eq!(reads.judge(7, 3, Relevance::Other { bytes: PATIENCE + 1 }), Verdict::Nothing);
        reads.forget(7);
        assert!(reads.connected(7));
    }
}
