//! PyPI packages that tests and demo drive, in a virtual environment of their own.
use std::{fs, process::Command};

use anyhow::{Context, Result};

use super::stamp::stamp;
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
