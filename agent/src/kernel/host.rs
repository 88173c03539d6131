//! What this kernel and its mounts offer. Read once at start, and by `doctor`.

use super::KernelError;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const BPFFS: &str = "/sys/fs/bpf";
const TRACEFS: &str = "/sys/kernel/tracing";

/// Mounts bpffs and tracefs where the kernel documentation says they belong, if they are not mounted anywhere. Returns
/// what failed, with the feature that is lost.
pub fn mount_filesystems() -> Vec<(&'static str, KernelError)> {
    let mut failed = Vec::new();
    for (fstype, at, feature) in
        [("bpf", BPFFS, "pinned programs (none in this version)"), ("tracefs", TRACEFS, "process tree")]
    {
        if mounted(fstype).is_some() {
            continue;
        }
        match rustix::mount::mount("none", at, fstype, rustix::mount::MountFlags::empty(), None) {
            Ok(()) => tracing::info!(fstype, at, "mounted"),
            Err(e) => failed.push((feature, KernelError::Mount { what: fstype, at, source: e.into() })),
        }
    }
    failed
}

/// Where a file system of this type is mounted, from `/proc/mounts`.
pub fn mounted(fstype: &str) -> Option<PathBuf> {
    parse_mounts(&fs::read_to_string("/proc/mounts").ok()?, fstype)
}

fn parse_mounts(mounts: &str, fstype: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let at = fields.next()?;
        // Octal escapes of proc_mounts(5): only a blank occurs in practice.
        (fields.next()? == fstype).then(|| PathBuf::from(at.replace("\\040", " ")))
    })
}

/// The root of the cgroup v2 hierarchy. On hybrid layouts it is not `/sys/fs/cgroup`.
pub fn cgroup_root() -> Result<PathBuf, KernelError> {
    mounted("cgroup2").ok_or(KernelError::NoCgroup)
}

/// Offset of a field in a tracepoint's record, from the running kernel's format file.
pub fn tracepoint_offset(category: &str, name: &str, field: &str) -> Option<u32> {
    let root = mounted("tracefs").unwrap_or_else(|| PathBuf::from(TRACEFS));
    let format = fs::read_to_string(root.join("events").join(category).join(name).join("format")).ok()?;
    parse_offset(&format, field)
}

fn parse_offset(format: &str, field: &str) -> Option<u32> {
    format.lines().find_map(|line| {
        let (declaration, rest) = line.trim().strip_prefix("field:")?.split_once(';')?;
        let name = declaration.rsplit([' ', '\t']).next()?.split('[').next()?;
        if name != field {
            return None;
        }
        rest.split_once("offset:")?.1.split(';').next()?.trim().parse().ok()
    })
}

/// The running kernel's release as (major, minor).
pub fn kernel_version() -> Option<(u32, u32)> {
    parse_version(rustix::system::uname().release().to_str().ok()?)
}

fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether `bpf_get_current_pid_tgid` may be called from cgroup_skb programs: kernel >= 6.10 (commit 7d6e2caf0ad2).
/// There is no probe for one helper of one program type that is cheaper than asking for the version.
pub fn skb_has_pid() -> bool {
    kernel_version().is_some_and(|v| v >= (6, 10))
}

/// Whether the kernel describes its own types.
pub fn has_btf() -> bool {
    Path::new("/sys/kernel/btf/vmlinux").exists()
}

/// Capabilities (capabilities(7)) by number.
pub mod capability {
    /// What the agent needs, and what for.
    pub const NEEDED: &[(u32, &str)] = &[
        (39, "CAP_BPF (load programs)"),
        (38, "CAP_PERFMON (read user memory in programs)"),
        (12, "CAP_NET_ADMIN (cgroup hooks, ending sockets)"),
        (21, "CAP_SYS_ADMIN (probes by path, network namespaces, mounts)"),
        (19, "CAP_SYS_PTRACE (executables and maps of other users)"),
        (2, "CAP_DAC_READ_SEARCH (files of other users)"),
        (1, "CAP_DAC_OVERRIDE (state and events in folders of other users)"),
        (24, "CAP_SYS_RESOURCE (locked memory of maps before kernel 5.11)"),
    ];
}

/// Gives up every capability that the agent does not need, for this thread and those it starts, and the way to get them
/// back by running another program. What is missing from the start is not an error here: `doctor` tells of it.
pub fn drop_privileges() -> io::Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};
    let needed = capability::NEEDED
        .iter()
        .fold(CapabilitySet::empty(), |all, (bit, _)| all | CapabilitySet::from_bits_retain(1 << bit));
    let now = capabilities(None)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: now.effective & needed,
            permitted: now.permitted & needed,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    set_no_new_privs(true)?;
    Ok(())
}

/// Allows as many descriptors as the host permits: each probe is one, and the usual 1,024 are few on a host with
/// containers.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files stays");
    }
}

/// Effective capabilities of this process, as the bit mask of `/proc/self/status`.
pub fn effective_capabilities() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    status
        .lines()
        .find_map(|l| u64::from_str_radix(l.strip_prefix("CapEff:")?.trim(), 16).ok())
        .ok_or_else(|| io::Error::other("no CapEff in /proc/self/status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_hybrid_cgroup_mount() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/uni\\040fied cgroup2 rw 0 0\n";
        assert_eq!(parse_mounts(mounts, "cgroup2"), Some(PathBuf::from("/sys/fs/cgroup/uni fied")));
        assert_eq!(parse_mounts(mounts, "bpf"), None);
    }

    #[test]
    fn reads_a_format_file() {
        let format = "name: sched_process_fork\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\n\n\
                      \tfield:char parent_comm[16];\toffset:8;\tsize:16;\n\tfield:pid_t child_pid;\toffset:44;\tsize:4;\n";
        assert_eq!(parse_offset(format, "child_pid"), Some(44));
        assert_eq!(parse_offset(format, "parent_comm"), Some(8));
        assert_eq!(parse_offset(format, "pid"), None);
    }

    #[test]
    fn reads_releases() {
        assert_eq!(parse_version("6.1.0-31-cloud-amd64"), Some((6, 1)));
        assert_eq!(parse_version("6.18.44"), Some((6, 18)));
        assert_eq!(parse_version("next"), None);
    }
}
