//! Every map, and the few accesses that all programs share.

use aya_ebpf::{
    Global,
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf},
};
use core::arch::asm;
use gnomon_common::{
    matcher::Automaton,
    record::Header,
    state::{Pending, PendingKey, Reading, Settings, Socket, Tls, TlsKey, counter},
};

/// Stream data. Sized by user space before loading.
#[map]
pub static DATA: RingBuf = RingBuf::with_byte_size(1 << 24, 0);
/// Everything else: small, and apart so that a flood of data cannot delay a verdict.
#[map]
pub static CONTROL: RingBuf = RingBuf::with_byte_size(1 << 20, 0);
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);
#[map]
pub static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);
/// Two, so that a new one is complete before `Settings::active_automaton` points at it.
#[map]
pub static AUTOMATA: Array<Automaton> = Array::with_max_entries(2, 0);
/// By socket cookie.
#[map]
pub static SOCKETS: LruHashMap<u64, Socket> = LruHashMap::with_max_entries(65_536, 0);
/// Processes that opened an outbound TCP connection; the value means nothing.
#[map]
pub static CLIENTS: LruHashMap<u32, u32> = LruHashMap::with_max_entries(16_384, 0);
#[map]
pub static TLS: LruHashMap<TlsKey, Tls> = LruHashMap::with_max_entries(32_768, 0);
#[map]
pub static PENDING: LruHashMap<PendingKey, Pending> = LruHashMap::with_max_entries(16_384, 0);
/// By thread.
#[map]
pub static READS: LruHashMap<u64, Reading> = LruHashMap::with_max_entries(16_384, 0);
/// By stream id: bits of `state::steer`, written by user space.
#[map]
pub static STEER: LruHashMap<u64, u32> = LruHashMap::with_max_entries(65_536, 0);
/// Zeroed values to insert from: a `Tls` on the stack would be too much for a uprobe program.
#[map]
pub static EMPTY_TLS: Array<Tls> = Array::with_max_entries(1, 0);
#[map]
pub static EMPTY_SOCKET: Array<Socket> = Array::with_max_entries(1, 0);

/// By stream: where a piece is matched that found no room in the ring. Not per CPU: the programs can be preempted.
#[map]
pub static SCRATCH: LruHashMap<u64, [u8; SCRATCH_BYTES]> = LruHashMap::with_max_entries(1024, 0);
#[map]
pub static EMPTY_SCRATCH: Array<[u8; SCRATCH_BYTES]> = Array::with_max_entries(1, 0);
/// Bytes matched at once without the ring.
pub const SCRATCH_BYTES: usize = 256;

/// 1 where `bpf_get_current_pid_tgid` may be called from cgroup_skb (kernel >= 6.10). Set before loading; with 0 the
/// verifier removes the calls.
#[unsafe(no_mangle)]
pub static SKB_HAS_PID: Global<u32> = Global::new(0);
/// Bytes in the data ring at which user space is woken, whatever they are. Set before loading.
#[unsafe(no_mangle)]
pub static WAKE_AT: Global<u64> = Global::new(1 << 20);
/// Offset of `child_pid` in the sched_process_fork record, from the running kernel's tracefs.
#[unsafe(no_mangle)]
pub static FORK_CHILD_AT: Global<u32> = Global::new(44);

#[inline(always)]
pub fn count(index: u32, by: u64) {
    if let Some(slot) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the slot is a live, aligned map value. Atomic because a uprobe program can be preempted between
        // load and store; in assembly because `core` has no fetch_add for a target without compare-and-swap.
        unsafe { asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) slot, in(reg) by) };
    }
}

#[inline(always)]
pub fn settings() -> Option<&'static Settings> {
    SETTINGS.get(0)
}

#[inline(always)]
pub fn automaton() -> Option<&'static Automaton> {
    AUTOMATA.get(settings()?.active_automaton & 1)
}

#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: no arguments, no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// A control record with a fixed payload.
#[repr(C)]
struct Control<T> {
    header: Header,
    payload: T,
}

/// Sends a control record, or counts that it could not.
#[inline(always)]
pub fn control<T: 'static>(kind: u16, stream: u64, offset: u64, tgid: u32, tid: u32, payload: T) -> bool {
    let sent = send(&CONTROL, kind, stream, offset, tgid, tid, payload);
    if !sent {
        count(counter::CONTROL_FULL, 1);
    }
    sent
}

/// Tells of an end, in the data ring: behind the data that came before it.
#[inline(always)]
pub fn end(kind: u16, stream: u64, offset: u64, tgid: u32) {
    if !send(&DATA, kind, stream, offset, tgid, 0, ()) {
        count(counter::RING_FULL, 1);
    }
}

#[inline(always)]
fn send<T: 'static>(
    ring: &RingBuf,
    kind: u16,
    stream: u64,
    offset: u64,
    tgid: u32,
    tid: u32,
    payload: T,
) -> bool {
    let Some(mut entry) = ring.reserve::<Control<T>>(0) else {
        return false;
    };
    let header =
        Header { kind, flags: 0, len: size_of::<T>() as u32, stream, offset, time: now(), tgid, tid };
    entry.write(Control { header, payload });
    entry.submit(0);
    true
}
