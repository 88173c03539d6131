//! Loads the object and attaches what does not depend on processes: cgroup hooks and tracepoints.

use super::{KernelError, host, maps::Maps, object::object, probes::Programs, ring::Rings};
use aya::{
    Ebpf, EbpfLoader,
    programs::{
        CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr, Program, ProgramError, SockOps,
        TracePoint, UProbe,
    },
};
use std::fs::File;

/// The part of the data ring at which user space is woken for records that are not urgent.
const WAKE_SHARE: u64 = 8;

/// How the programs are to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Size of the data ring in bytes: a power of two, at least one page.
    pub ring_bytes: u32,
}

/// The programs in the kernel. Dropping it detaches everything it attached.
#[derive(Debug)]
pub struct Kernel {
    ebpf: Ebpf,
    lacks: Vec<String>,
    prevents: bool,
}

impl Kernel {
    /// Mounts what is missing, loads, and attaches the cgroup hooks and tracepoints. A hook that this kernel refuses
    /// costs the feature, not the agent: see [`Kernel::lacks`].
    pub fn load(options: &Options) -> Result<Self, KernelError> {
        let unmounted = host::mount_filesystems();
        let skb_has_pid = u32::from(host::skb_has_pid());
        let child_at = host::tracepoint_offset("sched", "sched_process_fork", "child_pid").unwrap_or(44);
        // Off, the verifier removes the log statements from the programs.
        let diagnostics = tracing::enabled!(target: "gnomon", tracing::Level::DEBUG);
        let log_level = if diagnostics { aya_log::Level::Debug as u8 } else { 0 };
        let wake_at = u64::from(options.ring_bytes) / WAKE_SHARE;
        let ebpf = EbpfLoader::new()
            .map_max_entries("DATA", options.ring_bytes)
            .override_global(aya_log::LEVEL, &log_level, false)
            .override_global("SKB_HAS_PID", &skb_has_pid, true)
            .override_global("WAKE_AT", &wake_at, true)
            .override_global("FORK_CHILD_AT", &child_at, true)
            .load(object()?)?;
        let mut kernel = Self { ebpf, lacks: Vec::new(), prevents: false };
        for (feature, error) in unmounted {
            kernel.lack(feature, &error);
        }
        kernel.attach_cgroup();
        kernel.attach_tracepoints();
        Ok(kernel)
    }

    /// What could not be attached, each with its reason.
    pub fn lacks(&self) -> &[String] {
        &self.lacks
    }

    /// Whether segments can be dropped before they leave.
    pub fn prevents(&self) -> bool {
        self.prevents
    }

    pub(super) fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// The maps that user space writes and reads. Once.
    pub fn take_maps(&mut self) -> Result<Maps, KernelError> {
        Maps::take(&mut self.ebpf)
    }

    /// The rings. Once.
    pub fn take_rings(&mut self) -> Result<Rings, KernelError> {
        Rings::take(&mut self.ebpf)
    }

    /// Loads the uprobe programs. One that the kernel refuses costs its feature: see [`Kernel::lacks`].
    pub fn load_probes(&mut self) {
        for name in Programs::NAMES {
            let loaded = program::<UProbe>(&mut self.ebpf, name).and_then(|p| {
                p.load().map_err(|e| KernelError::Program {
                    name,
                    what: "the kernel refuses it",
                    source: e.into(),
                })
            });
            if let Err(e) = loaded {
                let feature =
                    if name == "tls_write" { "TLS capture and prevention" } else { "TLS answers and ends" };
                self.lack(feature, &e);
            }
        }
    }

    /// Hands over the uprobe programs, with the object that keeps all programs alive.
    pub fn into_programs(self) -> Programs {
        Programs::new(self.ebpf)
    }

    fn attach_cgroup(&mut self) {
        let root = match host::cgroup_root()
            .and_then(|path| File::open(&path).map_err(|source| KernelError::Open { path, source }))
        {
            Ok(root) => root,
            Err(e) => {
                self.lack("plaintext capture and prevention", &e);
                return;
            }
        };
        let ebpf = &mut self.ebpf;
        let results = [
            ("egress", skb(ebpf, "egress", CgroupSkbAttachType::Egress, &root)),
            ("ingress", skb(ebpf, "ingress", CgroupSkbAttachType::Ingress, &root)),
            ("connect4", sock_addr(ebpf, "connect4", &root)),
            ("connect6", sock_addr(ebpf, "connect6", &root)),
            ("established", sock_ops(ebpf, "established", &root)),
        ];
        for (name, result) in results {
            match result {
                Ok(()) if name == "egress" => self.prevents = true,
                Ok(()) => {}
                Err(e) => {
                    let feature = match name {
                        "egress" => "plaintext capture and prevention",
                        "ingress" => "plaintext answers",
                        "established" => "attribution of accepted connections",
                        _ => "attribution of connections; TLS capture",
                    };
                    self.lack(feature, &e);
                }
            }
        }
    }

    fn attach_tracepoints(&mut self) {
        for (program_name, event) in [
            ("process_exec", "sched_process_exec"),
            ("process_fork", "sched_process_fork"),
            ("process_exit", "sched_process_exit"),
        ] {
            let done = program::<TracePoint>(&mut self.ebpf, program_name).and_then(|p| {
                let failed = |what| {
                    move |e: ProgramError| KernelError::Program { name: program_name, what, source: e.into() }
                };
                p.load().map_err(failed("the kernel refuses it"))?;
                p.attach("sched", event).map_err(failed("cannot attach it to its tracepoint"))?;
                Ok(())
            });
            if let Err(e) = done {
                self.lack("process tree", &e);
            }
        }
    }

    fn lack(&mut self, feature: &str, error: &dyn std::error::Error) {
        let mut text = format!("{feature}: {error}");
        let mut source = error.source();
        while let Some(e) = source {
            text.push_str(": ");
            let e_text = e.to_string();
            text.push_str(&gist(&e_text));
            tracing::debug!(detail = %e_text, "attach");
            source = e.source();
        }
        tracing::warn!(feature, reason = %text, "not available on this host");
        self.lacks.push(text);
    }
}

/// The verifier's log is long, and says what is wrong at its end; the whole is at debug level.
fn gist(text: &str) -> String {
    const END: usize = 5;
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= END + 1 {
        return lines.join("; ");
    }
    let (first, end) = (lines[0], &lines[lines.len() - END..]);
    format!("{first} [...] {}", end.join("; "))
}

/// A program of the object by name and type.
pub(super) fn program<'a, T>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut T, KernelError>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name).ok_or(KernelError::Missing { name })?.try_into().map_err(|e: ProgramError| {
        KernelError::Program { name, what: "is of another type", source: e.into() }
    })
}

fn failed(name: &'static str) -> impl Fn(ProgramError) -> KernelError {
    move |e| KernelError::Program {
        name,
        what: "cannot load or attach it to the root cgroup",
        source: e.into(),
    }
}

// `Single`: with bpf_link the kernel refuses the flag of `AllowMultiple`; links are multiple anyway.

fn skb(
    ebpf: &mut Ebpf,
    name: &'static str,
    direction: CgroupSkbAttachType,
    root: &File,
) -> Result<(), KernelError> {
    let p: &mut CgroupSkb = program(ebpf, name)?;
    p.load().and_then(|()| p.attach(root, direction, CgroupAttachMode::Single)).map_err(failed(name))?;
    Ok(())
}

fn sock_addr(ebpf: &mut Ebpf, name: &'static str, root: &File) -> Result<(), KernelError> {
    let p: &mut CgroupSockAddr = program(ebpf, name)?;
    p.load().and_then(|()| p.attach(root, CgroupAttachMode::Single)).map_err(failed(name))?;
    Ok(())
}

fn sock_ops(ebpf: &mut Ebpf, name: &'static str, root: &File) -> Result<(), KernelError> {
    let p: &mut SockOps = program(ebpf, name)?;
    p.load().and_then(|()| p.attach(root, CgroupAttachMode::Single)).map_err(failed(name))?;
    Ok(())
}
