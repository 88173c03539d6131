//! Processes: read from `/proc` when they first matter, and remembered after they are gone.

use super::{tree::Tree, users::Users};
use gnomon_proto::v1::Process;
use std::{collections::HashMap, fs, os::unix::fs::MetadataExt as _, path::PathBuf};

/// Parents that are named.
const MAX_ANCESTORS: usize = 16;
/// Processes remembered; all but the newest half go when there are more.
const MAX_PROCESSES: usize = 8192;

/// Known processes, by id.
#[derive(Debug, Default)]
pub struct Processes {
    known: HashMap<u32, Known>,
    tree: Tree,
    users: Users,
    clock: u64,
}

#[derive(Debug)]
struct Known {
    process: Process,
    used: u64,
}

impl Processes {
    /// What is known of a process. One that is gone and was never seen has a number and nothing else.
    pub fn get(&mut self, pid: u32) -> Process {
        self.clock += 1;
        let clock = self.clock;
        if let Some(known) = self.known.get_mut(&pid) {
            known.used = clock;
            return known.process.clone();
        }
        let process = read(pid, &mut self.users).unwrap_or_else(|| self.remembered(pid, 0, ""));
        self.insert(pid, process.clone());
        process
    }

    /// Reads a process while it is alive, with what the kernel saw of it in case it is not.
    pub fn note(&mut self, pid: u32, uid: u32, comm: &str) {
        if self.known.get(&pid).is_some_and(|k| !k.process.exe.is_empty()) {
            return;
        }
        let process = read(pid, &mut self.users).unwrap_or_else(|| self.remembered(pid, uid, comm));
        self.insert(pid, process);
    }

    /// A process or thread was created.
    pub fn forked(&mut self, parent: u32, child: u32) {
        self.known.remove(&child);
        self.tree.forked(parent, child);
    }

    /// A process runs another program now.
    pub fn executed(&mut self, pid: u32, file: String) {
        self.known.remove(&pid);
        self.tree.executed(pid, file);
    }

    /// A process that is gone, from what the kernel told.
    fn remembered(&mut self, pid: u32, uid: u32, comm: &str) -> Process {
        let (parent, file) = self.tree.get(pid);
        Process {
            pid,
            exe: file.to_owned(),
            comm: comm.to_owned(),
            uid,
            user: self.users.name(uid),
            parent_pid: parent,
            ancestors: ancestors(parent),
            ..Process::default()
        }
    }

    fn insert(&mut self, pid: u32, process: Process) {
        if self.known.len() >= MAX_PROCESSES {
            let mut ages: Vec<u64> = self.known.values().map(|k| k.used).collect();
            let half = ages.len() / 2;
            let (_, median, _) = ages.select_nth_unstable(half);
            let median = *median;
            self.known.retain(|_, k| k.used > median);
        }
        self.known.insert(pid, Known { process, used: self.clock });
    }
}

fn read(pid: u32, users: &mut Users) -> Option<Process> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let stat = Stat::parse(&fs::read_to_string(dir.join("stat")).ok()?)?;
    let uid = fs::metadata(&dir).ok()?.uid();
    let cgroup = fs::read_to_string(dir.join("cgroup")).unwrap_or_default();
    Some(Process {
        pid,
        start_ticks: stat.start_ticks,
        exe: executable(pid),
        comm: stat.comm,
        uid,
        user: users.name(uid),
        parent_pid: stat.parent,
        ancestors: ancestors(stat.parent),
        cgroup: cgroup_v2(&cgroup).to_owned(),
    })
}

/// Executable of a process; the path ends in " (deleted)" when the file was replaced, which a person should see.
fn executable(pid: u32) -> String {
    fs::read_link(format!("/proc/{pid}/exe")).map(|p| p.to_string_lossy().into_owned()).unwrap_or_default()
}

fn ancestors(mut pid: u32) -> Vec<String> {
    let mut chain = Vec::new();
    while pid > 1 && chain.len() < MAX_ANCESTORS {
        let exe = executable(pid);
        if exe.is_empty() {
            break;
        }
        chain.push(exe);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        pid = stat.and_then(|s| Stat::parse(&s)).map_or(0, |s| s.parent);
    }
    chain
}

struct Stat {
    comm: String,
    parent: u32,
    start_ticks: u64,
}

impl Stat {
    /// proc_pid_stat(5). The name is in parentheses and may hold any character, also parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let (before, after) = stat.rsplit_once(')')?;
        let comm = before.split_once('(')?.1.to_owned();
        let mut fields = after.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let start_ticks = fields.nth(17)?.parse().ok()?;
        Some(Self { comm, parent, start_ticks })
    }
}

/// The path in the v2 hierarchy: the line whose hierarchy is 0 (cgroups(7)).
fn cgroup_v2(text: &str) -> &str {
    text.lines().find_map(|l| l.strip_prefix("0::")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_hostile_names() {
        let stat = "42 (a) b (x)) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1 2";
        let stat = Stat::parse(stat).unwrap();
        assert_eq!((stat.comm.as_str(), stat.parent, stat.start_ticks), ("a) b (x)", 7, 123_456));
        assert!(Stat::parse("").is_none());
        assert!(Stat::parse("1 (x) S").is_none());
    }

    #[test]
    fn reads_this_process() {
        let mut processes = Processes::default();
        let me = processes.get(std::process::id());
        assert_eq!(me.exe, std::env::current_exe().unwrap().to_string_lossy());
        assert_eq!(me.parent_pid, std::os::unix::process::parent_id());
        assert!(me.start_ticks > 0);
        let gone = processes.get(u32::MAX - 1);
        assert_eq!((gone.pid, gone.exe.as_str()), (u32::MAX - 1, ""));
        processes.forked(me.pid, u32::MAX - 2);
        processes.executed(u32::MAX - 2, "/usr/bin/curl".into());
        processes.note(u32::MAX - 2, 0, "curl");
        let short = processes.get(u32::MAX - 2);
        assert_eq!((short.exe.as_str(), short.parent_pid), ("/usr/bin/curl", me.pid));
        assert_eq!(short.ancestors[0], me.exe);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut processes = Processes::default();
        for pid in 0..3 * MAX_PROCESSES as u32 {
            processes.get(u32::MAX - pid);
        }
        assert!(processes.known.len() <= MAX_PROCESSES);
    }
}
