//! Debian's 6.1 kernel, unpacked and not installed.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    paths,
    shell::{output, run},
};

const PREFIX: &str = "linux-image-6.1.0-";
const SUFFIX: &str = "-cloud-amd64";

/// The kernel image in `.cache/vm`, downloaded by apt on first use.
pub(super) fn debian() -> Result<PathBuf> {
    let cache = paths::cache().join("vm");
    fs::create_dir_all(&cache)?;
    if let Some(kernel) = image(&cache.join("root/boot"))? {
        return Ok(kernel);
    }
    let names = output(Command::new("apt-cache").args(["pkgnames", PREFIX]))
        .context("apt knows where Debian's kernels are; without it use --kernel")?;
    let Some(package) = newest(names.lines()) else {
        bail!(
            "apt knows no {PREFIX}*{SUFFIX}: run apt-get update on Debian 12, or use --kernel VMLINUZ with any kernel >= 6.1"
        );
    };
    println!("vm: downloading {package}");
    for old in debs(&cache)? {
        fs::remove_file(old)?;
    }
    run(Command::new("apt-get").current_dir(&cache).args([
        "--quiet",
        "-o",
        "APT::Sandbox::User=root",
        "download",
        package,
    ]))?;
    let deb = debs(&cache)?.pop().with_context(|| format!("apt-get downloaded no {package}"))?;
    run(Command::new("dpkg").arg("--extract").arg(&deb).arg(cache.join("root")))?;
    image(&cache.join("root/boot"))?.with_context(|| format!("no kernel in {}", deb.display()))
}

fn image(boot: &Path) -> Result<Option<PathBuf>> {
    if !boot.exists() {
        return Ok(None);
    }
    let mut found = entries(boot)?;
    found.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")));
    Ok(found.pop())
}

fn debs(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = entries(dir)?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    Ok(found)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

/// The highest ABI number: text order would put 9 after 56.
fn newest<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .filter_map(|name| {
            Some((name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse::<u32>().ok()?, name))
        })
        .max()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn newest_kernel_by_number() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-57-rt-amd64",
        ];
        assert_eq!(newest(names.into_iter()), Some("linux-image-6.1.0-56-cloud-amd64"));
    }
}
