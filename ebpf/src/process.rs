//! exec, fork, exit: the process tree, told to user space as it changes.

use crate::maps::{CLIENTS, CONTROL, FORK_CHILD_AT, control, count, end, now};
use aya_ebpf::EbpfContext as _;
use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel_str_bytes},
    macros::tracepoint,
    programs::TracePointContext,
};
use gnomon_common::{
    record::{Fork, Header, kind},
    state::counter,
};

/// Longest file name in an exec record; a longer one is cut.
const MAX_NAME: usize = 256;

#[repr(C)]
struct Exec {
    header: Header,
    name: [u8; MAX_NAME],
}

/// `sched:sched_process_exec`: `__data_loc char[] filename` at 8 on every kernel that has it.
#[tracepoint(category = "sched", name = "sched_process_exec")]
pub fn process_exec(ctx: TracePointContext) -> u32 {
    let id = bpf_get_current_pid_tgid();
    let Some(mut entry) = CONTROL.reserve::<Exec>(0) else {
        count(counter::CONTROL_FULL, 1);
        return 0;
    };
    let exec = entry.as_mut_ptr();
    // SAFETY: ring memory owned until submitted; `read_at` and the string helper check the kernel address.
    unsafe {
        let mut len = 0;
        if let Ok(location) = ctx.read_at::<u32>(8) {
            let at = ctx.as_ptr().cast::<u8>().add((location & 0xffff) as usize);
            let name = &mut *(&raw mut (*exec).name);
            if let Ok(s) = bpf_probe_read_kernel_str_bytes(at, name) {
                len = s.len() as u32;
            }
        }
        (*exec).header = Header {
            kind: kind::EXEC,
            flags: 0,
            len,
            stream: 0,
            offset: 0,
            time: now(),
            tgid: (id >> 32) as u32,
            tid: id as u32,
        };
    }
    entry.submit(0);
    0
}

/// `sched:sched_process_fork`: also fires for threads, which user space tells apart.
#[tracepoint(category = "sched", name = "sched_process_fork")]
pub fn process_fork(ctx: TracePointContext) -> u32 {
    let id = bpf_get_current_pid_tgid();
    // SAFETY: reads the tracepoint record at an offset that user space took from its format file.
    let Ok(child) = (unsafe { ctx.read_at::<u32>(FORK_CHILD_AT.load() as usize) }) else {
        return 0;
    };
    let parent = (id >> 32) as u32;
    // A child goes on using its parent's connections.
    if CLIENTS.get_ptr(parent).is_some() {
        let _ = CLIENTS.insert(child, 1, 0);
    }
    let _ = control(kind::FORK, 0, 0, parent, id as u32, Fork { child, reserved: 0 });
    0
}

/// `sched:sched_process_exit`. Told of the thread that leads a client; whether others live on, user space looks up.
#[tracepoint(category = "sched", name = "sched_process_exit")]
pub fn process_exit(_ctx: TracePointContext) -> u32 {
    let id = bpf_get_current_pid_tgid();
    let tgid = (id >> 32) as u32;
    if tgid != id as u32 {
        // The fork hook cannot tell threads from processes.
        let _ = CLIENTS.remove(id as u32);
    } else if CLIENTS.get_ptr(tgid).is_some() {
        end(kind::EXIT, 0, 0, tgid);
    }
    0
}
