//! Processes that had outbound TCP connections before the agent started.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt as _,
};

const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

/// Processes, in every network namespace, that hold an established TCP socket which did not come from a listening one.
pub fn connected_processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut namespaces: HashMap<u64, Vec<u32>> = HashMap::new();
    for pid in entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok()) {
        if let Ok(m) = fs::metadata(format!("/proc/{pid}/ns/net")) {
            namespaces.entry(m.ino()).or_default().push(pid);
        }
    }
    let mut connected = Vec::new();
    for pids in namespaces.values() {
        let Some(first) = pids.first() else { continue };
        let tables: String = ["tcp", "tcp6"]
            .iter()
            .filter_map(|t| fs::read_to_string(format!("/proc/{first}/net/{t}")).ok())
            .collect();
        let sockets = outbound(&tables);
        connected.extend(pids.iter().copied().filter(|pid| !sockets.is_empty() && holds(*pid, &sockets)));
    }
    connected
}

/// Inodes of the established sockets whose local port nobody listens on (proc_pid_net(5), /proc/net/tcp).
fn outbound(tables: &str) -> HashSet<u64> {
    let rows = || {
        tables.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let port = fields.get(1)?.rsplit_once(':')?.1;
            Some((port.to_owned(), *fields.get(3)?, fields.get(9)?.parse::<u64>().ok()?))
        })
    };
    let listening: HashSet<String> = rows().filter(|r| r.1 == LISTEN).map(|r| r.0).collect();
    rows().filter(|r| r.1 == ESTABLISHED && !listening.contains(&r.0)).map(|r| r.2).collect()
}

fn holds(pid: u32, sockets: &HashSet<u64>) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    entries.flatten().any(|entry| {
        fs::read_link(entry.path()).is_ok_and(|target| {
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|t| t.strip_suffix(']'));
            inode.and_then(|i| i.parse().ok()).is_some_and(|i: u64| sockets.contains(&i))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn accepted_sockets_are_not_outbound() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1\n\
             1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 12 1\n\
             2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 13 1\n";
        assert_eq!(outbound(table), HashSet::from([13]));
    }

    #[test]
    fn finds_this_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(connected_processes().contains(&std::process::id()));
    }
}
