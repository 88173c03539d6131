//! `cargo xtask build`: kernel objects, then the agent that embeds them, then the collector.
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    paths,
    setup::{BPF_TARGET, KernelCompiler, kernel_compiler},
    shell::run as sh,
};

/// Separator of `CARGO_ENCODED_RUSTFLAGS`, which unlike `RUSTFLAGS` may hold quotes and spaces.
const FLAG_SEPARATOR: &str = "\x1f";

/// Binary of the package `gnomon-ebpf`: all kernel programs in one object.
const OBJECT: &str = "gnomon";

/// What `build` leaves behind.
#[derive(Debug)]
pub(crate) struct Built {
    /// The agent, kernel objects embedded.
    pub(crate) agent: PathBuf,
    /// The collector.
    pub(crate) collector: PathBuf,
}

/// Builds everything that ships. Cargo decides what is up to date.
pub(crate) fn run() -> Result<Built> {
    println!("build: kernel objects");
    let object = kernel_object(&kernel_compiler()?)?;
    println!("build: agent and collector");
    sh(Command::new("cargo").current_dir(paths::root()).env("GNOMON_EBPF_OBJECT", &object).args([
        "build",
        "--release",
        "--package",
        "gnomon-agent",
        "--package",
        "gnomon-collector",
    ]))?;
    present()
}

/// What an earlier build left in target/release.
pub(crate) fn present() -> Result<Built> {
    let built = Built {
        agent: paths::release().join("gnomon-agent"),
        collector: paths::release().join("gnomon-collector"),
    };
    for path in [&built.agent, &built.collector] {
        if !path.exists() {
            bail!("{} is not there: run `cargo xtask build`", path.display());
        }
    }
    Ok(built)
}

/// Builds `gnomon-ebpf` and returns the path of the object, for `GNOMON_EBPF_OBJECT`.
fn kernel_object(compiler: &KernelCompiler) -> Result<PathBuf> {
    // The architecture decides how bpf programs find function arguments in the saved registers.
    let arch = format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH);
    // -Dwarnings stands in for clippy, which the compilers for the kernel side do not bring.
    let flags = ["-Cdebuginfo=2", "-Clink-arg=--btf", "-Dwarnings", &arch].join(FLAG_SEPARATOR);
    // Its own target folder: another compiler works there, and would otherwise take turns invalidating the shared one.
    let target = paths::target().join("bpf");
    sh(compiler
        .cargo()
        .current_dir(paths::root())
        .env("PATH", path_with(&paths::tools().join("bin"))?)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .args(["--package", "gnomon-ebpf", "--profile", "bpf", "--target", BPF_TARGET, "--target-dir"])
        .arg(&target))?;
    let object = target.join(BPF_TARGET).join("bpf").join(OBJECT);
    if !object.exists() {
        bail!("cargo built no {}", object.display());
    }
    // Absolute: build scripts run in their package's folder.
    object.canonicalize().with_context(|| format!("{}", object.display()))
}

fn path_with(first: &Path) -> Result<std::ffi::OsString> {
    let rest = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(std::iter::once(first.to_path_buf()).chain(env::split_paths(&rest)))?)
}
