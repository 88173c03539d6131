//! Cuts one write into records, running the matcher over each on the way.

use crate::maps::{DATA, EMPTY_SCRATCH, SCRATCH, SCRATCH_BYTES, WAKE_AT, automaton, count, now};
use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::bpf_loop;
use core::{
    arch::asm,
    ffi::{c_long, c_void},
};
use gnomon_common::{
    matcher::{Automaton, MatchState, flag},
    record::{DATA_CLASSES, Header, MAX_CHUNK, data_flag, kind},
    state::{Cursor, counter},
};

/// Pieces of at most [`MAX_CHUNK`] bytes that one write is followed for: 128 MiB.
pub const MAX_PIECES: u32 = 1 << 16;

#[repr(C)]
struct Record<const N: usize> {
    header: Header,
    data: [u8; N],
}

/// What the records of one write have in common.
pub struct Origin {
    pub stream: u64,
    pub tgid: u32,
}

/// Makes one record of the next piece. `offset` is the stream position of the cursor and moves with it; the matcher
/// runs only on egress. Returns false when the write is done or cannot go on.
///
/// `read(destination, source, length)` copies from user memory or from the segment.
#[inline(always)]
pub fn piece(
    cursor: &mut Cursor,
    offset: &mut u64,
    matcher: Option<&mut MatchState>,
    origin: &Origin,
    read: impl Fn(*mut u8, u64, u32) -> bool,
) -> bool {
    if cursor.left == 0 {
        return false;
    }
    let mut matcher = matcher;
    // One code path per class: `bpf_ringbuf_reserve` takes a constant.
    let had_room = if cursor.left <= DATA_CLASSES[0] as u32 {
        sized::<{ DATA_CLASSES[0] }>(cursor, offset, matcher.as_deref_mut(), origin, &read)
    } else if cursor.left <= DATA_CLASSES[1] as u32 {
        sized::<{ DATA_CLASSES[1] }>(cursor, offset, matcher.as_deref_mut(), origin, &read)
    } else {
        sized::<{ MAX_CHUNK }>(cursor, offset, matcher.as_deref_mut(), origin, &read)
    };
    if !had_room {
        unseen(cursor, offset, matcher, origin, &read);
    }
    cursor.left != 0
}

/// A piece for which the ring has no room. It is lost to user space, and counted; but it is matched all the same, or
/// flooding the ring would be a way out.
#[inline(always)]
fn unseen(
    cursor: &mut Cursor,
    offset: &mut u64,
    matcher: Option<&mut MatchState>,
    origin: &Origin,
    read: &impl Fn(*mut u8, u64, u32) -> bool,
) {
    if cursor.left == 0 {
        return;
    }
    let n = length(cursor.left, SCRATCH_BYTES as u32);
    count(counter::RING_FULL, 1);
    count(counter::RING_FULL_BYTES, n as u64);
    if let (Some(matcher), Some(scratch), Some(a)) = (matcher, scratch(origin.stream), automaton()) {
        // SAFETY: a live map value of SCRATCH_BYTES, used for this stream only, whose writes come one after another.
        unsafe {
            if read(scratch.cast(), cursor.source, n) {
                scan(a, matcher, &*scratch, n);
            } else {
                count(counter::READ_FAULT, 1);
            }
        }
    }
    advance(cursor, offset, n);
}

#[inline(always)]
fn scratch(stream: u64) -> Option<*mut [u8; SCRATCH_BYTES]> {
    if let Some(scratch) = SCRATCH.get_ptr_mut(stream) {
        return Some(scratch);
    }
    let _ = SCRATCH.insert(stream, EMPTY_SCRATCH.get(0)?, 0);
    SCRATCH.get_ptr_mut(stream)
}

/// The smaller of the two; `left` is not 0, `room` is a power of two. The mask changes nothing: it is there for the
/// verifier, which needs a range that does not start at 0, and before 6.8 learns none from a comparison with 0. The
/// subtraction is in assembly so that the compiler does not see as much.
#[inline(always)]
fn length(left: u32, room: u32) -> u32 {
    let mut n = u64::from(if left > room { room } else { left });
    // SAFETY: changes one register, as described.
    unsafe { asm!("{0} += -1", inout(reg) n, options(pure, nomem, nostack)) };
    (n as u32 & (room - 1)) + 1
}

#[inline(always)]
fn advance(cursor: &mut Cursor, offset: &mut u64, n: u32) {
    cursor.source += n as u64;
    cursor.left -= n;
    *offset += n as u64;
}

/// Returns whether the ring had room.

#[inline(always)]
fn sized<const N: usize>(
    cursor: &mut Cursor,
    offset: &mut u64,
    matcher: Option<&mut MatchState>,
    origin: &Origin,
    read: &impl Fn(*mut u8, u64, u32) -> bool,
) -> bool {
    let Some(mut entry) = DATA.reserve::<Record<N>>(0) else {
        return false;
    };
    let n = length(cursor.left, N as u32);
    let record = entry.as_mut_ptr();
    let mut urgent = false;
    // SAFETY: `record` is N + header bytes of ring memory that only this program sees until it is submitted.
    unsafe {
        if !read((&raw mut (*record).data).cast(), cursor.source, n) {
            entry.discard(0);
            count(counter::READ_FAULT, 1);
            *offset += cursor.left as u64;
            cursor.left = 0;
            return true;
        }
        let mut flags = cursor.flags;
        if let Some(matcher) = matcher {
            if let Some(a) = automaton() {
                scan(a, matcher, &(*record).data, n);
            }
            if matcher.flags & flag::UNSANCTIONED != 0 && cursor.enforce != 0 {
                flags |= data_flag::UNSANCTIONED;
            }
            urgent = matcher.flags & flag::MCP != 0;
        }
        (*record).header = Header {
            kind: kind::DATA,
            flags,
            len: n,
            stream: origin.stream,
            offset: *offset,
            time: now(),
            tgid: origin.tgid,
            tid: cursor.tid,
        };
    }
    entry.submit(wakeup(urgent));
    advance(cursor, offset, n);
    true
}

/// Whether user space is woken for a record. A wake-up is an interrupt to itself for the CPU, which under a hypervisor
/// costs more than all the rest; user space also looks on its own every few milliseconds. So it is woken for what
/// matters, and when the ring fills.
#[inline(always)]
fn wakeup(urgent: bool) -> u64 {
    if urgent || DATA.query(u64::from(BPF_RB_AVAIL_DATA)) > WAKE_AT.load() {
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        u64::from(BPF_RB_NO_WAKEUP)
    }
}

/// Bytes looked at together.
const BLOCK: usize = 64;

/// A piece on its way through the automaton.
struct Scan<const N: usize> {
    automaton: *const Automaton,
    data: *const [u8; N],
    n: u64,
    state: u64,
    flags: u64,
}

/// `Automaton::run`, in blocks: each is a call of its own for the verifier, which otherwise follows every block with and
/// without its short cut through all the others. `data` is 8-byte aligned, and readable to its end.
#[inline(always)]
fn scan<const N: usize>(a: &Automaton, m: &mut MatchState, data: &[u8; N], n: u32) {
    a.join(m, data[0]);
    let mut scan = Scan { automaton: a, data, n: n as u64, state: m.state as u64, flags: m.flags as u64 };
    // SAFETY: the callback runs before bpf_loop returns, while `scan` is alive.
    unsafe { bpf_loop((N / BLOCK) as u32, block::<N> as *mut c_void, (&raw mut scan).cast(), 0) };
    m.state = scan.state as u32;
    m.flags = scan.flags as u8;
}

unsafe extern "C" fn block<const N: usize>(index: u32, scan: *mut c_void) -> c_long {
    // SAFETY: bpf_loop passes the pointer that `scan` gave it, whose pointers are alive.
    let scan = unsafe { &mut *scan.cast::<Scan<N>>() };
    // SAFETY: as above.
    let a = unsafe { &*scan.automaton };
    let mut index = u64::from(index);
    // SAFETY: changes one register, which holds less anyway: for the verifier of 6.1, which keeps no bound otherwise.
    unsafe { asm!("{0} &= {1}", inout(reg) index, in(reg) N / BLOCK - 1, options(pure, nomem, nostack)) };
    let at = index as usize * BLOCK;
    if at as u64 >= scan.n {
        return 1;
    }
    // SAFETY: `at + BLOCK <= N`, and `data` is aligned for words.
    let words = unsafe { &*scan.data.cast::<u8>().add(at).cast::<[u64; BLOCK / 8]>() };
    if scan.state == a.idle as u64 {
        let mut stirred = 0;
        let mut k = 0;
        while k < BLOCK / 8 {
            stirred |= a.stirs(words[k]);
            k += 1;
        }
        // Also in the last block, whose end is not data: what is there can only make it look stirred.
        if stirred == 0 {
            return 0;
        }
    }
    let mut state = scan.state as u32;
    let mut flags = scan.flags as u8;
    let left = scan.n - at as u64;
    let mut k = 0u64;
    while k < BLOCK as u64 {
        if k >= left {
            break;
        }
        // SAFETY: `k < BLOCK`.
        let byte = unsafe { *scan.data.cast::<u8>().add(at + k as usize) };
        state = a.step(state, byte);
        flags = a.enter(state, flags);
        k += 1;
    }
    scan.state = state as u64;
    scan.flags = flags as u64;
    0
}
