//! Ends a socket, so that the application behind it sees an error at once instead of waiting for a time-out.

use rustix::{
    fd::{AsFd as _, OwnedFd},
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink},
    process::{Pid, PidfdFlags, PidfdGetfdFlags},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use std::{fs, io, os::unix::fs::MetadataExt as _};

/// How a socket was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By the kernel, on request (SOCK_DESTROY): the peer gets a reset, the owner ECONNABORTED.
    Destroyed,
    /// Through a duplicate of the owner's descriptor: the queue is gone, the peer gets a reset.
    Disconnected,
    /// It was gone already.
    Gone,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const IPPROTO_TCP: u8 = 6;
/// `struct nlmsghdr`, `struct inet_diag_req_v2`, `struct inet_diag_sockid` of the UAPI.
const NLMSG_HEADER: usize = 16;
const REQUEST: usize = NLMSG_HEADER + 8 + SOCKET_ID;
const SOCKET_ID: usize = 48;
/// Netlink answers come in pages; the kernel never makes one larger than this.
const BUFFER: usize = 32 << 10;

/// Ends the socket with this cookie, which process `pid` uses and which is connected to `port` (0: not known,
/// which makes the search longer). Bytes that it has queued are not sent.
pub fn end_socket(pid: u32, cookie: u64, port: u16) -> io::Result<Ending> {
    // Sockets are listed per network namespace, and a thread that enters one does not come back.
    let result = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("end-socket".into())
            .spawn_scoped(scope, || {
                enter_network(pid)?;
                destroy(cookie, port)
            })?
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that ends sockets panicked")))
    });
    match result {
        Ok(ending) => Ok(ending),
        // A kernel without CONFIG_INET_DIAG_DESTROY.
        Err(first) => disconnect(pid, cookie).map_err(|second| {
            io::Error::new(
                second.kind(),
                format!("SOCK_DESTROY: {first}; through the owner's descriptor: {second}"),
            )
        }),
    }
}

fn enter_network(pid: u32) -> io::Result<()> {
    let path = format!("/proc/{pid}/ns/net");
    // A process that ended has no namespace any more; its socket is then most likely in ours.
    let Ok(theirs) = fs::metadata(&path) else { return Ok(()) };
    let ours = fs::metadata("/proc/self/ns/net")?;
    if (theirs.dev(), theirs.ino()) != (ours.dev(), ours.ino()) {
        let namespace = fs::File::open(&path)?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    }
    Ok(())
}

fn destroy(cookie: u64, port: u16) -> io::Result<Ending> {
    let netlink = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        let Some(id) = find(&netlink, family, cookie, port)? else { continue };
        let request = request(SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, family, &id);
        rustix::net::send(&netlink, &request, SendFlags::empty())?;
        let mut buffer = vec![0; BUFFER];
        let (n, _) = rustix::net::recv(&netlink, buffer.as_mut_slice(), RecvFlags::empty())?;
        return match messages(&buffer[..n]).next() {
            Some((NLMSG_ERROR, body)) => match word(body, 0).map(|e| e as i32) {
                Some(0) => Ok(Ending::Destroyed),
                Some(e) if -e == libc::ENOENT => Ok(Ending::Gone),
                Some(e) => Err(io::Error::from_raw_os_error(-e)),
                None => Err(io::ErrorKind::InvalidData.into()),
            },
            _ => Err(io::ErrorKind::InvalidData.into()),
        };
    }
    Ok(Ending::Gone)
}

/// The kernel's id of the socket: it wants the addresses too, which the cookie alone does not give.
fn find(
    netlink: &OwnedFd,
    family: AddressFamily,
    cookie: u64,
    port: u16,
) -> io::Result<Option<[u8; SOCKET_ID]>> {
    let mut filter = [0; SOCKET_ID];
    filter[2..4].copy_from_slice(&port.to_be_bytes());
    let request = request(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, family, &filter);
    rustix::net::send(netlink, &request, SendFlags::empty())?;
    let mut found = None;
    let mut buffer = vec![0; BUFFER];
    loop {
        let (n, _) = rustix::net::recv(netlink, buffer.as_mut_slice(), RecvFlags::empty())?;
        for (kind, body) in messages(&buffer[..n]) {
            match kind {
                NLMSG_DONE => return Ok(found),
                NLMSG_ERROR => {
                    let e = word(body, 0).map_or(0, |e| -(e as i32));
                    return Err(io::Error::from_raw_os_error(e));
                }
                // struct inet_diag_msg: four bytes, then the id, whose last eight bytes are the cookie.
                _ => {
                    let Some(id) = body.get(4..4 + SOCKET_ID) else { continue };
                    let theirs = (word(id, 40), word(id, 44));
                    if theirs == (Some(cookie as u32), Some((cookie >> 32) as u32)) {
                        found = id.try_into().ok();
                    }
                }
            }
        }
    }
}

fn request(kind: u16, flags: u16, family: AddressFamily, id: &[u8; SOCKET_ID]) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    request[0..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&kind.to_ne_bytes());
    request[6..8].copy_from_slice(&flags.to_ne_bytes());
    request[16] = family.as_raw() as u8;
    request[17] = IPPROTO_TCP;
    // All states.
    request[20..24].copy_from_slice(&u32::MAX.to_ne_bytes());
    request[24..].copy_from_slice(id);
    request
}

/// Kind and body of the messages in one datagram (netlink(7)).
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = word(bytes, 0)? as usize;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let body = bytes.get(NLMSG_HEADER..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Takes a duplicate of the owner's descriptor and dissolves the connection (`connect` to AF_UNSPEC, connect(2)).
fn disconnect(pid: u32, cookie: u64) -> io::Result<Ending> {
    let process = Pid::from_raw(pid as i32).ok_or(io::ErrorKind::InvalidInput)?;
    let pidfd = rustix::process::pidfd_open(process, PidfdFlags::empty())?;
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let is_socket = fs::read_link(entry.path()).is_ok_and(|t| t.to_string_lossy().starts_with("socket:"));
        let Some(number) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        if !is_socket {
            continue;
        }
        let Ok(socket) = rustix::process::pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()) else {
            continue;
        };
        if rustix::net::sockopt::socket_cookie(&socket).is_ok_and(|c| c == cookie) {
            rustix::net::connect_unspec(&socket)?;
            return Ok(Ending::Disconnected);
        }
    }
    Ok(Ending::Gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
    };

    fn pair() -> (TcpStream, TcpStream, u64, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        let cookie = rustix::net::sockopt::socket_cookie(&client).unwrap();
        (client, server, cookie, address.port())
    }

    #[test]
    fn the_owners_descriptor_is_found_and_dissolved() {
        let (mut client, mut server, cookie, _) = pair();
        assert_eq!(disconnect(std::process::id(), cookie).unwrap(), Ending::Disconnected);
        assert!(client.write_all(b"x").is_err());
        let mut buffer = [0; 1];
        assert!(server.read(&mut buffer).map_or(true, |n| n == 0));
        assert_eq!(disconnect(std::process::id(), cookie + 1_000_000).unwrap(), Ending::Gone);
    }

    #[test]
    fn the_kernel_destroys_by_cookie() {
        let (mut client, _server, cookie, port) = pair();
        match destroy(cookie, port) {
            Ok(ending) => {
                assert_eq!(ending, Ending::Destroyed);
                assert_eq!(client.write_all(b"x").unwrap_err().raw_os_error(), Some(libc::ECONNABORTED));
                assert_eq!(destroy(cookie, port).unwrap(), Ending::Gone);
            }
            // Not root, or a kernel without CONFIG_INET_DIAG_DESTROY: then the other way has to do.
            Err(e) => assert!(
                matches!(e.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::EINVAL)),
                "{e}"
            ),
        }
    }

    #[test]
    fn hostile_netlink_is_harmless() {
        assert_eq!(messages(&[0; 16]).count(), 0);
        assert_eq!(messages(&[255; 40]).count(), 0);
        assert_eq!(messages(&[1, 2, 3]).count(), 0);
    }
}
