//! Everything that holds a BPF file descriptor: loading, attaching, maps, rings. Nothing outside knows aya.
//!
//! | module | what |
//! |---|---|
//! | `object` | the embedded object |
//! | `host` | what this kernel offers: mounts, BTF, tracepoint formats |
//! | `load` | programs and maps into the kernel, cgroup and tracepoint hooks |
//! | `maps` | settings, automata, steering, counters |
//! | `ring` | records out of the ring buffers |
//! | `library` | which files are TLS libraries, and where their functions are |
//! | `site` | the cheapest instruction to probe in a function |
//! | `probes` | uprobes placed and taken away as processes and files come and go |
//! | `sockets` | ending a socket by its cookie |
//! | `bench` | what the matcher costs in the kernel |

#![expect(
    unsafe_code,
    reason = "ring memory, netlink and namespaces are reached through raw pointers and libc"
)]

mod bench;
pub mod host;
mod library;
mod load;
mod maps;
mod object;
mod probes;
mod ring;
mod site;
mod sockets;

use std::{io, path::PathBuf};

pub use bench::{MatcherCost, matcher_cost};
pub use load::{Kernel, Options};
pub use maps::{Counters, Maps};
pub use object::present as has_programs;
pub use probes::{Probes, Request as ProbeRequest};
pub use ring::{Record, Rings};
pub use sockets::{Ending, end_socket};

/// Gives memory back to the kernel after work that needed much of it for a moment: symbol tables, the compilation of a
/// policy. glibc keeps what threads freed.
pub fn release_memory() {
    // SAFETY: no preconditions; it only returns free pages.
    unsafe { libc::malloc_trim(0) };
}

/// What went wrong between the agent and the kernel.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("this build of gnomon-agent carries no kernel programs; build it with `cargo xtask build`")]
    NoObject,
    #[error(
        "no cgroup v2 hierarchy is mounted: mount one with `mount -t cgroup2 none /sys/fs/cgroup/unified`"
    )]
    NoCgroup,
    #[error(
        "cannot mount {what} at {at}: it is needed for kernel programs; run as root, or mount it yourself"
    )]
    Mount { what: &'static str, at: &'static str, source: io::Error },
    #[error("cannot load the kernel programs")]
    Load(#[from] aya::EbpfError),
    #[error("program {name}: {what}")]
    Program { name: &'static str, what: &'static str, source: Box<aya::programs::ProgramError> },
    #[error("map {name}")]
    Map { name: &'static str, source: Box<aya::maps::MapError> },
    #[error("{name} is missing in the kernel object: agent and object are of different versions")]
    Missing { name: &'static str },
    #[error("cannot open {path}")]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot wait for the ring buffers")]
    Poll(#[source] io::Error),
}
