//! npm packages that tests and demo drive: a real MCP server and the TypeScript SDK's client.
use std::{fs, process::Command};

use anyhow::{Context, Result};

use super::stamp::stamp;
use crate::{paths, shell::output};

/// Installs the committed lock file's packages into `.cache/npm`, unless they are there.
pub(super) fn ensure() -> Result<((), String)> {
    let from = paths::root().join("tests/fixtures");
    let to = paths::cache().join("npm");
    let files = ["package.json", "package-lock.json"];
    let sources: Vec<Vec<u8>> = files
        .iter()
        .map(|name| fs::read(from.join(name)).with_context(|| format!("tests/fixtures/{name}")))
        .collect::<Result<_>>()?;
    stamp(&to, &sources, || {
        for (name, content) in files.iter().zip(&sources) {
            fs::write(to.join(name), content)?;
        }
        // The lock file names no download addresses: npm asks whatever registry this machine is set up for.
        output(Command::new("npm").current_dir(&to).args([
            "ci",
            "--omit-lockfile-registry-resolved=true",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]))
        .context("npm ci in .cache/npm")
    })
}
