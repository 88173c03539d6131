//! bpf-linker, built for this repository against the LLVM of the kernel compiler.
use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::KernelCompiler;
use crate::{
    paths,
    shell::{output, run, which},
};

const VERSION: &str = "0.13.0";

/// Builds the linker into `.tools/` unless that very version is there already.
pub(super) fn ensure(compiler: &KernelCompiler) -> Result<((), String)> {
    let linker = paths::tools().join("bin/bpf-linker");
    if linker.exists() && output(Command::new(&linker).arg("--version"))?.contains(VERSION) {
        return Ok(((), format!("{VERSION} in .tools/")));
    }
    let llvm = compiler.llvm();
    let prefix = llvm_prefix(llvm)?;
    println!("\n  building bpf-linker {VERSION} against {prefix}: 2 to 5 minutes, once");
    run(Command::new("cargo")
        .env("LLVM_PREFIX", &prefix)
        // An outer CARGO_TARGET_DIR would leave half a gigabyte there; cargo install cleans up its own.
        .env_remove("CARGO_TARGET_DIR")
        .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--no-default-features"])
        .args(["--features", &format!("llvm-{llvm}"), "--root"])
        .arg(paths::tools()))
    .context("bpf-linker does not build")?;
    Ok(((), format!("{VERSION} built into .tools/")))
}

fn llvm_prefix(llvm: u32) -> Result<String> {
    let debian = format!("/usr/lib/llvm-{llvm}");
    if Path::new(&debian).join("include/llvm-c").exists() {
        return Ok(debian);
    }
    for name in [format!("llvm-config-{llvm}"), "llvm-config".to_owned()] {
        if which(&name).is_some()
            && output(Command::new(&name).arg("--version"))?.starts_with(&format!("{llvm}."))
        {
            return Ok(output(Command::new(&name).arg("--prefix"))?.trim().to_owned());
        }
    }
    bail!(
        "LLVM {llvm} with its development files is needed to build bpf-linker (Debian: apt-get install llvm-{llvm}-dev libpolly-{llvm}-dev)"
    )
}
