//! The virtual machine's root file system: a handful of programs of this host with the libraries they need.
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::cpio::Writer;
use crate::shell::{output, which};

/// Writes the archive: `init` as the first process, `own` binaries and `tools` found on `PATH` in `/usr/bin`.
pub(super) fn write(archive: &Path, init: &Path, own: &[(&str, PathBuf)], tools: &[&str]) -> Result<()> {
    let mut programs = vec![("init".to_owned(), init.to_path_buf())];
    programs.extend(own.iter().map(|(name, path)| (format!("usr/bin/{name}"), path.clone())));
    for tool in tools {
        let path = which(tool).with_context(|| format!("{tool} is not installed"))?;
        programs.push((format!("usr/bin/{tool}"), path));
    }
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (at, path) in programs {
        for library in libraries(&path)? {
            files.insert(library.trim_start_matches('/').to_owned(), PathBuf::from(&library));
        }
        files.insert(at, path);
    }
    let out = File::create(archive).with_context(|| format!("{}", archive.display()))?;
    let mut writer = Writer::new(BufWriter::new(out));
    for folder in folders(files.keys().map(String::as_str).chain(["etc/hosts", "dev/console"])) {
        writer.directory(&folder)?;
    }
    for (at, path) in &files {
        writer.file(at, &fs::read(path).with_context(|| format!("{}", path.display()))?)?;
    }
    writer.file("etc/hosts", b"127.0.0.1 localhost\n")?;
    writer.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")?;
    writer.file("etc/machine-id", b"00000000000000000000000000000001\n")?;
    Ok(writer.finish()?)
}

/// Absolute paths of the shared libraries of a program, the dynamic linker among them.
fn libraries(program: &Path) -> Result<Vec<String>> {
    let text = output(Command::new("ldd").arg(program))?;
    // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)", "/lib64/ld-linux-x86-64.so.2 (0x...)"
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned))
        .collect())
}

/// Every folder above the files, outer ones first.
fn folders<'a>(files: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut folders: Vec<String> = files
        .flat_map(|file| {
            Path::new(file)
                .ancestors()
                .skip(1)
                .map(|path| path.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        })
        .filter(|path| !path.is_empty())
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

#[cfg(test)]
mod tests {
    use super::folders;

    #[test]
    fn folders_come_before_what_is_in_them() {
        assert_eq!(
            folders(["usr/bin/curl", "lib/x/libc.so", "init"].into_iter()),
            ["lib", "lib/x", "usr", "usr/bin"]
        );
    }
}
