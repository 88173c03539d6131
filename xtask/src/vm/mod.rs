//! `cargo xtask vm`: the real agent under the Debian 6.1 kernel, in QEMU without hardware support.
mod cpio;
mod initramfs;
mod kernel;
mod qemu;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{build, paths, setup, shell::run as sh};

/// As on stock distributions: no `bpf` in the list, so LSM programs attach and do nothing.
const LSM: &str = "lockdown,capability";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A kernel image to boot in place of Debian's 6.1.
    #[arg(long, value_name = "VMLINUZ")]
    kernel: Option<PathBuf>,
    /// Value of the kernel's lsm= parameter.
    #[arg(long, default_value = LSM)]
    lsm: String,
    /// More kernel parameters. NAME=value that the kernel does not know becomes the agent's environment:
    /// RUST_LOG=gnomon_agent=debug shows the verifier's whole log.
    #[arg(long, default_value = "")]
    append: String,
    /// Take the agent that is in target/release as it is.
    #[arg(long)]
    no_build: bool,
}

/// Sets up, builds and runs.
pub(crate) fn run(args: &Args) -> Result<()> {
    let built = if args.no_build {
        build::present()?
    } else {
        setup::run()?;
        build::run()?
    };
    boot(&built, args.kernel.clone(), &args.lsm, &args.append)
}

/// For `test`, which has built already.
pub(crate) fn run_built(built: &build::Built) -> Result<()> {
    boot(built, None, LSM, "")
}

fn boot(built: &build::Built, kernel: Option<PathBuf>, lsm: &str, append: &str) -> Result<()> {
    let kernel = match kernel {
        Some(kernel) => kernel,
        None => kernel::debian()?,
    };
    sh(Command::new("cargo").current_dir(paths::root()).args([
        "build",
        "--workspace",
        "--exclude",
        "gnomon-ebpf",
        "--bin",
        "vm-init",
    ]))?;
    let init = paths::target().join("debug/vm-init");
    let image = paths::target().join("vm/initramfs.cpio");
    fs::create_dir_all(paths::target().join("vm"))?;
    initramfs::write(&image, &init, &[("gnomon-agent", built.agent.clone())], &["curl", "ip"])?;
    println!("vm: {} with {} MiB of initramfs", kernel.display(), fs::metadata(&image)?.len() >> 20);
    match qemu::boot(&kernel, &image, lsm, append)? {
        qemu::Outcome::Success => Ok(()),
        qemu::Outcome::Failure(why) => {
            bail!("virtual machine: {why}; its console is in {}", qemu::log().display())
        }
    }
}
