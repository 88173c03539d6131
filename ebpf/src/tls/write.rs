//! `SSL_write` and its variants, before anything is encrypted: `(SSL *, const void *, int or size_t, ...)`.

use crate::{
    capture::{MAX_PIECES, Origin, piece},
    maps::{CLIENTS, EMPTY_TLS, PENDING, SOCKETS, STEER, TLS, control, count, now, settings},
};
use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_get_smp_processor_id, bpf_loop, generated::bpf_probe_read_user},
    macros::uprobe,
    programs::ProbeContext,
};
use core::ffi::{c_long, c_void};
use gnomon_common::{
    matcher::flag,
    record::{TLS_STREAM, data_flag, kind},
    state::{PendingKey, Tls, TlsKey, counter, denial, steer},
};

/// Plaintext in one TLS record at most (RFC 8446, 5.1).
const MAX_RECORD: u32 = 1 << 14;
/// Two writes of one length this close together can be mistaken for each other, in nanoseconds.
const CLOSE: u64 = 1_000_000_000;

#[uprobe]
pub fn tls_write(ctx: ProbeContext) -> u32 {
    let id = bpf_get_current_pid_tgid();
    if CLIENTS.get_ptr((id >> 32) as u32).is_none() {
        return 0;
    }
    let (Some(ssl), Some(buffer), Some(len)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1), ctx.arg::<u64>(2))
    else {
        return 0;
    };
    // SSL_write takes an int: the upper half of the register is not part of it. A size_t of SSL_write_ex above 4 GiB
    // is not a write that happens.
    write(id, ssl, buffer, len as u32);
    0
}

#[inline(always)]
fn write(id: u64, ssl: u64, buffer: u64, len: u32) -> Option<()> {
    let tgid = (id >> 32) as u32;
    if len == 0 || len > i32::MAX as u32 {
        return None;
    }
    let key = TlsKey { ssl, tgid, reserved: 0 };
    let t = tls(&key)?;
    if t.stream == 0 {
        // SAFETY: no arguments, no preconditions.
        let cpu = u64::from(unsafe { bpf_get_smp_processor_id() } & 0xff);
        t.stream = TLS_STREAM | (now() << 8 | cpu);
        t.head = head(buffer);
        t.ignored = u16::from(answers(t.head));
    } else if t.cookie == 0 && t.egress_offset == u64::from(len) && repeats(t, ssl, tgid, len, buffer) {
        // The client writes its first bytes again, as it must when the handshake was not done (SSL_ERROR_WANT_READ):
        // from the beginning, so that user space leaves the copy out.
        t.egress_offset = 0;
        t.matcher.generation = 0;
    }
    if t.ignored != 0 {
        return None;
    }
    count(counter::TLS_WRITES, 1);
    count(counter::TLS_WRITE_BYTES, u64::from(len));
    let settings = settings()?;
    if settings.agent_tgid == tgid {
        return None;
    }
    let start = t.egress_offset;
    t.egress.source = buffer;
    t.egress.left = len;
    t.egress.flags = data_flag::EGRESS | data_flag::TLS;
    t.egress.tid = id as u32;
    t.egress.enforce = settings.enforce_unsanctioned;
    let mut state = Loop { tls: t, tgid: u64::from(tgid) };
    // SAFETY: the callback runs before bpf_loop returns, while `state` is alive.
    unsafe { bpf_loop(MAX_PIECES, next as *mut c_void, (&raw mut state).cast(), 0) };
    if t.egress.left != 0 {
        count(counter::TRUNCATED_BYTES, u64::from(t.egress.left));
        t.egress_offset += u64::from(t.egress.left);
    }
    if t.matcher.flags & flag::UNSANCTIONED != 0 && settings.enforce_unsanctioned != 0 {
        t.denied = 1;
    }
    // SAFETY: a live map value.
    if let Some(bits) = unsafe { STEER.get(t.stream) } {
        if bits & steer::DENY != 0 {
            t.denied = 1;
        }
    }
    if t.denied != 0 {
        match SOCKETS.get_ptr_mut(t.cookie) {
            // SAFETY: a live map value.
            Some(s) => unsafe {
                if (*s).denied == denial::NONE {
                    (*s).denied = denial::DECIDED;
                }
            },
            // Not tied yet; or the state of its socket had to make room, and it must be found again.
            None => t.cookie = 0,
        }
        let _ = control(kind::DENIED, t.stream, start, tgid, id as u32, ());
    }
    if t.cookie == 0 {
        wait(t, ssl, tgid, len);
    }
    Some(())
}

/// Leaves word for the egress program: a record of this length carries this stream.
#[inline(always)]
fn wait(t: &mut Tls, ssl: u64, tgid: u32, len: u32) {
    let key = PendingKey { tgid, len: if len > MAX_RECORD { MAX_RECORD } else { len } };
    t.pending.ssl = ssl;
    t.pending.stream = t.stream;
    t.pending.time = now();
    t.pending.denied = u32::from(t.denied);
    t.pending.ambiguous = 0;
    if let Some(other) = PENDING.get_ptr(key) {
        // SAFETY: a live map value.
        let other = unsafe { &*other };
        let awaited = other.denied != 0 || t.pending.time.wrapping_sub(other.time) < CLOSE;
        if awaited && (other.ssl != ssl || other.ambiguous != 0) {
            t.pending.ambiguous = if other.ambiguous == 0 { 2 } else { other.ambiguous + 1 };
            t.pending.denied |= other.denied;
            count(counter::AMBIGUOUS, 1);
        }
    }
    if PENDING.insert(key, &t.pending, 0).is_err() {
        count(counter::MAP_FULL, 1);
    }
}

struct Loop {
    tls: *mut Tls,
    tgid: u64,
}

unsafe extern "C" fn next(_index: u32, state: *mut c_void) -> c_long {
    // SAFETY: bpf_loop passes the pointer that `write` gave it.
    let state = unsafe { &mut *state.cast::<Loop>() };
    // SAFETY: a live map value; OpenSSL objects are written by one thread at a time.
    let t = unsafe { &mut *state.tls };
    let origin = Origin { stream: t.stream, tgid: state.tgid as u32 };
    let more = piece(&mut t.egress, &mut t.egress_offset, Some(&mut t.matcher), &origin, read_user);
    i64::from(!more)
}

#[inline(always)]
pub fn read_user(to: *mut u8, from: u64, n: u32) -> bool {
    // SAFETY: `to` has room for n bytes of ring memory; the helper checks the user address.
    unsafe { bpf_probe_read_user(to.cast(), n, from as *const c_void) == 0 }
}

/// The state of a TLS object, made when it is not there.
#[inline(always)]
pub fn tls(key: &TlsKey) -> Option<&'static mut Tls> {
    if let Some(t) = TLS.get_ptr_mut(key) {
        // SAFETY: a live map value; reads and writes of one object have fields of their own.
        return Some(unsafe { &mut *t });
    }
    if TLS.insert(key, EMPTY_TLS.get(0)?, 0).is_err() {
        count(counter::MAP_FULL, 1);
        return None;
    }
    // SAFETY: as above.
    TLS.get_ptr_mut(key).map(|t| unsafe { &mut *t })
}

/// The first eight bytes of a write; 0 when they cannot be read.
#[inline(always)]
fn head(buffer: u64) -> u64 {
    let mut first = 0u64;
    // SAFETY: eight bytes of stack; the helper checks the user address.
    let read = unsafe { bpf_probe_read_user((&raw mut first).cast(), 8, buffer as *const c_void) };
    if read == 0 { first } else { 0 }
}

/// Whether the first bytes that a stream sends are those of an HTTP response: then this process is the server.
#[inline(always)]
fn answers(head: u64) -> bool {
    head & 0x00ff_ffff_ffff == u64::from_le_bytes(*b"HTTP/\0\0\0")
}

/// Whether a write is the first one again: the same beginning, the same length, and nothing of it was sent.
#[inline(always)]
fn repeats(t: &Tls, ssl: u64, tgid: u32, len: u32, buffer: u64) -> bool {
    let key = PendingKey { tgid, len: if len > MAX_RECORD { MAX_RECORD } else { len } };
    // SAFETY: a live map value.
    let waits = PENDING.get_ptr(key).is_some_and(|p| unsafe { (*p).ssl } == ssl);
    waits && t.head != 0 && head(buffer) == t.head
}
