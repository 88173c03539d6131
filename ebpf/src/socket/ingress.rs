//! Segments that arrive on sockets whose requests are captured: the answers.

use super::segment::Segment;
use crate::{
    capture::{MAX_PIECES, Origin, piece},
    maps::{SOCKETS, STEER, count},
};
use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_loop,
        generated::{bpf_get_socket_cookie, bpf_skb_load_bytes},
    },
    macros::cgroup_skb,
    programs::SkBuffContext,
};
use core::ffi::{c_long, c_void};
use gnomon_common::{
    matcher::flag,
    state::{Socket, carries, counter, steer},
};

const PASS: i32 = 1;
/// What is captured of the answer to a request that is not MCP, in bytes. The rest of a download is counted, not
/// copied.
const UNINTERESTING: u32 = 256 << 10;

#[cgroup_skb(ingress)]
pub fn ingress(ctx: SkBuffContext) -> i32 {
    let _ = handle(&ctx);
    PASS
}

#[inline(always)]
fn handle(ctx: &SkBuffContext) -> Option<()> {
    let segment = Segment::parse(ctx)?;
    // SAFETY: the context is the one the program was given.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    let s = SOCKETS.get_ptr_mut(cookie)?;
    // SAFETY: a live map value; this program touches the ingress half only.
    let s = unsafe { &mut *s };
    if s.carries != carries::PLAINTEXT {
        return None;
    }
    if s.synced & 2 == 0 {
        s.ingress_next = segment.seq;
        s.synced |= 2;
    }
    // Order is user space's business: a segment carries its own position, relative to the first one seen.
    let ahead = segment.seq.wrapping_sub(s.ingress_next) as i32;
    let end = ahead.wrapping_add(segment.len as i32);
    let position = s.ingress_offset.wrapping_add(ahead as i64 as u64);
    if end > 0 {
        s.ingress_next = segment.seq.wrapping_add(segment.len);
        s.ingress_offset = s.ingress_offset.wrapping_add(end as u64);
        s.ingress_since = s.ingress_since.saturating_add(segment.len);
    }
    if s.ingress_since > UNINTERESTING && s.matcher.flags & flag::MCP == 0 {
        // SAFETY: a live map value.
        let mcp = unsafe { STEER.get(cookie) }.is_some_and(|bits| bits & steer::MCP != 0);
        if !mcp {
            count(counter::SKIPPED_BYTES, segment.len as u64);
            return None;
        }
    }
    s.ingress.source = segment.at as u64;
    s.ingress.left = segment.len;
    s.ingress.flags = 0;
    s.ingress.tid = 0;
    let mut state = Loop { skb: ctx.as_ptr(), socket: s, cookie, position };
    // SAFETY: the callback runs before bpf_loop returns, while `state` is alive.
    unsafe { bpf_loop(MAX_PIECES, next as *mut c_void, (&raw mut state).cast(), 0) };
    if s.ingress.left != 0 {
        count(counter::TRUNCATED_BYTES, s.ingress.left as u64);
    }
    Some(())
}

struct Loop {
    skb: *mut c_void,
    socket: *mut Socket,
    cookie: u64,
    position: u64,
}

unsafe extern "C" fn next(_index: u32, state: *mut c_void) -> c_long {
    // SAFETY: bpf_loop passes the pointer that `handle` gave it.
    let state = unsafe { &mut *state.cast::<Loop>() };
    // SAFETY: a live map value, see above.
    let s = unsafe { &mut *state.socket };
    let skb = state.skb;
    let origin = Origin { stream: state.cookie, tgid: s.tgid };
    let more = piece(&mut s.ingress, &mut state.position, None, &origin, |to, from, n| {
        // SAFETY: `to` has room for n bytes of ring memory; the helper checks the range in the segment.
        unsafe { bpf_skb_load_bytes(skb, from as u32, to.cast(), n) == 0 }
    });
    i64::from(!more)
}
