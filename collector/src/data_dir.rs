//! The folder that holds everything the collector keeps. Only its owner may enter it.
#![forbid(unsafe_code)]

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Paths below the data folder.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("{what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{0} is in use by another collector: stop it, or choose another --data folder")]
    InUse(PathBuf),
}

/// While held, no other collector serves this folder.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

impl DataDir {
    /// Creates the folder with mode 0700 when it is missing. An existing one keeps its mode, except that access for
    /// others is taken away: private keys lie below.
    pub fn open(root: &Path) -> Result<Self, DataDirError> {
        for dir in [root.to_owned(), root.join("pki")] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
                .map_err(io_error("cannot create", &dir))?;
            let mode = fs::metadata(&dir).map_err(io_error("cannot read", &dir))?.permissions().mode();
            if mode & 0o077 != 0 {
                fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))
                    .map_err(io_error("cannot restrict the mode of", &dir))?;
            }
        }
        Ok(Self { root: root.to_owned() })
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("collector.db")
    }

    #[must_use]
    pub fn ca_key(&self) -> PathBuf {
        self.root.join("pki/ca.key")
    }

    #[must_use]
    pub fn ca_certificate(&self) -> PathBuf {
        self.root.join("pki/ca.pem")
    }

    /// The newest unused admin link, for scripts that cannot read the terminal.
    #[must_use]
    pub fn admin_link(&self) -> PathBuf {
        self.root.join("admin-link")
    }

    /// `{"grpc":"IP:PORT","http":"IP:PORT"}` of the running collector; absent when none runs.
    #[must_use]
    pub fn addresses(&self) -> PathBuf {
        self.root.join("addresses.json")
    }

    pub fn lock(&self) -> Result<Lock, DataDirError> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("cannot open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(fs::TryLockError::WouldBlock) => Err(DataDirError::InUse(self.root.clone())),
            Err(fs::TryLockError::Error(e)) => Err(io_error("cannot lock", &path)(e)),
        }
    }
}

/// Writes a file of mode 0600 as a whole: a reader sees the old content or the new, never half of it.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), DataDirError> {
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let write = || {
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(io_error("cannot write", path))
}

pub(crate) fn io_error<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> DataDirError + 'a {
    move |source| DataDirError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_and_its_files_are_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b");
        let data = DataDir::open(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        DataDir::open(&root).unwrap();
        write_private(&data.ca_key(), b"key").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&root), mode(&root.join("pki")), mode(&data.ca_key())), (0o700, 0o700, 0o600));
    }

    #[test]
    fn one_collector_per_folder() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let held = data.lock().unwrap();
        assert!(matches!(data.lock(), Err(DataDirError::InUse(_))));
        drop(held);
        data.lock().unwrap();
    }
}
