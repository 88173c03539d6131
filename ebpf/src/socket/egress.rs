//! Segments that leave: plaintext is captured and matched, TLS records are tied to the writes they came from, and a
//! denied socket sends nothing more.

use super::{
    records,
    segment::{Segment, destination},
    socket,
};
use crate::{
    capture::{MAX_PIECES, Origin, piece},
    maps::{CLIENTS, SKB_HAS_PID, STEER, control, count, settings},
};
use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_pid_tgid, bpf_loop,
        generated::{bpf_get_socket_cookie, bpf_skb_load_bytes},
    },
    macros::cgroup_skb,
    programs::SkBuffContext,
};
use aya_log_ebpf::debug;
use core::ffi::{c_long, c_void};
use gnomon_common::{
    matcher::flag,
    record::{Accept, Dropped, data_flag, kind},
    state::{Socket, carries, counter, denial, role, steer},
};

const DROP: i32 = 0;
const PASS: i32 = 1;

#[cgroup_skb(egress)]
pub fn egress(ctx: SkBuffContext) -> i32 {
    handle(&ctx).unwrap_or(PASS)
}

#[inline(always)]
fn handle(ctx: &SkBuffContext) -> Option<i32> {
    let segment = Segment::parse(ctx)?;
    // SAFETY: the context is the one the program was given.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    if cookie == 0 {
        return None;
    }
    let s = socket(cookie)?;
    if s.carries == carries::UNKNOWN {
        classify(ctx, s, cookie, &segment)?;
    }
    if s.carries != carries::TLS && s.role != role::SERVER && client_hello(ctx, &segment) {
        // After a CONNECT to a proxy, SOCKS, or STARTTLS.
        s.carries = carries::TLS;
        s.synced &= !4;
    }
    let start = s.egress_offset;
    if s.carries == carries::PLAINTEXT {
        if settings()?.agent_tgid == s.tgid && s.tgid != 0 {
            return None;
        }
        // Also when the socket is denied: what the client still writes belongs to the denied message. It is shown,
        // although it goes nowhere.
        capture(ctx, s, cookie, &segment);
        if s.denied == denial::NONE && s.matcher.flags & flag::UNSANCTIONED != 0 && s.egress.enforce != 0 {
            s.denied = denial::DECIDED;
        }
    } else if s.carries == carries::TLS {
        if s.tls_stream == 0 && SKB_HAS_PID.load() != 0 {
            // Who sends on it may have got it from another process; its ClientHello comes before its first write.
            let me = (bpf_get_current_pid_tgid() >> 32) as u32;
            if me != 0 && me != s.tgid {
                let _ = CLIENTS.insert(me, 1, 0);
            }
        }
        if s.denied == denial::NONE {
            records::walk(ctx, s, cookie, &segment);
        }
    } else {
        return None;
    }
    // SAFETY: a live map value.
    if let Some(bits) = unsafe { STEER.get(cookie) } {
        if bits & steer::DENY != 0 && s.denied == denial::NONE {
            s.denied = denial::DECIDED;
        }
    }
    if s.denied == denial::NONE {
        return None;
    }
    count(counter::DROPPED_SEGMENTS, 1);
    if s.denied == denial::DECIDED {
        debug!(ctx, "socket {} of process {} carries nothing more", cookie, s.tgid);
        let stream = if s.tls_stream != 0 { s.tls_stream } else { cookie };
        let dropped = Dropped { cookie, remote: s.remote, carries: s.carries as u32, reserved: 0 };
        // Told again with the retransmission when there was no room.
        if control(kind::DROPPED, stream, start, s.tgid, 0, dropped) {
            s.denied = denial::CARRIED_OUT;
        }
    }
    Some(DROP)
}

/// Decides from the first payload bytes what a socket carries and, where nobody saw it being made, which end it is.
#[inline(always)]
fn classify(ctx: &SkBuffContext, s: &mut Socket, cookie: u64, segment: &Segment) -> Option<()> {
    let first: u8 = ctx.load(segment.at as usize).ok()?;
    if s.role == role::SERVER {
        s.carries = carries::OTHER;
        if SKB_HAS_PID.load() != 0 {
            s.tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
            let _ = control(kind::ACCEPT, cookie, 0, s.tgid, 0, Accept { remote: s.remote });
        }
        return Some(());
    }
    // SOCKS, and its sign-in: what the socket carries comes later.
    if first == 1 || first == 4 || first == 5 {
        return None;
    }
    if s.remote.version == 0 {
        // Its connect was not seen: it is older than the hooks.
        s.remote = destination(ctx)?;
    }
    if s.tgid == 0 && SKB_HAS_PID.load() != 0 {
        s.tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    }
    s.carries = match first {
        // ContentType handshake and, on a connection joined midway, application data (RFC 8446, 5.1).
        0x16 | 0x17 => carries::TLS,
        // The letter of a method, or JSON without HTTP. A response ("HTTP/1.1 ...") is what a server sends.
        b'H' if segment.len >= 5 && ctx.load::<u8>(segment.at as usize + 1).ok()? == b'T' => carries::OTHER,
        b'A'..=b'Z' | b'{' | b'[' | b'\r' | b'\n' | b' ' | b'\t' | 0xef => carries::PLAINTEXT,
        _ => carries::OTHER,
    };
    Some(())
}

/// Whether a segment starts with a ClientHello (RFC 8446, 5.1 and 4): handshake, version 3.x, client_hello.
#[inline(always)]
fn client_hello(ctx: &SkBuffContext, segment: &Segment) -> bool {
    segment.len >= 6
        && ctx.load::<[u8; 6]>(segment.at as usize).is_ok_and(|h| h[0] == 0x16 && h[1] == 3 && h[5] == 1)
}

struct Loop {
    skb: *mut c_void,
    socket: *mut Socket,
    cookie: u64,
}

/// Captures the part of a segment that was not sent before.
#[inline(always)]
fn capture(ctx: &SkBuffContext, s: &mut Socket, cookie: u64, segment: &Segment) {
    if s.synced & 1 == 0 {
        s.egress_next = segment.seq;
        s.synced |= 1;
    }
    let ahead = segment.seq.wrapping_sub(s.egress_next) as i32;
    let mut skip = 0;
    if ahead < 0 {
        // A retransmission, whole or in part.
        skip = ahead.unsigned_abs();
        if skip >= segment.len {
            return;
        }
    } else if ahead > 0 {
        // Bytes that never passed here (the hook was detached for a moment): user space sees the gap.
        s.egress_offset += ahead as u64;
    }
    s.egress_next = segment.seq.wrapping_add(segment.len);
    s.ingress_since = 0;
    s.egress.source = (segment.at + skip) as u64;
    s.egress.left = segment.len - skip;
    s.egress.flags = data_flag::EGRESS | if s.denied == denial::NONE { 0 } else { data_flag::DROPPED };
    s.egress.tid = 0;
    s.egress.enforce = settings().map_or(0, |x| x.enforce_unsanctioned);
    let mut state = Loop { skb: ctx.as_ptr(), socket: s, cookie };
    // SAFETY: the callback runs before bpf_loop returns, while `state` is alive.
    unsafe { bpf_loop(MAX_PIECES, next as *mut c_void, (&raw mut state).cast(), 0) };
    if s.egress.left != 0 {
        count(counter::TRUNCATED_BYTES, s.egress.left as u64);
        s.egress_offset += s.egress.left as u64;
    }
}

unsafe extern "C" fn next(_index: u32, state: *mut c_void) -> c_long {
    // SAFETY: bpf_loop passes the pointer that `capture` gave it.
    let state = unsafe { &mut *state.cast::<Loop>() };
    // SAFETY: a live map value, see `socket`.
    let s = unsafe { &mut *state.socket };
    let skb = state.skb;
    let origin = Origin { stream: state.cookie, tgid: s.tgid };
    let more = piece(&mut s.egress, &mut s.egress_offset, Some(&mut s.matcher), &origin, |to, from, n| {
        // SAFETY: `to` has room for n bytes of ring memory; the helper checks the range in the segment.
        unsafe { bpf_skb_load_bytes(skb, from as u32, to.cast(), n) == 0 }
    });
    i64::from(!more)
}
