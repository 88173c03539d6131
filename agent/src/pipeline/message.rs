//! From items to decisions, and from decisions to events and ended sockets.

use super::{
    Pipeline,
    event::{self, Subject},
    pending::{Waiting, Word},
};
use crate::{
    stream::{Flow, Heard},
    telemetry::LossKind,
};
use gnomon_inspect::{Direction, Item, Loss, Message};
use gnomon_policy::Facts;
use gnomon_proto::v1::{Decision, Enforcement, Event};
use std::time::Duration;

/// Technique and outcome of the wire contract's `Enforcement`.
mod enforcement {
    pub(super) const DROP: &str = "drop";
    pub(super) const CUT: &str = "cut";
    pub(super) const STOPPED: &str = "stopped";
    pub(super) const TOO_LATE: &str = "too_late";
    pub(super) const FAILED: &str = "failed";
}

impl Pipeline {
    pub(super) fn heard(&mut self, stream: u64, time: u64, heard: Heard) {
        if heard.gap > 0 {
            self.telemetry.lose(LossKind::StreamGap, 1, heard.gap);
        }
        for item in heard.items {
            match item {
                Item::Message(message) => self.message(stream, time, heard.position, &message),
                Item::Truncated { bytes, .. } => self.telemetry.lose(LossKind::StreamTruncated, 1, bytes),
                Item::Findings(_) => {}
            }
        }
    }

    fn message(&mut self, stream: u64, time: u64, position: u64, message: &Message) {
        let Some(flow) = self.flows.get_mut(stream) else { return };
        let summary = Summary::of(flow);
        flow.reported |= summary.stops(message, position);
        self.decide(summary, time, position, message);
    }

    fn decide(&mut self, flow: Summary, time: u64, position: u64, message: &Message) {
        self.telemetry.add_message();
        let process = self.processes.get(flow.tgid);
        let address = flow.cookie.and_then(|c| self.connections.get(c));
        let classes = message.data_classes();
        let decision = self.policy.decide(&Facts {
            host: message.host.as_deref(),
            address,
            method: message.method.as_deref(),
            tool: message.tool.as_deref(),
            user: (!process.user.is_empty()).then_some(process.user.as_str()),
            uid: Some(process.uid),
            process: (!process.exe.is_empty()).then_some(process.exe.as_str()),
            data_classes: &classes,
        });
        let subject = Subject { process, address, tls: flow.tls, time: time + self.clock_offset };
        let stopped_by_kernel = flow.stops(message, position);
        let mut event = event::of_message(message, subject, &decision, self.policy.revision());
        if stopped_by_kernel {
            if let Some(d) = event.decision.as_mut() {
                d.tier = "kernel".into();
                if !decision.denies() {
                    // The policy was changed between the kernel's verdict and this one. The kernel's was carried out.
                    d.verdict = "deny".into();
                    d.mode = "enforce".into();
                    d.reason = "stopped by the policy in force when it was sent".into();
                }
            }
            self.telemetry.add_denied();
            let body_start = position.saturating_sub(message.size);
            let left = flow.stopped_at.map_or(0, |at| at.saturating_sub(body_start).min(message.size));
            event.enforcement = Some(Enforcement {
                technique: enforcement::DROP.into(),
                outcome: enforcement::STOPPED.into(),
                body_bytes_left: left,
            });
            if flow.carried_out || self.pending.was_untied(flow.tgid) {
                self.journal.record(event);
            } else {
                self.wait(Word::Dropped, &flow, event);
            }
        } else {
            if decision.denies() {
                self.telemetry.add_denied();
                self.cut(&flow);
                event.enforcement = Some(Enforcement {
                    technique: enforcement::CUT.into(),
                    outcome: enforcement::TOO_LATE.into(),
                    body_bytes_left: message.size,
                });
            }
            if flow.tls && flow.cookie.is_none() {
                self.wait(Word::Bound, &flow, event);
            } else {
                self.journal.record(event);
            }
        }
    }

    fn wait(&mut self, word: Word, flow: &Summary, event: Event) {
        if let Some(oldest) = self.pending.add(word, flow.stream, flow.tgid, event) {
            self.give_up(vec![oldest]);
        }
    }

    /// Stops a stream after the fact: whatever else it sends is dropped, and its socket is ended.
    fn cut(&mut self, flow: &Summary) {
        for stream in [Some(flow.stream), flow.cookie].into_iter().flatten() {
            if let Err(error) = self.maps.deny(stream) {
                tracing::error!(%error, "cannot deny a stream");
            }
        }
        if let Some(cookie) = flow.cookie {
            let port = self.connections.get(cookie).map_or(0, |remote| remote.port());
            self.enforcer.end(flow.tgid, cookie, port, Duration::ZERO);
        }
    }

    /// Records events whose word came, with the address of the socket that it named.
    pub(super) fn record_confirmed(&mut self, events: Vec<Event>, cookie: u64) {
        let address = self.connections.get(cookie);
        for mut event in events {
            if let (Some(server), Some(address)) = (event.server.as_mut(), address)
                && server.address.is_empty()
            {
                server.address = address.to_string();
            }
            self.journal.record(event);
        }
    }

    /// Records events whose word did not come. A denied message that was not seen being dropped may have left: its
    /// ciphertext was not recognised, or it was never sent.
    pub(super) fn give_up(&mut self, waiting: Vec<Waiting>) {
        for Waiting { word, mut event, .. } in waiting {
            if word == Word::Dropped {
                if let Some(e) = event.enforcement.as_mut() {
                    e.outcome = enforcement::FAILED.into();
                    e.body_bytes_left = event.message.as_ref().map_or(0, |m| m.size);
                }
                tracing::warn!("a denied message was not seen being dropped; it may have left");
            }
            self.journal.record(event);
        }
    }

    pub(super) fn overdue(&mut self) {
        let late = self.pending.overdue();
        self.give_up(late);
    }

    /// A connection is over: reads what it left unfinished, and tells of a denial that no message told of.
    pub(super) fn ended(&mut self, mut flow: Flow) {
        let heard = flow.finish();
        if heard.gap > 0 {
            self.telemetry.lose(LossKind::StreamGap, 1, heard.gap);
        }
        let summary = Summary::of(&flow);
        let time = flow.last;
        for item in &heard.items {
            match item {
                Item::Message(message) => {
                    flow.reported |= summary.stops(message, heard.position);
                    self.decide(summary, time, heard.position, message);
                }
                // Cut by a stop of the agent's own making: no loss.
                Item::Truncated { what: Loss::EndOfStream, .. } if summary.denied => {}
                Item::Truncated { bytes, .. } => self.telemetry.lose(LossKind::StreamTruncated, 1, *bytes),
                Item::Findings(_) => {}
            }
        }
        if summary.denied && !flow.reported {
            self.telemetry.add_denied();
            let subject = Subject {
                process: self.processes.get(flow.tgid),
                address: summary.cookie.and_then(|c| self.connections.get(c)),
                tls: summary.tls,
                time: time + self.clock_offset,
            };
            let decision = Decision {
                verdict: "deny".into(),
                mode: "enforce".into(),
                rule: "default.unsanctioned".into(),
                policy_revision: self.policy.revision(),
                tier: "kernel".into(),
                reason: "the kernel's matcher saw MCP to a server that is not sanctioned; no message could be read".into(),
            };
            let enforcement = Enforcement {
                technique: enforcement::DROP.into(),
                outcome: if summary.carried_out { enforcement::STOPPED } else { enforcement::FAILED }.into(),
                body_bytes_left: 0,
            };
            self.journal.record(event::of_unread(subject, decision, enforcement));
        }
        let waiting = self.pending.ended(flow.stream);
        self.give_up(waiting);
    }
}

/// What a decision needs of a flow, so that the table is free meanwhile.
#[derive(Clone, Copy, Debug)]
struct Summary {
    stream: u64,
    tgid: u32,
    cookie: Option<u64>,
    tls: bool,
    denied: bool,
    carried_out: bool,
    stopped_at: Option<u64>,
}

impl Summary {
    /// Whether a message that ends at `position` is one that the kernel stopped. One that had left before, on the same
    /// stream, is not.
    fn stops(&self, message: &Message, position: u64) -> bool {
        self.denied
            && message.direction == Direction::Request
            && self.stopped_at.is_none_or(|at| at < position)
    }

    fn of(flow: &Flow) -> Self {
        Self {
            stream: flow.stream,
            tgid: flow.tgid,
            cookie: flow.cookie,
            tls: flow.tls(),
            denied: flow.denied,
            carried_out: flow.carried_out,
            stopped_at: flow.stopped_at,
        }
    }
}
