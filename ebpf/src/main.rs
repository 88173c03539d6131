//! The kernel programs, one hook family per file.
//!
//! - `socket`: what goes over TCP in clear, and the denial of segments (cgroup_skb, cgroup sock_addr, sock_ops)
//! - `tls`: what TLS libraries are given and give (uprobes)
//! - `process`: exec, fork, exit (tracepoints)
//!
//! Rules: no per-CPU scratch and little stack in uprobe programs (they are preemptible, and kernels >= 6.13 give
//! large stacks a per-CPU private one); every failed reservation is counted; no kernel structure is read that is not
//! UAPI.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(unsafe_code, reason = "BPF helpers and map values are raw pointers")]

mod capture;
mod maps;
mod process;
mod socket;
mod tls;

// The helpers that read user memory and the clock are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Unreachable: the verifier rejects a program that could get here.
    loop {}
}
