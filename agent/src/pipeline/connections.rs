//! Where sockets go, by cookie.

use gnomon_common::record::Endpoint;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// Connections remembered. They are removed when they close; more than this are open only on very busy hosts.
const MAX: usize = 65_536;

/// Remote ends by socket cookie.
#[derive(Debug, Default)]
pub(super) struct Connections(HashMap<u64, SocketAddr>);

impl Connections {
    pub(super) fn insert(&mut self, cookie: u64, remote: &Endpoint) {
        let Some(address) = address(remote) else { return };
        if self.0.len() >= MAX && !self.0.contains_key(&cookie) {
            // Cookies grow: the lower half is the older one.
            let mut cookies: Vec<u64> = self.0.keys().copied().collect();
            let half = cookies.len() / 2;
            let (_, median, _) = cookies.select_nth_unstable(half);
            let median = *median;
            self.0.retain(|c, _| *c > median);
        }
        self.0.insert(cookie, address);
    }

    pub(super) fn get(&self, cookie: u64) -> Option<SocketAddr> {
        self.0.get(&cookie).copied()
    }

    pub(super) fn remove(&mut self, cookie: u64) {
        self.0.remove(&cookie);
    }
}

/// None for an endpoint that the kernel did not fill in. IPv4 in IPv6 (`::ffff:a.b.c.d`) becomes IPv4: it is the same
/// server.
pub(super) fn address(e: &Endpoint) -> Option<SocketAddr> {
    let mut bytes = [0; 16];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(e.address) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    let ip = match e.version {
        4 => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
        6 => Ipv6Addr::from(bytes).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, e.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let v4 = Endpoint {
            address: [u32::from_ne_bytes([127, 0, 0, 1]), 0, 0, 0],
            port: 80,
            version: 4,
            reserved: 0,
        };
        assert_eq!(address(&v4).unwrap().to_string(), "127.0.0.1:80");
        let mut words = [0; 4];
        let mapped = "::ffff:10.0.0.1".parse::<Ipv6Addr>().unwrap().octets();
        for (word, chunk) in words.iter_mut().zip(mapped.chunks_exact(4)) {
            *word = u32::from_ne_bytes(chunk.try_into().unwrap());
        }
        let v6 = Endpoint { address: words, port: 443, version: 6, reserved: 0 };
        assert_eq!(address(&v6).unwrap().to_string(), "10.0.0.1:443");
        assert!(address(&Endpoint::default()).is_none());
    }
}
