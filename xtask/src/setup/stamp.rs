//! A folder that was filled from certain files, and a note of which.
use std::{fs, path::Path};

use anyhow::Result;
use sha2::{Digest, Sha256};

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
