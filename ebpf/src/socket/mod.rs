//! TCP sockets: who owns them, what they carry in clear, and the denial of what must not leave.

mod connect;
mod egress;
mod ingress;
mod records;
mod segment;

use crate::maps::{EMPTY_SOCKET, SOCKETS, count};
use gnomon_common::state::{Socket, counter};

/// The state of a socket, made when it is not there.
#[inline(always)]
fn socket(cookie: u64) -> Option<&'static mut Socket> {
    if let Some(s) = SOCKETS.get_ptr_mut(cookie) {
        // SAFETY: a live map value; the programs that touch one socket's egress half are serialised by its lock,
        // and the ingress half has fields of its own.
        return Some(unsafe { &mut *s });
    }
    if SOCKETS.insert(cookie, EMPTY_SOCKET.get(0)?, 0).is_err() {
        count(counter::MAP_FULL, 1);
        return None;
    }
    // SAFETY: as above.
    SOCKETS.get_ptr_mut(cookie).map(|s| unsafe { &mut *s })
}
