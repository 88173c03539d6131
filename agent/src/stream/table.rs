//! All flows, with a cap on their number and on the bytes that they hold.

use super::Flow;
use std::collections::HashMap;

/// Connections followed at once.
const MAX_FLOWS: usize = 16_384;
/// Bytes held for all of them.
const MAX_BYTES: usize = 48 << 20;
/// Share of the flows that goes at once when there are too many: looking for the oldest costs a walk over all.
const EVICT_SHARE: usize = 8;

/// The flows, by stream.
#[derive(Debug, Default)]
pub struct FlowTable {
    flows: HashMap<u64, Flow>,
    bytes: usize,
}

/// Flows that had to go, for the caller to count and to tell of.
pub type Evicted = Vec<Flow>;

impl FlowTable {
    pub fn get_mut(&mut self, stream: u64) -> Option<&mut Flow> {
        self.flows.get_mut(&stream)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Flow> {
        self.flows.values_mut()
    }

    pub fn len(&self) -> usize {
        self.flows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Bytes held for all flows.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Works on a flow, making it first if need be, and keeps the caps afterwards. A flow that holds the most is let
    /// go before one that is merely old: it is the one that an attacker grows.
    pub fn with<R>(&mut self, stream: u64, tgid: u32, act: impl FnOnce(&mut Flow) -> R) -> (R, Evicted) {
        let flow = self.flows.entry(stream).or_insert_with(|| Flow::new(stream, tgid));
        let before = flow.buffered();
        let result = act(flow);
        self.bytes = self.bytes + flow.buffered() - before;
        let mut evicted = Vec::new();
        while self.bytes > MAX_BYTES {
            let Some(largest) = self.flows.values().max_by_key(|f| f.buffered()).map(|f| f.stream) else {
                break;
            };
            evicted.extend(self.remove(largest));
        }
        if self.flows.len() > MAX_FLOWS {
            let mut ages: Vec<(u64, u64)> = self.flows.values().map(|f| (f.last, f.stream)).collect();
            let share = ages.len() / EVICT_SHARE;
            ages.select_nth_unstable(share);
            for (_, stream) in &ages[..share] {
                evicted.extend(self.remove(*stream));
            }
        }
        (result, evicted)
    }

    pub fn remove(&mut self, stream: u64) -> Option<Flow> {
        let flow = self.flows.remove(&stream)?;
        self.bytes -= flow.buffered();
        Some(flow)
    }

    /// Removes the flows for which `ended` holds.
    pub fn drain_if(&mut self, mut ended: impl FnMut(&Flow) -> bool) -> Evicted {
        let streams: Vec<u64> = self.flows.values().filter(|f| ended(f)).map(|f| f.stream).collect();
        streams.into_iter().filter_map(|s| self.remove(s)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gnomon_inspect::Direction;

    #[test]
    fn memory_is_capped_by_letting_the_largest_go() {
        let mut table = FlowTable::default();
        let line = vec![b'['; 1 << 20];
        let mut gone = 0;
        for stream in 1..100 {
            for n in 0..4u64 {
                let (_, evicted) = table.with(stream, 1, |f| f.push(Direction::Request, n << 20, &line, 0));
                gone += evicted.len();
                assert!(table.bytes() <= MAX_BYTES, "{}", table.bytes());
            }
        }
        assert!(gone > 0, "99 streams of 4 MiB cannot all be held");
        let held: usize = table.iter_mut().map(|f| f.buffered()).sum();
        assert_eq!(held, table.bytes());
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut table = FlowTable::default();
        let mut gone = Vec::new();
        for stream in 1..=MAX_FLOWS as u64 + 1 {
            let (_, evicted) = table.with(stream, 1, |f| f.last = stream);
            gone.extend(evicted);
        }
        assert_eq!(table.len() + gone.len(), MAX_FLOWS + 1);
        assert!(gone.iter().all(|f| f.stream <= (MAX_FLOWS / EVICT_SHARE) as u64 + 1));
    }
}
