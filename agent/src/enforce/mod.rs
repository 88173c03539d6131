//! Carries a denial through to the end: the kernel already drops what a denied socket sends; here the socket itself is
//! ended, so that the client sees an error instead of waiting.

#![forbid(unsafe_code)]

use crate::kernel::{Ending, end_socket};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long a denied socket lives on after its first dropped segment: the client writes the rest of its message, which
/// is dropped but shown in the event.
pub const GRACE: Duration = Duration::from_millis(20);
/// A socket that could not be ended is tried again this often.
const RETRY: Duration = Duration::from_millis(100);
const TRIES: u32 = 5;

/// A socket to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sentence {
    at: Instant,
    pid: u32,
    cookie: u64,
    port: u16,
    tries: u32,
}

/// The thread that ends sockets: listing them takes milliseconds on a host with many.
#[derive(Debug)]
pub struct Enforcer {
    queue: Option<Sender<Sentence>>,
    thread: Option<JoinHandle<()>>,
}

impl Enforcer {
    pub fn start() -> std::io::Result<Self> {
        let (queue, sentences) = channel();
        let thread = std::thread::Builder::new().name("enforce".into()).spawn(move || serve(&sentences))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Ends a socket after `delay`.
    pub fn end(&self, pid: u32, cookie: u64, port: u16, delay: Duration) {
        if let Some(queue) = &self.queue {
            // The thread lives as long as the sender.
            let _ = queue.send(Sentence { at: Instant::now() + delay, pid, cookie, port, tries: 0 });
        }
    }
}

impl Drop for Enforcer {
    /// Ends what is still to be ended: a socket left alive would send its denied bytes once the hooks are gone.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(queue: &Receiver<Sentence>) {
    let mut waiting = BinaryHeap::new();
    let mut open = true;
    while open || !waiting.is_empty() {
        let now = Instant::now();
        let wait = match waiting.peek() {
            Some(Reverse(Sentence { at, .. })) => at.saturating_duration_since(now),
            None => Duration::from_secs(3600),
        };
        if open {
            match queue.recv_timeout(wait) {
                Ok(sentence) => waiting.push(Reverse(sentence)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => open = false,
            }
        } else {
            std::thread::sleep(wait);
        }
        while waiting.peek().is_some_and(|Reverse(s)| s.at <= Instant::now()) {
            if let Some(Reverse(sentence)) = waiting.pop()
                && let Some(again) = carry_out(sentence)
            {
                waiting.push(Reverse(again));
            }
        }
    }
}

fn carry_out(s: Sentence) -> Option<Sentence> {
    match end_socket(s.pid, s.cookie, s.port) {
        Ok(Ending::Gone) => None,
        Ok(how) => {
            tracing::debug!(pid = s.pid, cookie = s.cookie, ?how, "socket ended");
            None
        }
        Err(error) if s.tries < TRIES => {
            tracing::debug!(pid = s.pid, cookie = s.cookie, %error, "socket not ended yet");
            Some(Sentence { at: Instant::now() + RETRY, tries: s.tries + 1, ..s })
        }
        Err(error) => {
            tracing::error!(
                pid = s.pid, cookie = s.cookie, %error,
                "a denied socket could not be ended; what it sends is still dropped, and the client runs into its time-out"
            );
            None
        }
    }
}
