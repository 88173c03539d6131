//! `cargo xtask setup`: what building and testing need, brought to one known state, idempotently.
mod debian;
mod kernel;
mod linker;
mod nextest;
mod node;
mod python;
mod stamp;

use anyhow::Result;
pub(crate) use kernel::{BPF_TARGET, KernelCompiler, kernel_compiler};
pub(crate) use nextest::cargo_nextest;

use crate::shell::step;

/// Everything, for tests, demo and benchmarks.
pub(crate) fn run() -> Result<()> {
    println!("setup");
    step("system packages", debian::ensure)?;
    ensure_kernel_tools()?;
    step("cargo-nextest", nextest::ensure)?;
    step("npm packages", node::ensure)?;
    step("Python packages", python::ensure)
}

/// Only what `build` needs, so that a contributor who builds does not get a browser installed.
pub(crate) fn ensure_build_tools() -> Result<()> {
    println!("setup (build tools)");
    if kernel_compiler().is_err() {
        step("system packages", debian::ensure_for_build)?;
    }
    ensure_kernel_tools()
}

fn ensure_kernel_tools() -> Result<()> {
    let compiler = step("kernel compiler", || {
        let compiler = kernel_compiler()?;
        let note = compiler.describe();
        Ok((compiler, note))
    })?;
    step("bpf-linker", || linker::ensure(&compiler))
}
