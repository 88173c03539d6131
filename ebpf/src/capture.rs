//! Cuts one write into records, running the matcher over each on the way.

use crate::maps::{DATA, automaton, count, now};
use gnomon_common::{
    matcher::{Automaton, MatchState, flag},
    record::{DATA_CLASSES, Header, MAX_CHUNK, data_flag, kind},
    state::{Cursor, counter},
};

/// Pieces of at most [`MAX_CHUNK`] bytes that one write is followed for: 1 MiB.
pub const MAX_PIECES: u32 = 512;

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
    // One code path per class: `bpf_ringbuf_reserve` takes a constant.
    if cursor.left <= DATA_CLASSES[0] as u32 {
        sized::<{ DATA_CLASSES[0] }>(cursor, offset, matcher, origin, read)
    } else if cursor.left <= DATA_CLASSES[1] as u32 {
        sized::<{ DATA_CLASSES[1] }>(cursor, offset, matcher, origin, read)
    } else {
        sized::<{ MAX_CHUNK }>(cursor, offset, matcher, origin, read)
    }
}

#[inline(always)]
fn sized<const N: usize>(
    cursor: &mut Cursor,
    offset: &mut u64,
    matcher: Option<&mut MatchState>,
    origin: &Origin,
    read: impl Fn(*mut u8, u64, u32) -> bool,
) -> bool {
    let Some(mut entry) = DATA.reserve::<Record<N>>(0) else {
        count(counter::RING_FULL, 1);
        count(counter::RING_FULL_BYTES, cursor.left as u64);
        *offset += cursor.left as u64;
        cursor.left = 0;
        cursor.failed = 1;
        return false;
    };
    let mut n = cursor.left;
    if n > N as u32 {
        n = N as u32;
    }
    if n == 0 {
        // Never, but the helpers refuse a size that the verifier thinks may be 0.
        entry.discard(0);
        return false;
    }
    let record = entry.as_mut_ptr();
    // SAFETY: `record` is N + header bytes of ring memory that only this program sees until it is submitted.
    unsafe {
        if !read((&raw mut (*record).data).cast(), cursor.source, n) {
            entry.discard(0);
            count(counter::READ_FAULT, 1);
            *offset += cursor.left as u64;
            cursor.left = 0;
            cursor.failed = 1;
            return false;
        }
        let mut flags = cursor.flags;
        if let Some(matcher) = matcher {
            if let Some(a) = automaton() {
                scan(a, matcher, &(*record).data, n);
            }
            if matcher.flags & flag::UNSANCTIONED != 0 {
                flags |= data_flag::UNSANCTIONED;
            }
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
            skipped: 0,
            reserved: 0,
        };
    }
    entry.submit(0);
    cursor.source += n as u64;
    cursor.left -= n;
    *offset += n as u64;
    cursor.left != 0
}

/// The loop of `Automaton::run`, written so that the verifier sees its bound.
#[inline(always)]
fn scan<const N: usize>(a: &Automaton, m: &mut MatchState, data: &[u8; N], n: u32) {
    let mut state = m.state;
    let mut flags = m.flags;
    if m.generation != a.generation {
        state = a.start;
        m.generation = a.generation;
    }
    let mut i = 0usize;
    while i < N {
        if i >= n as usize {
            break;
        }
        state = a.step(state, data[i]);
        flags = a.enter(state, flags);
        i += 1;
    }
    m.state = state;
    m.flags = flags;
}
