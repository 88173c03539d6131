//! Where fixtures, packages and binaries are.
use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

/// The repository's root folder.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// A file of `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures").join(name)
}

/// npm packages, as `cargo xtask setup` installs them.
pub fn node_modules() -> PathBuf {
    root().join(".cache/npm/node_modules")
}

/// The virtual environment's Python, as `cargo xtask setup` makes it.
pub fn python() -> PathBuf {
    root().join(".cache/venv/bin/python")
}

/// A release binary of this repository. `GNOMON_BIN_DIR` overrides where to look.
pub fn binary(name: &str) -> Result<PathBuf> {
    let dir = env::var_os("GNOMON_BIN_DIR").map_or_else(
        || {
            env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| root().join("target"), PathBuf::from)
                .join("release")
        },
        PathBuf::from,
    );
    let path = dir.join(name);
    if !path.exists() {
        bail!("{} is not there: run `cargo xtask build`", path.display());
    }
    Ok(path)
}
