//! `gnomon-agent doctor`: what this host can see and stop, what it cannot, and how to mend it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use serde::Serialize;

use super::DoctorArgs;
use crate::kernel::host::{self, capability};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// What was found.
    found: String,
    /// Which feature is lost without it; empty when nothing is.
    #[serde(skip_serializing_if = "str::is_empty")]
    lost: &'static str,
    /// What to do about it.
    #[serde(skip_serializing_if = "str::is_empty")]
    mend: &'static str,
}

#[derive(Debug, Serialize)]
struct Report {
    /// `prevent-by-drop`, or `observe` when segments cannot be dropped here.
    level: &'static str,
    kernel: String,
    checks: Vec<Check>,
    /// Part of this version, whatever the host.
    not_built_yet: &'static [&'static str],
}

/// What no host gets from this version, so that nobody looks for it.
const NOT_BUILT_YET: &[&str] = &[
    "stdio transport (pipes and socket pairs)",
    "HTTP/2, WebSocket, compressed bodies",
    "TLS of Go, rustls, BoringSSL without symbols (Bun, Electron), GnuTLS, NSS, Java",
    "denial inside the system call (fmod_ret, LSM) and at SSL_write (registers)",
    "enforcement that stays when the agent is gone: it ends with the agent, connections go on",
    "TLS 1.2 with CBC ciphers: seen, but a denial is not carried out",
];

/// Exit code 0 when this host can prevent, 1 when it cannot.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let report = examine();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(if report.level == "observe" { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn examine() -> Report {
    let checks = vec![
        programs(),
        privileges(),
        kernel(),
        btf(),
        cgroup(),
        filesystem("bpf"),
        filesystem("tracefs"),
        attribution(),
    ];
    let prevents = checks.iter().all(|c| c.ok || !c.lost.contains("prevention"));
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    Report {
        level: if prevents { "prevent-by-drop" } else { "observe" },
        kernel: release,
        checks,
        not_built_yet: NOT_BUILT_YET,
    }
}

fn programs() -> Check {
    let ok = crate::kernel::has_programs();
    Check {
        name: "kernel programs in this build",
        ok,
        found: if ok { "yes" } else { "no" }.into(),
        lost: if ok { "" } else { "capture and prevention" },
        mend: if ok { "" } else { "build with `cargo xtask build`" },
    }
}

fn privileges() -> Check {
    let missing = host::effective_capabilities()
        .map(|have| {
            capability::NEEDED.iter().filter(|(bit, _)| have & (1 << bit) == 0).map(|(_, n)| *n).collect()
        })
        .unwrap_or_else(|_| vec!["/proc/self/status"]);
    let ok = missing.is_empty();
    Check {
        name: "privileges",
        ok,
        found: if ok { "all that is needed".into() } else { format!("missing {}", missing.join(", ")) },
        lost: if ok { "" } else { "capture and prevention" },
        mend: if ok { "" } else { "run as root" },
    }
}

fn kernel() -> Check {
    let version = host::kernel_version();
    let ok = version.is_some_and(|v| v >= (5, 17));
    Check {
        name: "kernel version",
        ok,
        found: version.map_or_else(|| "unknown".into(), |(major, minor)| format!("{major}.{minor}")),
        lost: if ok { "" } else { "capture and prevention: the programs need bpf_loop" },
        mend: if ok { "" } else { "kernel 5.17 or later" },
    }
}

fn btf() -> Check {
    let ok = host::has_btf();
    Check {
        name: "BTF",
        ok,
        found: if ok { "/sys/kernel/btf/vmlinux" } else { "none" }.into(),
        lost: if ok { "" } else { "callbacks in kernel programs, so capture and prevention" },
        mend: if ok { "" } else { "a kernel with CONFIG_DEBUG_INFO_BTF=y" },
    }
}

fn cgroup() -> Check {
    let found = host::mounted("cgroup2");
    Check {
        name: "cgroup v2",
        ok: found.is_some(),
        lost: if found.is_some() { "" } else { "plaintext capture and prevention" },
        mend: if found.is_some() {
            ""
        } else {
            "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified"
        },
        found: found.map_or_else(|| "not mounted".into(), |p| p.display().to_string()),
    }
}

fn filesystem(fstype: &'static str) -> Check {
    let found = host::mounted(fstype);
    Check {
        name: if fstype == "bpf" { "bpffs" } else { "tracefs" },
        ok: true,
        found: found
            .map_or_else(|| "not mounted; `gnomon-agent run` mounts it".into(), |p| p.display().to_string()),
        lost: "",
        mend: "",
    }
}

fn attribution() -> Check {
    let ok = host::skb_has_pid();
    Check {
        name: "process of a segment",
        ok,
        found: if ok {
            "known to the programs"
        } else {
            "known by the socket's owner only (kernel before 6.10)"
        }
        .into(),
        lost: if ok { "" } else { "TLS denial on sockets handed from one process to another" },
        mend: if ok { "" } else { "kernel 6.10 or later" },
    }
}

fn print(report: &Report) {
    println!("This host: {} (kernel {})\n", report.level, report.kernel);
    for check in &report.checks {
        println!("  {} {}: {}", if check.ok { "ok  " } else { "LACK" }, check.name, check.found);
        if !check.ok {
            println!("         lost: {}", check.lost);
            println!("         mend: {}", check.mend);
        }
    }
    println!("\nNot built yet, on any host:");
    for item in report.not_built_yet {
        println!("  - {item}");
    }
}
