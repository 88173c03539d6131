//! The compiler for kernel programs: Debian's, which carries a prebuilt `core` for BPF, or a nightly that builds its own.
use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::shell::output;

/// Target of the kernel programs: little-endian BPF without an operating system.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A compiler that can produce kernel programs.
#[derive(Debug)]
pub(crate) enum KernelCompiler {
    /// `/usr/bin/rustc` with `libstd-rust-web-dev-bpf`.
    Debian { llvm: u32 },
    /// A rustup nightly with `rust-src`.
    Nightly { llvm: u32 },
}

impl KernelCompiler {
    /// LLVM's major version, which bpf-linker must share.
    pub(crate) fn llvm(&self) -> u32 {
        match self {
            Self::Debian { llvm } | Self::Nightly { llvm } => *llvm,
        }
    }

    /// For the terminal.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Debian { llvm } => format!("{DEBIAN_RUSTC} with core for {BPF_TARGET}, LLVM {llvm}"),
            Self::Nightly { llvm } => format!("nightly with rust-src, LLVM {llvm}"),
        }
    }

    /// `cargo`, set up to use this compiler.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new("cargo");
        match self {
            // -Z and the target need the unstable switch; the compiler itself is a stable release.
            Self::Debian { .. } => cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").arg("build"),
            // RUSTC and CARGO are set by the cargo that runs xtask: left in place they would select the stable compiler.
            Self::Nightly { .. } => cargo
                .env_remove("RUSTC")
                .env_remove("CARGO")
                .env("RUSTUP_TOOLCHAIN", "nightly")
                .args(["build", "-Z", "build-std=core"]),
        };
        cargo
    }
}

/// The best compiler on this machine, or what is missing.
pub(crate) fn kernel_compiler() -> Result<KernelCompiler> {
    let debian = debian();
    let nightly = match debian {
        Ok(compiler) => return Ok(compiler),
        Err(_) => nightly(),
    };
    match (debian, nightly) {
        (_, Ok(compiler)) | (Ok(compiler), _) => Ok(compiler),
        (Err(debian), Err(nightly)) => bail!(
            "no compiler for kernel programs. One of these is needed:\n  \
             Debian: apt-get install rustc-web libstd-rust-web-dev-bpf llvm-22-dev libpolly-22-dev ({debian:#})\n  \
             elsewhere: rustup toolchain install nightly --component rust-src, and LLVM's development files of the same major version ({nightly:#})"
        ),
    }
}

fn debian() -> Result<KernelCompiler> {
    if !Path::new(DEBIAN_RUSTC).exists() {
        bail!("there is no {DEBIAN_RUSTC}");
    }
    let libdir =
        output(Command::new(DEBIAN_RUSTC).args(["--print", "target-libdir", "--target", BPF_TARGET]))?;
    if !has_core(Path::new(libdir.trim())) {
        bail!("{DEBIAN_RUSTC} has no core for {BPF_TARGET}");
    }
    Ok(KernelCompiler::Debian { llvm: llvm_major(&output(Command::new(DEBIAN_RUSTC).arg("-vV"))?)? })
}

fn has_core(libdir: &Path) -> bool {
    libdir.read_dir().is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-")))
    })
}

fn nightly() -> Result<KernelCompiler> {
    let rustc = |args: &[&str]| {
        output(
            Command::new("rustc")
                .env_remove("RUSTC")
                .env("RUSTUP_TOOLCHAIN", "nightly")
                .env("RUSTUP_AUTO_INSTALL", "0")
                .args(args),
        )
    };
    let version = rustc(&["-vV"])?;
    if !version.contains("nightly") {
        bail!("rustc is not managed by rustup, so there is no nightly");
    }
    let sysroot = rustc(&["--print", "sysroot"])?;
    if !Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core").exists() {
        bail!("nightly has no rust-src: rustup component add rust-src --toolchain nightly");
    }
    Ok(KernelCompiler::Nightly { llvm: llvm_major(&version)? })
}

fn llvm_major(version: &str) -> Result<u32> {
    let line = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))
        .context("rustc -vV names no LLVM version")?;
    line.split('.')
        .next()
        .unwrap_or_default()
        .parse()
        .with_context(|| format!("unexpected LLVM version {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::llvm_major;

    #[test]
    fn llvm_major_is_read_from_rustc() {
        assert_eq!(llvm_major("rustc 1.96.0\nhost: x\nLLVM version: 22.1.8\n").unwrap(), 22);
        assert!(llvm_major("rustc 1.96.0\n").is_err());
    }
}
