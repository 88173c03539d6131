//! The test runner.
use std::process::Command;

use anyhow::Result;

use crate::{
    paths,
    shell::{output, run},
};

/// Old enough to build with the pinned Rust, new enough for what `.config/nextest.toml` uses.
const VERSION: &str = "0.9.143";

/// Uses an installed cargo-nextest, or builds one into `.tools/`.
pub(super) fn ensure() -> Result<((), String)> {
    if let Some(version) = version() {
        return Ok(((), version));
    }
    println!("\n  building cargo-nextest {VERSION}: some minutes, once");
    run(Command::new("cargo")
        .env_remove("CARGO_TARGET_DIR")
        .args(["install", "cargo-nextest", "--version", VERSION, "--locked", "--root"])
        .arg(paths::tools()))?;
    Ok(((), format!("{VERSION} built into .tools/")))
}

/// `cargo nextest`, found on `PATH` or in `.tools/`.
pub(crate) fn cargo_nextest() -> Command {
    let local = paths::tools().join("bin/cargo-nextest");
    let mut command = Command::new(if local.exists() { local } else { "cargo-nextest".into() });
    command.arg("nextest");
    command
}

fn version() -> Option<String> {
    let text = output(cargo_nextest().arg("--version")).ok()?;
    Some(text.lines().next()?.to_owned())
}
