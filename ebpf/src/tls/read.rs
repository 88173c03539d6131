//! `SSL_read` and `SSL_read_ex`: arguments at the entry, plaintext at the return.

use super::write::{read_user, tls};
use crate::{
    capture::{MAX_PIECES, Origin, piece},
    maps::{READS, count},
};
use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_loop, generated::bpf_probe_read_user},
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use core::ffi::{c_long, c_void};
use gnomon_common::{
    record::data_flag,
    state::{Reading, Tls, TlsKey, counter},
};

/// `int SSL_read(SSL *, void *, int)`
#[uprobe]
pub fn tls_read(ctx: ProbeContext) -> u32 {
    enter(&ctx, false)
}

/// `int SSL_read_ex(SSL *, void *, size_t, size_t *)`
#[uprobe]
pub fn tls_read_ex(ctx: ProbeContext) -> u32 {
    enter(&ctx, true)
}

#[inline(always)]
fn enter(ctx: &ProbeContext, ex: bool) -> u32 {
    let (Some(ssl), Some(buffer)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1)) else {
        return 0;
    };
    let count_at = if ex { ctx.arg::<u64>(3).unwrap_or(0) } else { 0 };
    let id = bpf_get_current_pid_tgid();
    if READS.insert(id, Reading { ssl, buffer, count_at }, 0).is_err() {
        count(counter::MAP_FULL, 1);
    }
    0
}

#[uretprobe]
pub fn tls_read_return(ctx: RetProbeContext) -> u32 {
    let id = bpf_get_current_pid_tgid();
    let Some(reading) = READS.get_ptr(id) else {
        return 0;
    };
    // SAFETY: a live map value, copied before it is removed.
    let reading = unsafe { *reading };
    let _ = READS.remove(id);
    // The result is an int: the upper half of the register is not part of it.
    let result = ctx.ret::<u64>() as i32;
    if result <= 0 {
        return 0;
    }
    let mut len = result as u64;
    if reading.count_at != 0 {
        // SAFETY: eight bytes of stack; the helper checks the user address.
        let read =
            unsafe { bpf_probe_read_user((&raw mut len).cast(), 8, reading.count_at as *const c_void) };
        if read != 0 {
            count(counter::READ_FAULT, 1);
            return 0;
        }
    }
    if len == 0 || len > i32::MAX as u64 {
        return 0;
    }
    let _ = capture(id, &reading, len as u32);
    0
}

#[inline(always)]
fn capture(id: u64, reading: &Reading, len: u32) -> Option<()> {
    let tgid = (id >> 32) as u32;
    let t = tls(&TlsKey { ssl: reading.ssl, tgid, reserved: 0 })?;
    if t.stream == 0 || t.ignored != 0 {
        // A server reads before it writes: its streams have no id yet, and are not looked at.
        return None;
    }
    t.ingress.source = reading.buffer;
    t.ingress.left = len;
    t.ingress.flags = data_flag::TLS;
    t.ingress.tid = id as u32;
    let mut state = Loop { tls: t, tgid: u64::from(tgid) };
    // SAFETY: the callback runs before bpf_loop returns, while `state` is alive.
    unsafe { bpf_loop(MAX_PIECES, next as *mut c_void, (&raw mut state).cast(), 0) };
    if t.ingress.left != 0 {
        count(counter::TRUNCATED_BYTES, u64::from(t.ingress.left));
        t.ingress_offset += u64::from(t.ingress.left);
    }
    Some(())
}

struct Loop {
    tls: *mut Tls,
    tgid: u64,
}

unsafe extern "C" fn next(_index: u32, state: *mut c_void) -> c_long {
    // SAFETY: bpf_loop passes the pointer that `capture` gave it.
    let state = unsafe { &mut *state.cast::<Loop>() };
    // SAFETY: a live map value; OpenSSL objects are read by one thread at a time.
    let t = unsafe { &mut *state.tls };
    let origin = Origin { stream: t.stream, tgid: state.tgid as u32 };
    let more = piece(&mut t.ingress, &mut t.ingress_offset, None, &origin, read_user);
    i64::from(!more)
}
