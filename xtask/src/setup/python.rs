//! PyPI packages that tests and demo drive, in a virtual environment of their own.
use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{paths, shell::output};

/// Installs the pinned requirements into `.cache/venv`, unless they are there.
pub(super) fn ensure() -> Result<((), String)> {
    let requirements = paths::root().join("tests/fixtures/requirements.txt");
    let venv = paths::cache().join("venv");
    let source = fs::read(&requirements).context("tests/fixtures/requirements.txt")?;
    stamp(&venv, &[source], || {
        // The distribution's Python, so that its libssl is the one that the tests say it is.
        output(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&venv))
            .context("python3 -m venv .cache/venv")?;
        output(
            Command::new(venv.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
                .arg(&requirements),
        )
        .context("pip install into .cache/venv")
    })
}

/// Runs `work` unless `folder` was filled from exactly these `sources` before.
pub(super) fn stamp(
    folder: &Path,
    sources: &[Vec<u8>],
    work: impl FnOnce() -> Result<String>,
) -> Result<((), String)> {
    let mut hasher = Sha256::new();
    sources.iter().for_each(|source| hasher.update(source));
    let wanted: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let stamp = folder.with_extension("stamp");
    if folder.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(((), "present".to_owned()));
    }
    fs::create_dir_all(folder)?;
    work()?;
    fs::write(&stamp, wanted)?;
    Ok(((), "installed".to_owned()))
}
