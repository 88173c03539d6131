//! The policy file: read, checked, compiled, and read again when it changes. A file that is wrong changes nothing.

#![forbid(unsafe_code)]

use gnomon_inspect::dlp::detectors;
use gnomon_policy::{Compiled, Errors, Policy, compile};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

/// A policy to put in force.
#[derive(Debug)]
pub struct Update {
    pub policy: Arc<Policy>,
    pub compiled: Compiled,
}

/// Why a policy file is not put in force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("cannot read the policy {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("the policy {path} is wrong, see `gnomon-agent policy check {path}`:\n{errors}")]
    Wrong { path: PathBuf, errors: Errors },
    #[error("the policy {path} has revision {found}, older than revision {in_force} in force; raise it")]
    Older { path: PathBuf, found: u64, in_force: u64 },
}

/// Reads a document. Also refuses names of data that no detector of this agent can find.
pub fn parse(text: &str) -> Result<Policy, Errors> {
    let mut known: Vec<&str> = detectors().flat_map(|(id, class)| [id, class.name()]).collect();
    known.sort_unstable();
    known.dedup();
    gnomon_policy::parse_with_data_classes(text, &known)
}

/// Watches one file.
#[derive(Debug)]
pub struct PolicySource {
    path: Option<PathBuf>,
    /// Of the file as last looked at, good or bad.
    seen: Option<(SystemTime, u64)>,
    generation: u32,
    revision: u64,
}

impl PolicySource {
    /// Without a file the built-in policy decides.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path, seen: None, generation: 0, revision: 0 }
    }

    /// The policy to start with.
    pub fn first(&mut self) -> Result<Update, PolicyError> {
        match self.path.clone() {
            None => Ok(self.update(Policy::builtin())),
            Some(path) => {
                self.seen = stamp(&path);
                self.read(&path)
            }
        }
    }

    /// The built-in policy, for when the first one is wrong: everything is seen, nothing is stopped.
    pub fn fallback(&mut self) -> Update {
        self.update(Policy::builtin())
    }

    /// The policy in the file, if that changed since it was last looked at. An error is returned once per change.
    pub fn changed(&mut self) -> Option<Result<Update, PolicyError>> {
        let path = self.path.clone()?;
        let now = stamp(&path);
        if now == self.seen {
            return None;
        }
        self.seen = now;
        Some(self.read(&path))
    }

    fn read(&mut self, path: &Path) -> Result<Update, PolicyError> {
        let text =
            fs::read_to_string(path).map_err(|source| PolicyError::Read { path: path.to_owned(), source })?;
        let policy = parse(&text).map_err(|errors| PolicyError::Wrong { path: path.to_owned(), errors })?;
        if policy.revision() < self.revision {
            return Err(PolicyError::Older {
                path: path.to_owned(),
                found: policy.revision(),
                in_force: self.revision,
            });
        }
        Ok(self.update(policy))
    }

    fn update(&mut self, policy: Policy) -> Update {
        // 0 is what streams carry that have met no automaton yet.
        self.generation = self.generation.wrapping_add(1).max(1);
        self.revision = policy.revision();
        let compiled = compile(&policy, self.generation);
        Update { policy: Arc::new(policy), compiled }
    }
}

/// Modification time and size; None when the file is not there.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let m = fs::metadata(path).ok()?;
    Some((m.modified().ok()?, m.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(revision: u64) -> String {
        format!(
            "schema: gnomon.policy/v1\nrevision: {revision}\nservers:\n  - id: s\n    hosts: [\"h:1\"]\n\
             defaults:\n  unsanctioned: {{ action: deny, mode: enforce }}\n"
        )
    }

    #[test]
    fn a_wrong_or_older_file_changes_nothing_and_is_reported_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        fs::write(&path, document(5)).unwrap();
        let mut source = PolicySource::new(Some(path.clone()));
        let first = source.first().unwrap();
        assert_eq!(first.policy.revision(), 5);
        assert!(first.compiled.enforce_unsanctioned);
        assert!(source.changed().is_none());

        fs::write(&path, "schema: gnomon.policy/v1\nrevision: 6\nserverss: []\n").unwrap();
        let error = source.changed().unwrap().unwrap_err().to_string();
        assert!(error.contains("3:1") && error.contains("servers"), "{error}");
        assert!(source.changed().is_none());

        fs::write(&path, document(4)).unwrap();
        assert!(matches!(source.changed(), Some(Err(PolicyError::Older { found: 4, in_force: 5, .. }))));

        fs::remove_file(&path).unwrap();
        assert!(matches!(source.changed(), Some(Err(PolicyError::Read { .. }))));
        assert!(source.changed().is_none());

        fs::write(&path, document(7)).unwrap();
        let next = source.changed().unwrap().unwrap();
        assert_eq!(next.policy.revision(), 7);
        assert!(next.compiled.automaton.generation > first.compiled.automaton.generation);
    }
}
