//! Which hosts have a stream open now.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gnomon_proto::limits::STREAMS_PER_HOST;

/// Counts streams by host id; clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Connected(Arc<Mutex<HashMap<String, usize>>>);

/// One open stream; closed when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    connected: Connected,
    host: String,
}

impl Connected {
    #[must_use]
    pub fn is(&self, host: &str) -> bool {
        self.lock().contains_key(host)
    }

    #[must_use]
    pub fn hosts(&self) -> usize {
        self.lock().len()
    }

    /// `None` when the host has all the streams it may have.
    pub(super) fn open(&self, host: &str) -> Option<Slot> {
        let mut hosts = self.lock();
        let streams = hosts.entry(host.to_owned()).or_default();
        if *streams >= STREAMS_PER_HOST {
            return None;
        }
        *streams += 1;
        Some(Slot { connected: self.clone(), host: host.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut hosts = self.connected.lock();
        if let Some(streams) = hosts.get_mut(&self.host) {
            *streams -= 1;
            if *streams == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_a_host_are_counted_and_bounded() {
        let connected = Connected::default();
        let slots: Vec<_> = (0..STREAMS_PER_HOST).map(|_| connected.open("h").unwrap()).collect();
        assert!(connected.open("h").is_none() && connected.is("h"));
        assert!(connected.open("other").is_some());
        drop(slots);
        assert_eq!(connected.hosts(), 0);
    }
}
