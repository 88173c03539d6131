//! Where things are in this repository.
use std::path::{Path, PathBuf};

/// The repository's root folder.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Tools that are built for this repository alone.
pub(crate) fn tools() -> PathBuf {
    root().join(".tools")
}

/// Downloaded packages; safe to delete.
pub(crate) fn cache() -> PathBuf {
    root().join(".cache")
}

/// Cargo's target folder: `CARGO_TARGET_DIR` when set, as cargo itself does.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Optimised binaries, as `cargo xtask build` leaves them.
pub(crate) fn release() -> PathBuf {
    target().join("release")
}
