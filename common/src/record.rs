//! What the kernel programs put into the ring buffers.
//!
//! A record is a [`Header`] followed by `header.len` bytes of payload; the reserved size is that of the smallest
//! class in [`DATA_CLASSES`] that holds it, so the tail is unspecified and must not be read.

/// Payload capacities of data records, in bytes. Several fixed sizes stand in for a variable one: the verifier wants
/// a constant at `bpf_ringbuf_reserve`, and one large constant would waste the ring on small writes.
pub const DATA_CLASSES: [usize; 3] = [256, 1024, 2048];
/// Largest piece of a stream in one record; longer writes become several records.
pub const MAX_CHUNK: usize = DATA_CLASSES[2];

/// `Header::kind`. Families have gaps so that numbers never shift.
pub mod kind {
    /// Plaintext of a stream.
    pub const DATA: u16 = 1;
    /// A TLS write was denied before it was encrypted; `offset` is where it starts; no payload. Its ciphertext is
    /// dropped when it comes, which [`DROPPED`] tells.
    pub const DENIED: u16 = 2;
    /// A TLS stream was tied to its socket; payload [`super::Bound`].
    pub const BOUND: u16 = 3;
    /// The TLS object of a stream was freed, or a socket is closed; no payload. In the data ring, behind the data.
    pub const CLOSED: u16 = 4;
    /// The first segment was dropped on a socket; payload [`super::Dropped`]. `stream` is the TLS stream when one is
    /// tied to the socket, else the cookie; `offset` is that of the segment on plaintext sockets.
    pub const DROPPED: u16 = 5;
    /// A process connects; payload [`super::Connect`], `stream` is the socket cookie.
    pub const CONNECT: u16 = 16;
    /// A process was first seen sending on a socket it accepted; payload [`super::Accept`].
    pub const ACCEPT: u16 = 17;
    /// `execve` succeeded; payload: the file name as given, not terminated.
    pub const EXEC: u16 = 32;
    /// A process was created; payload [`super::Fork`].
    pub const FORK: u16 = 33;
    /// The leading thread of a process is gone; no payload. In the data ring, behind the data.
    pub const EXIT: u16 = 34;
}

/// `Header::flags`.
pub mod data_flag {
    /// Leaves the host or process (a request); unset: arrives (a response).
    pub const EGRESS: u16 = 1;
    /// Plaintext of a TLS library, `stream` is a TLS stream id; unset: bytes of a TCP socket, `stream` is its cookie.
    pub const TLS: u16 = 1 << 1;
    /// The matcher has found MCP to an unsanctioned server at or before the end of this record.
    pub const UNSANCTIONED: u16 = 1 << 2;
    /// These bytes came after the verdict and did not leave.
    pub const DROPPED: u16 = 1 << 4;
}

/// Set in the stream ids of TLS streams; socket cookies are small numbers.
pub const TLS_STREAM: u64 = 1 << 63;

/// First part of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u16,
    /// Bits of [`data_flag`].
    pub flags: u16,
    /// Bytes of payload that follow.
    pub len: u32,
    /// Socket cookie, or TLS stream id (with [`TLS_STREAM`]).
    pub stream: u64,
    /// Position of the first payload byte in its direction of the stream.
    pub offset: u64,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time: u64,
    /// Process (thread group); for TCP records the owner of the socket, 0 when not known.
    pub tgid: u32,
    /// Thread; 0 in records made outside process context.
    pub tid: u32,
}

const _: () = assert!(size_of::<Header>() == 40 && align_of::<Header>() == 8);

/// Payload of [`kind::BOUND`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Bound {
    /// Cookie of the socket that carries the TLS stream.
    pub cookie: u64,
}

/// Payload of [`kind::DROPPED`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Dropped {
    /// Cookie of the socket.
    pub cookie: u64,
    /// Its other end.
    pub remote: Endpoint,
    /// One of [`crate::state::carries`].
    pub carries: u32,
    /// Keeps the size a multiple of 8.
    pub reserved: u32,
}

/// A socket address as the kernel's sockaddr contexts give it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The words of the address as they lie in memory, in network byte order; IPv4 uses the first.
    pub address: [u32; 4],
    /// Host byte order.
    pub port: u16,
    /// 4 or 6.
    pub version: u16,
    /// Keeps the size a multiple of 8.
    pub reserved: u32,
}

/// Payload of [`kind::CONNECT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Connect {
    /// Where to.
    pub remote: Endpoint,
    /// User id of the caller.
    pub uid: u32,
    /// Keeps `comm` aligned.
    pub reserved: u32,
    /// Command name of the caller, NUL-padded.
    pub comm: [u8; 16],
}

/// Payload of [`kind::ACCEPT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Accept {
    /// The client's end.
    pub remote: Endpoint,
}

/// Payload of [`kind::FORK`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Fork {
    /// Process id of the child; `Header::tgid` is the parent's.
    pub child: u32,
    /// Keeps the size a multiple of 8.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Endpoint>() == 24 && size_of::<Connect>() == 48);
