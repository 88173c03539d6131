//! What the matcher costs in the kernel, from the run-time statistics of the programs themselves.
//!
//! The same bytes go out and come back over a loopback connection. The egress program copies and matches them, the
//! ingress program only copies them: the difference is the matcher. Not BPF_PROG_TEST_RUN, which has no socket, and so
//! none of the state that the programs work on.

use super::{Kernel, KernelError, Maps, Options, load};
use aya::programs::CgroupSkb;
use serde::Serialize;
use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

/// Bytes in one exchange: less than what ingress captures of an answer that is not MCP.
const EXCHANGE: usize = 64 << 10;
const EXCHANGES: usize = 400;

/// Nanoseconds per byte.
#[derive(Debug, Serialize)]
pub struct MatcherCost {
    /// Matching, without the copy.
    pub kernel_ns_per_byte: f64,
    /// Copying to the ring, without the matcher.
    pub copy_ns_per_byte: f64,
    /// The same automaton over the same bytes in user space.
    pub user_ns_per_byte: f64,
    /// Bytes that went each way.
    pub bytes: u64,
}

/// Loads the programs on their own, exchanges bytes with itself, and unloads them. Another agent on the host adds its
/// own cost to the exchange, but not to the figures.
pub fn matcher_cost(policy: &gnomon_policy::Policy) -> Result<MatcherCost, KernelError> {
    let compiled = gnomon_policy::compile(policy, 1);
    let mut kernel = Kernel::load(&Options { ring_bytes: 16 << 20 })?;
    let mut maps: Maps = kernel.take_maps()?;
    maps.capture_self()?;
    maps.install(&compiled.automaton, false)?;
    let mut rings = kernel.take_rings()?;
    let _statistics = aya::sys::enable_stats(aya::sys::Stats::RunTime)
        .map_err(|e| KernelError::Poll(io::Error::other(e)))?;
    let before = [run_time(&mut kernel, "egress")?, run_time(&mut kernel, "ingress")?];
    let payload = payload();
    exchange(&payload, || while rings.drain(1024, |_| {}) == 1024 {}).map_err(KernelError::Poll)?;
    let after = [run_time(&mut kernel, "egress")?, run_time(&mut kernel, "ingress")?];
    let bytes = (EXCHANGE * EXCHANGES) as f64;
    let per_byte = |i: usize| (after[i] - before[i]).as_nanos() as f64 / bytes;
    let (egress, ingress) = (per_byte(0), per_byte(1));

    let mut state = gnomon_common::matcher::MatchState::default();
    let start = Instant::now();
    for _ in 0..EXCHANGES {
        compiled.automaton.run(&mut state, std::hint::black_box(&payload));
    }
    let user = start.elapsed().as_nanos() as f64 / bytes;
    std::hint::black_box(state);
    Ok(MatcherCost {
        kernel_ns_per_byte: egress - ingress,
        copy_ns_per_byte: ingress,
        user_ns_per_byte: user,
        bytes: bytes as u64,
    })
}

/// An HTTP request whose body is JSON that is not MCP: what most of a host's plaintext is.
fn payload() -> Vec<u8> {
    let item = br#"{"id":4711,"name":"Quarterly report","tags":["a","b"],"body":"The quick brown fox jumps over it."},"#;
    let head = format!("POST /api HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n", EXCHANGE - 128);
    head.bytes().chain(item.iter().copied().cycle()).take(EXCHANGE).collect()
}

fn exchange(payload: &[u8], mut drain: impl FnMut()) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    std::thread::scope(|scope| {
        let echo = scope.spawn(move || -> io::Result<()> {
            let mut buffer = vec![0; EXCHANGE];
            for _ in 0..EXCHANGES {
                server.read_exact(&mut buffer)?;
                server.write_all(&buffer)?;
            }
            Ok(())
        });
        let mut buffer = vec![0; EXCHANGE];
        for _ in 0..EXCHANGES {
            client.write_all(payload)?;
            client.read_exact(&mut buffer)?;
            drain();
        }
        echo.join().unwrap_or_else(|_| Err(io::Error::other("the echo thread panicked")))
    })
}

fn run_time(kernel: &mut Kernel, name: &'static str) -> Result<Duration, KernelError> {
    let program: &mut CgroupSkb = load::program(kernel.ebpf(), name)?;
    let info = program.info().map_err(|e| KernelError::Program {
        name,
        what: "has no information",
        source: e.into(),
    })?;
    Ok(info.run_time())
}
