//! Which process owns a socket: `connect` and accepted connections.

use super::socket;
use crate::maps::{CLIENTS, SOCKETS, control, end};
use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
        generated::bpf_get_socket_cookie,
    },
    macros::{cgroup_sock_addr, sock_ops},
    programs::{SockAddrContext, SockOpsContext},
};
use gnomon_common::{
    record::{Connect, Endpoint, kind},
    state::{Socket, carries, denial, role},
};

/// `BPF_SOCK_OPS_*` and `BPF_TCP_CLOSE` of the UAPI.
const ACTIVE_ESTABLISHED: u32 = 4;
const PASSIVE_ESTABLISHED: u32 = 5;
const STATE_CB: u32 = 10;
const STATE_CB_FLAG: i32 = 1 << 2;
const TCP_CLOSE: u32 = 7;
const SOCK_STREAM: u32 = 1;
const AF_INET: u32 = 2;
/// sock_addr programs return 1 to let the call go on.
const PROCEED: i32 = 1;

#[cgroup_sock_addr(connect4)]
pub fn connect4(ctx: SockAddrContext) -> i32 {
    let a = ctx.sock_addr;
    // SAFETY: fields of the context that connect4 may read, each once and whole.
    let (kind, ip, port) = unsafe {
        (word(&raw const (*a).type_), word(&raw const (*a).user_ip4), word(&raw const (*a).user_port))
    };
    if kind == SOCK_STREAM {
        connects(&ctx, endpoint([ip, 0, 0, 0], port, 4));
    }
    PROCEED
}

#[cgroup_sock_addr(connect6)]
pub fn connect6(ctx: SockAddrContext) -> i32 {
    let a = ctx.sock_addr;
    // SAFETY: fields of the context that connect6 may read, each once and whole.
    let (kind, ip, port) = unsafe {
        let ip = &raw const (*a).user_ip6;
        (word(&raw const (*a).type_), words(ip), word(&raw const (*a).user_port))
    };
    if kind == SOCK_STREAM {
        connects(&ctx, endpoint(ip, port, 6));
    }
    PROCEED
}

/// One field of a context. Volatile, because the kernel rewrites each access by its size, and a compiler that splits
/// or joins them makes a program that is refused.
///
/// # Safety
/// `field` points into the program's context.
#[inline(always)]
unsafe fn word(field: *const u32) -> u32 {
    // SAFETY: as the caller promises.
    unsafe { field.read_volatile() }
}

/// # Safety
/// As [`word`].
#[inline(always)]
unsafe fn words(field: *const [u32; 4]) -> [u32; 4] {
    let first = field.cast::<u32>();
    // SAFETY: as the caller promises.
    unsafe { [word(first), word(first.add(1)), word(first.add(2)), word(first.add(3))] }
}

/// `user_port` is network byte order in the low 16 bits.
#[inline(always)]
fn endpoint(address: [u32; 4], port: u32, version: u16) -> Endpoint {
    Endpoint { address, port: u16::from_be(port as u16), version, reserved: 0 }
}

#[inline(always)]
fn connects(ctx: &SockAddrContext, remote: Endpoint) {
    let id = bpf_get_current_pid_tgid();
    let tgid = (id >> 32) as u32;
    // SAFETY: the context is the one the program was given.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    let _ = CLIENTS.insert(tgid, 1, 0);
    if let Some(s) = socket(cookie) {
        // A socket can be connected anew after a failure: nothing of the earlier attempt holds.
        if s.denied == denial::NONE {
            s.synced = 0;
            s.carries = 0;
        }
        s.tgid = tgid;
        s.role = role::CLIENT;
        s.remote = remote;
    }
    let connect = Connect {
        remote,
        uid: bpf_get_current_uid_gid() as u32,
        reserved: 0,
        comm: bpf_get_current_comm().unwrap_or([0; 16]),
    };
    let _ = control(kind::CONNECT, cookie, 0, tgid, id as u32, connect);
}

#[sock_ops]
pub fn established(ctx: SockOpsContext) -> u32 {
    let op = ctx.op();
    if op == ACTIVE_ESTABLISHED || op == PASSIVE_ESTABLISHED {
        // Tell of its end: a state that is left behind costs another socket its own.
        // Added to what others asked for.
        let _ = ctx.set_cb_flags(ctx.cb_flags() as i32 | STATE_CB_FLAG);
    }
    // SAFETY: the context is the one the program was given.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    if op == PASSIVE_ESTABLISHED {
        if let Some(s) = socket(cookie) {
            accepted(&ctx, s);
        }
    } else if op == STATE_CB && ctx.arg(1) == TCP_CLOSE {
        closed(cookie);
    }
    0
}

#[inline(always)]
fn accepted(ctx: &SockOpsContext, s: &mut Socket) {
    s.role = role::SERVER;
    let a = ctx.ops;
    // SAFETY: fields of the context that sock_ops may read, each once and whole.
    unsafe {
        // In network byte order, in the upper half of the word (UAPI, struct bpf_sock_ops).
        s.remote.port = u16::from_be((word(&raw const (*a).remote_port) >> 16) as u16);
        if word(&raw const (*a).family) == AF_INET {
            s.remote.version = 4;
            s.remote.address = [word(&raw const (*a).remote_ip4), 0, 0, 0];
        } else {
            s.remote.version = 6;
            s.remote.address = words(&raw const (*a).remote_ip6);
        }
    }
}

#[inline(always)]
fn closed(cookie: u64) {
    let Some(s) = SOCKETS.get_ptr(cookie) else {
        return;
    };
    // SAFETY: a live map value.
    let (carried, role, offset, tgid) = unsafe { ((*s).carries, (*s).role, (*s).egress_offset, (*s).tgid) };
    let _ = SOCKETS.remove(cookie);
    if role != role::SERVER && (carried == carries::PLAINTEXT || carried == carries::TLS) {
        end(kind::CLOSED, cookie, offset, tgid);
    }
}
