//! The one way of a message through user space: record → flow → items → decision → enforcement → event.
//!
//! One thread owns all of it. Nothing here waits: attaching probes, ending sockets, compiling policy and writing to
//! disk each have a thread of their own, reached through a queue.

#![forbid(unsafe_code)]

mod connections;
mod event;
mod message;
mod pending;
mod reads;

use crate::{
    enforce::{Enforcer, GRACE},
    identity::Processes,
    journal::{Journal, now_unix_nanos},
    kernel::{Counters, KernelError, Maps, ProbeRequest, Record, Rings, release_memory},
    policy_source::Update,
    stream::{Flow, FlowTable},
    telemetry::{LossKind, Telemetry},
};
use connections::Connections;
use gnomon_common::{
    record::{Dropped, Header, TLS_STREAM, data_flag, kind},
    state::{carries, counter},
};
use gnomon_inspect::Direction;
use gnomon_policy::Policy;
use pending::Pending;
use reads::Reads;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender},
    },
    time::{Duration, Instant},
};

/// Records taken from the data ring before timers are looked at.
const BUDGET: usize = 1024;
/// Longest sleep. The programs wake the pipeline for MCP and for verdicts, not for every record of other traffic (see
/// `wakeup` in the kernel programs): this is how late the rest may be.
const IDLE: Duration = Duration::from_millis(10);
/// How often the kernel's counters are read.
const COUNTERS: Duration = Duration::from_secs(1);

/// Everything that the pipeline works with.
#[expect(missing_debug_implementations, reason = "aya's maps have none")]
pub struct Pipeline {
    maps: Maps,
    probes: Sender<ProbeRequest>,
    enforcer: Enforcer,
    journal: Journal,
    telemetry: Telemetry,
    policy: Arc<Policy>,
    can_prevent: bool,
    flows: FlowTable,
    processes: Processes,
    connections: Connections,
    reads: Reads,
    pending: Pending,
    counted: Counters,
    /// Unix time minus `CLOCK_MONOTONIC`, nanoseconds.
    clock_offset: u64,
}

/// What the pipeline is made from.
#[expect(missing_debug_implementations, reason = "aya's maps have none")]
pub struct Parts {
    pub maps: Maps,
    pub probes: Sender<ProbeRequest>,
    pub journal: Journal,
    pub telemetry: Telemetry,
    /// Whether the kernel can drop segments.
    pub can_prevent: bool,
}

impl Pipeline {
    /// Takes over the kernel's maps.
    pub fn new(parts: Parts) -> std::io::Result<Self> {
        Ok(Self {
            maps: parts.maps,
            probes: parts.probes,
            enforcer: Enforcer::start()?,
            journal: parts.journal,
            telemetry: parts.telemetry,
            policy: Arc::new(Policy::builtin()),
            can_prevent: parts.can_prevent,
            flows: FlowTable::default(),
            processes: Processes::default(),
            connections: Connections::default(),
            reads: Reads::default(),
            pending: Pending::default(),
            counted: Counters::default(),
            clock_offset: clock_offset(),
        })
    }

    /// Puts a policy in force, in the kernel first.
    pub fn install(&mut self, update: Update) -> Result<(), KernelError> {
        let enforce = update.compiled.enforce_unsanctioned && self.can_prevent;
        self.maps.install(&update.compiled.automaton, enforce)?;
        self.telemetry.set_policy_revision(update.policy.revision());
        tracing::info!(
            revision = update.policy.revision(),
            kernel_enforces = enforce,
            in_user_space = ?update.compiled.unplaced,
            "policy in force"
        );
        self.policy = update.policy;
        drop(update.compiled);
        release_memory();
        Ok(())
    }

    /// Marks processes that had outbound connections before the hooks were there, so that their TLS is seen.
    pub fn adopt(&mut self, pids: impl IntoIterator<Item = u32>) -> Result<(), KernelError> {
        for pid in pids {
            self.maps.add_client(pid)?;
            self.request(ProbeRequest::Follow(pid));
        }
        Ok(())
    }

    /// Works until `stop` is set; takes new policies as they come.
    pub fn run(
        mut self,
        mut rings: Rings,
        policies: &Receiver<Update>,
        stop: &AtomicBool,
    ) -> Result<(), KernelError> {
        let mut count_at = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            rings.wait(self.pending.wait().unwrap_or(IDLE).min(IDLE))?;
            while let Ok(update) = policies.try_recv() {
                self.install(update)?;
            }
            rings.drain(BUDGET, |record| self.handle(record));
            self.overdue();
            if count_at.elapsed() >= COUNTERS {
                count_at = Instant::now();
                self.count_losses();
                self.clock_offset = clock_offset();
            }
        }
        // What is denied from here on would find nobody to end its socket, and leave when the hooks are gone.
        self.maps.stand_down()?;
        std::thread::sleep(GRACE);
        while rings.drain(BUDGET, |record| self.handle(record)) == BUDGET {}
        for flow in self.flows.drain_if(|_| true) {
            self.ended(flow);
        }
        self.count_losses();
        Ok(())
    }

    fn handle(&mut self, record: Record<'_>) {
        let header = record.header;
        match header.kind {
            kind::DATA => self.data(record),
            kind::CONNECT => {
                if let Some(c) = record.connect() {
                    let comm = String::from_utf8_lossy(&c.comm);
                    self.processes.note(header.tgid, c.uid, comm.trim_end_matches('\0'));
                    self.connections.insert(header.stream, &c.remote);
                    if self.reads.connected(header.tgid) {
                        self.request(ProbeRequest::Follow(header.tgid));
                    }
                }
            }
            kind::BOUND => {
                if let Some(b) = record.bound() {
                    self.with_flow(header.stream, header.tgid, |flow| {
                        flow.last = flow.last.max(header.time);
                        flow.cookie = Some(b.cookie);
                    });
                    let events = self.pending.bound(header.stream);
                    self.record_confirmed(events, b.cookie);
                }
            }
            kind::DENIED => {
                self.with_flow(header.stream, header.tgid, |flow| {
                    flow.last = flow.last.max(header.time);
                    flow.denied = true;
                    flow.stopped_at.get_or_insert(header.offset);
                });
            }
            kind::DROPPED => {
                if let Some(d) = record.dropped() {
                    self.connections.insert(d.cookie, &d.remote);
                    self.dropped(header, &d);
                }
            }
            kind::CLOSED => {
                if let Some(flow) = self.flows.remove(header.stream) {
                    self.ended(flow);
                }
                if header.stream & TLS_STREAM == 0 {
                    self.connections.remove(header.stream);
                }
            }
            kind::EXEC => {
                self.processes.executed(header.tgid, String::from_utf8_lossy(record.payload).into_owned());
                self.request(ProbeRequest::Look(header.tgid));
            }
            kind::FORK => {
                if let Some(fork) = record.fork() {
                    self.processes.forked(header.tgid, fork.child);
                }
            }
            kind::EXIT => {
                if lives_on(header.tgid) {
                    return;
                }
                self.maps.remove_client(header.tgid);
                self.reads.forget(header.tgid);
                self.request(ProbeRequest::Forget(header.tgid));
                for flow in self.flows.drain_if(|f| f.tgid == header.tgid && f.tls()) {
                    self.ended(flow);
                }
            }
            // Accepted connections: for the inventory of local servers, which is not built yet.
            _ => {}
        }
    }

    fn data(&mut self, record: Record<'_>) {
        let header = record.header;
        let egress = header.flags & data_flag::EGRESS != 0;
        let direction = if egress { Direction::Request } else { Direction::Response };
        let denied = header.flags & data_flag::UNSANCTIONED != 0;
        let heard = self.with_flow(header.stream, header.tgid, |flow| {
            flow.last = header.time;
            flow.denied |= denied;
            if flow.tgid == 0 {
                flow.tgid = header.tgid;
            }
            flow.push(direction, header.offset, record.payload, header.time)
        });
        self.heard(header.stream, header.time, heard);
        self.judge_relevance(header.stream);
    }

    /// Works on a flow, and lets go of what the table evicts for it.
    fn with_flow<R>(&mut self, stream: u64, tgid: u32, act: impl FnOnce(&mut Flow) -> R) -> R {
        let (result, evicted) = self.flows.with(stream, tgid, act);
        for flow in evicted {
            self.telemetry.lose(LossKind::StreamEvicted, 1, flow.buffered() as u64);
            self.ended(flow);
        }
        result
    }

    /// The kernel dropped the first segment of a denied socket. Told before the data that it answers, as the control
    /// ring goes first: the flow may be new.
    fn dropped(&mut self, header: Header, dropped: &Dropped) {
        let Header { stream, tgid, offset, time, .. } = header;
        let cookie = dropped.cookie;
        let mut owner = tgid;
        // A TLS socket that is not tied to a stream has no flow of its own: what it carried is known by its process.
        if stream == cookie && u32::from(carries::PLAINTEXT) != dropped.carries {
            self.pending.untied(tgid);
        }
        if stream != cookie || u32::from(carries::PLAINTEXT) == dropped.carries {
            owner = self.with_flow(stream, tgid, |flow| {
                flow.last = flow.last.max(time);
                flow.denied = true;
                flow.carried_out = true;
                flow.cookie = Some(cookie);
                // A TLS stream knows its own position: `offset` counts bytes of the socket.
                if !flow.tls() {
                    flow.stopped_at.get_or_insert(offset);
                }
                if flow.tgid == 0 { tgid } else { flow.tgid }
            });
        }
        let port = self.connections.get(cookie).map_or(0, |remote| remote.port());
        self.enforcer.end(owner, cookie, port, GRACE);
        let events = self.pending.dropped(stream, owner);
        self.record_confirmed(events, cookie);
    }

    /// Follows the reads of processes that speak MCP or may yet, and no others.
    fn judge_relevance(&mut self, stream: u64) {
        let Some(flow) = self.flows.get_mut(stream) else { return };
        let (tgid, tls, relevance) = (flow.tgid, flow.tls(), flow.relevance());
        match self.reads.judge(tgid, stream, relevance) {
            reads::Verdict::Keep => {
                if let Err(error) = self.maps.keep(stream) {
                    tracing::warn!(%error, "cannot steer a stream");
                }
                if tls {
                    self.request(ProbeRequest::Follow(tgid));
                }
            }
            reads::Verdict::Leave if tls => self.request(ProbeRequest::Unfollow(tgid)),
            reads::Verdict::Leave | reads::Verdict::Nothing => {}
        }
    }

    fn request(&self, request: ProbeRequest) {
        // The probing thread lives as long as the kernel side.
        let _ = self.probes.send(request);
    }

    /// Counts what the kernel could not hand over since the last time.
    fn count_losses(&mut self) {
        let now = self.maps.counters();
        let since = |index| now.get(index).saturating_sub(self.counted.get(index));
        let full = since(counter::RING_FULL) + since(counter::CONTROL_FULL);
        if full > 0 {
            self.telemetry.lose(LossKind::RingFull, full, since(counter::RING_FULL_BYTES));
        }
        let unread = since(counter::READ_FAULT);
        if unread > 0 {
            self.telemetry.lose(LossKind::StreamGap, unread, 0);
        }
        let truncated = since(counter::TRUNCATED_BYTES);
        if truncated > 0 {
            self.telemetry.lose(LossKind::StreamTruncated, 1, truncated);
        }
        // A state that found no room: the stream or write that it belongs to is not followed.
        let unkept = since(counter::MAP_FULL);
        if unkept > 0 {
            self.telemetry.lose(LossKind::StreamEvicted, unkept, 0);
        }
        self.counted = now;
    }
}

/// Whether a process goes on although the thread that led it has ended.
fn lives_on(tgid: u32) -> bool {
    std::fs::read_dir(format!("/proc/{tgid}/task")).is_ok_and(|tasks| tasks.count() > 1)
}

fn clock_offset() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now_unix_nanos().saturating_sub(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}
