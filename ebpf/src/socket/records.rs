//! TLS records in the segments that leave: each is compared by length with the plaintext writes that wait, which ties
//! a TLS object to its socket, and carries a denial to the right one.
//!
//! This works without a file descriptor in the TLS object (Node, asyncio and .NET encrypt into memory) and without
//! knowing which thread sends.

use super::segment::Segment;
use crate::maps::{PENDING, SKB_HAS_PID, TLS, control, count, now};
use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_get_current_pid_tgid, bpf_loop},
    programs::SkBuffContext,
};
use aya_log_ebpf::debug;
use core::ffi::{c_long, c_void};
use gnomon_common::{
    record::{Bound, kind},
    state::{PendingKey, Socket, TlsKey, counter, denial},
};

/// Records in one segment at most: more do not fit in 64 KiB when each carries something.
const MAX_RECORDS: u32 = 4096;
const APPLICATION_DATA: u8 = 23;
/// What encryption adds to the plaintext: TLS 1.3 a content type and a 16-byte tag (RFC 8446, 5.2); TLS 1.2 AES-GCM an
/// 8-byte nonce and a tag (RFC 5288, 3); TLS 1.2 ChaCha20-Poly1305 a tag (RFC 7905, 2).
const OVERHEADS: [u32; 3] = [17, 24, 16];
/// A write whose ciphertext has not come after this long, in nanoseconds, never will; one that is denied is awaited
/// longer, as it may lie in a memory buffer.
const STALE: u64 = 10_000_000_000;
const STALE_DENIED: u64 = 60_000_000_000;

#[inline(always)]
pub fn walk(ctx: &SkBuffContext, s: &mut Socket, cookie: u64, segment: &Segment) {
    if s.synced & 4 == 0 {
        s.record_at = segment.seq;
        s.synced |= 4;
    }
    let mut state =
        Walk { skb: ctx.as_ptr(), socket: s, cookie, seq: segment.seq, at: segment.at, len: segment.len };
    // SAFETY: the callback runs before bpf_loop returns, while `state` is alive.
    unsafe { bpf_loop(MAX_RECORDS, step as *mut c_void, (&raw mut state).cast(), 0) };
}

struct Walk {
    skb: *mut c_void,
    socket: *mut Socket,
    cookie: u64,
    seq: u32,
    at: u32,
    len: u32,
}

unsafe extern "C" fn step(_index: u32, state: *mut c_void) -> c_long {
    // SAFETY: bpf_loop passes the pointer that `walk` gave it.
    let state = unsafe { &mut *state.cast::<Walk>() };
    // SAFETY: a live map value, see `socket`.
    let s = unsafe { &mut *state.socket };
    let ctx = SkBuffContext::new(state.skb.cast());
    c_long::from(!record(&ctx, s, state))
}

/// One record. Returns whether another may follow in this segment.
#[inline(always)]
fn record(ctx: &SkBuffContext, s: &mut Socket, walk: &Walk) -> bool {
    let at = s.record_at.wrapping_sub(walk.seq) as i32;
    if at < 0 || at as u32 >= walk.len {
        // Before this segment: a retransmission. Behind it: the record goes on.
        return false;
    }
    let at = at as u32;
    if at + 5 > walk.len {
        lost(ctx, s);
        return false;
    }
    let Ok(head) = ctx.load::<[u8; 5]>((walk.at + at) as usize) else {
        lost(ctx, s);
        return false;
    };
    let len = (head[3] as u32) << 8 | head[4] as u32;
    if !(20..=24).contains(&head[0]) || head[1] != 3 || len > (1 << 14) + 256 {
        lost(ctx, s);
        return false;
    }
    s.record_at = s.record_at.wrapping_add(5 + len);
    if head[0] == APPLICATION_DATA && s.tls_stream == 0 {
        settle(s, walk.cookie, len);
    }
    true
}

#[inline(always)]
fn lost(ctx: &SkBuffContext, s: &mut Socket) {
    debug!(ctx, "no TLS record where one should start, process {}", s.tgid);
    s.synced &= !4;
    count(counter::RECORD_SYNC_LOST, 1);
}

/// Looks for a write that could have become a record of this length.
#[inline(always)]
fn settle(s: &mut Socket, cookie: u64, record: u32) {
    let mut i = 0;
    while i < OVERHEADS.len() {
        let overhead = OVERHEADS[i];
        i += 1;
        if record <= overhead {
            continue;
        }
        let len = record - overhead;
        if take(s, cookie, PendingKey { tgid: s.tgid, len }) {
            return;
        }
        // A socket made by one process and used by another (fork, SCM_RIGHTS): its sender is the one that encrypts.
        if SKB_HAS_PID.load() != 0 {
            let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
            if tgid != s.tgid && take(s, cookie, PendingKey { tgid, len }) {
                return;
            }
        }
    }
}

#[inline(always)]
fn take(s: &mut Socket, cookie: u64, key: PendingKey) -> bool {
    let Some(entry) = PENDING.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: a live map value, copied at once.
    let p = unsafe { *entry };
    let limit = if p.denied != 0 { STALE_DENIED } else { STALE };
    if now().wrapping_sub(p.time) > limit {
        let _ = PENDING.remove(key);
        return false;
    }
    if p.denied != 0 {
        s.denied = denial::DECIDED;
    }
    if p.ambiguous > 1 {
        // SAFETY: a live map value.
        unsafe { (*entry).ambiguous -= 1 };
        return true;
    }
    let _ = PENDING.remove(key);
    if p.ambiguous != 0 {
        return true;
    }
    if s.tls_stream != p.stream {
        if !control(kind::BOUND, p.stream, 0, key.tgid, 0, Bound { cookie }) {
            // Not tied without user space knowing: the next write tries again.
            return true;
        }
        s.tls_stream = p.stream;
        count(counter::BOUND, 1);
    }
    if let Some(t) = TLS.get_ptr_mut(TlsKey { ssl: p.ssl, tgid: key.tgid, reserved: 0 }) {
        // SAFETY: a live map value; one aligned store.
        unsafe { (*t).cookie = cookie };
    }
    true
}
