//! Values of the maps that the kernel programs keep, and the settings that user space gives them.

use crate::{matcher::MatchState, record::Endpoint};

/// Settings, entry 0 of the `SETTINGS` array; written by user space, read by the programs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// 1: MCP to unsanctioned servers is dropped by the kernel. 0: only seen.
    pub enforce_unsanctioned: u32,
    /// Which of the two automata is in force: 0 or 1.
    pub active_automaton: u32,
    /// The agent itself, which is never captured.
    pub agent_tgid: u32,
    /// Keeps the size a multiple of 8.
    pub reserved: u32,
}

/// What a TCP socket carries, as far as its first bytes tell.
pub mod carries {
    /// Nothing was sent yet.
    pub const UNKNOWN: u8 = 0;
    /// HTTP/1.x or bare JSON: captured.
    pub const PLAINTEXT: u8 = 1;
    /// TLS records: only their lengths are looked at.
    pub const TLS: u8 = 2;
    /// Anything else, or a socket that answers requests.
    pub const OTHER: u8 = 3;
}

/// Which end of a connection a socket is.
pub mod role {
    /// Not seen being made.
    pub const UNKNOWN: u8 = 0;
    /// `connect` was called on it.
    pub const CLIENT: u8 = 1;
    /// It came from a listening socket.
    pub const SERVER: u8 = 2;
}

/// What becomes of the segments of a socket.
pub mod denial {
    /// They pass.
    pub const NONE: u8 = 0;
    /// All with payload are to be dropped; none was yet.
    pub const DECIDED: u8 = 1;
    /// They are dropped, and user space knows.
    pub const CARRIED_OUT: u8 = 2;
}

/// Progress through one plaintext write while the capture loop cuts it into records. Lives in the map value of its
/// stream and not on the stack: uprobe programs must stay small (a large stack means a per-CPU private one on
/// kernels >= 6.13, which preemption corrupts).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// User address, or offset in the segment, of the next byte.
    pub source: u64,
    /// Bytes left in this write.
    pub left: u32,
    /// Header flags of the records.
    pub flags: u16,
    /// Keeps the next field aligned.
    pub reserved: u16,
    /// Thread that writes.
    pub tid: u32,
    /// 1: deny what the matcher calls unsanctioned.
    pub enforce: u32,
}

/// State of one socket, by cookie.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Socket {
    /// Owner, 0 when not known.
    pub tgid: u32,
    /// One of [`role`].
    pub role: u8,
    /// One of [`carries`].
    pub carries: u8,
    /// One of [`denial`].
    pub denied: u8,
    /// 1: `egress_next` is valid. 2: so is `ingress_next`. 4: so is `record_at`.
    pub synced: u8,
    /// TCP sequence number of the next new egress byte.
    pub egress_next: u32,
    /// TCP sequence number of the next in-order ingress byte.
    pub ingress_next: u32,
    /// TCP sequence number at which the next TLS record header starts.
    pub record_at: u32,
    /// Ingress bytes since the last egress byte; bounds what is captured of downloads.
    pub ingress_since: u32,
    /// Bytes of the stream before `egress_next` and `ingress_next`.
    pub egress_offset: u64,
    /// See `egress_offset`.
    pub ingress_offset: u64,
    /// TLS stream carried by this socket, 0 when not bound.
    pub tls_stream: u64,
    /// Matcher over the plaintext that leaves.
    pub matcher: MatchState,
    /// Keeps the next field aligned.
    pub reserved: u32,
    /// Used by the capture loop on egress.
    pub egress: Cursor,
    /// Used by the capture loop on ingress, which can interrupt egress on the same socket.
    pub ingress: Cursor,
    /// The other end.
    pub remote: Endpoint,
}

/// Key of a TLS object: its address means nothing without the process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsKey {
    /// Address of the `SSL` object.
    pub ssl: u64,
    /// Process.
    pub tgid: u32,
    /// Keys must have no padding.
    pub reserved: u32,
}

/// State of one TLS object.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Tls {
    /// Stream id, with [`crate::record::TLS_STREAM`]; 0 until the first byte.
    pub stream: u64,
    /// Cookie of its socket, 0 until bound.
    pub cookie: u64,
    /// Bytes written so far.
    pub egress_offset: u64,
    /// Bytes read so far.
    pub ingress_offset: u64,
    /// Matcher over what is written.
    pub matcher: MatchState,
    /// 1: nothing of it may leave any more.
    pub denied: u16,
    /// 1: not a client's stream: it answers requests.
    pub ignored: u16,
    /// Used by the capture loop on writes.
    pub egress: Cursor,
    /// Used by the capture loop on reads: another thread may read while one writes.
    pub ingress: Cursor,
    /// First bytes of the first write: a client repeats it whole when the handshake was not done.
    pub head: u64,
    /// Template for the `PENDING` map, built here to keep it off the stack.
    pub pending: Pending,
}

/// Key of a write whose ciphertext has not been seen yet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct PendingKey {
    /// Process that encrypts.
    pub tgid: u32,
    /// Plaintext bytes in the first TLS record of the write.
    pub len: u32,
}

/// A write whose ciphertext has not been seen yet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Pending {
    /// Which TLS object.
    pub ssl: u64,
    /// Its stream.
    pub stream: u64,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time: u64,
    /// 1: the ciphertext must not leave.
    pub denied: u32,
    /// 0, or how many records are awaited because several TLS objects wait with the same length: the verdict holds for
    /// all of them, but none is tied to a socket by it.
    pub ambiguous: u32,
}

/// Arguments of a read that has not returned.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// TLS object.
    pub ssl: u64,
    /// Where the plaintext will be.
    pub buffer: u64,
    /// Where `SSL_read_ex` stores the count; 0 for `SSL_read`, which returns it.
    pub count_at: u64,
}

/// What user space knows of a stream and the kernel should heed.
pub mod steer {
    /// Drop whatever it still sends.
    pub const DENY: u32 = 1;
    /// Carries MCP although the matcher has not seen it: capture all of it.
    pub const MCP: u32 = 1 << 1;
}

/// Indices of the per-CPU counters.
pub mod counter {
    /// Records of stream data that found no room in the ring.
    pub const RING_FULL: u32 = 0;
    /// Payload bytes in those records.
    pub const RING_FULL_BYTES: u32 = 1;
    /// Control records that found no room.
    pub const CONTROL_FULL: u32 = 2;
    /// User memory that could not be read (page not present).
    pub const READ_FAULT: u32 = 3;
    /// Bytes of writes longer than one call captures.
    pub const TRUNCATED_BYTES: u32 = 4;
    /// Segments dropped.
    pub const DROPPED_SEGMENTS: u32 = 5;
    /// TLS writes that were tied to a socket.
    pub const BOUND: u32 = 6;
    /// TLS writes with two candidates for one record length.
    pub const AMBIGUOUS: u32 = 7;
    /// Ingress bytes of downloads that were left out on purpose.
    pub const SKIPPED_BYTES: u32 = 8;
    /// TLS record boundaries lost (a header straddled two segments, or the stream was joined midway).
    pub const RECORD_SYNC_LOST: u32 = 9;
    /// Insertions into a state map that failed.
    pub const MAP_FULL: u32 = 10;
    /// Writes seen at TLS libraries, and their bytes.
    pub const TLS_WRITES: u32 = 11;
    /// See `TLS_WRITES`.
    pub const TLS_WRITE_BYTES: u32 = 12;
    /// Number of counters.
    pub const COUNT: u32 = 16;
}

const _: () = assert!(
    size_of::<Settings>() == 16
        && size_of::<Cursor>() == 24
        && size_of::<Socket>() == 8 + 16 + 24 + 16 + 24 + 24 + 24
        && size_of::<TlsKey>() == 16
        && size_of::<Tls>() == 32 + 16 + 24 + 24 + 8 + 32
        && size_of::<Pending>() == 32
        && size_of::<Reading>() == 24
);
