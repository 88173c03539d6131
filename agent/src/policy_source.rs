//! The policy file: read, checked, compiled, and read again when it changes. A file that is wrong changes nothing, also
//! not over a restart: a copy of the last good one is kept in the state folder.

#![forbid(unsafe_code)]

use gnomon_inspect::dlp::detectors;
use gnomon_policy::{Compiled, Errors, Policy, compile};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
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

/// Name of the copy of the last good policy, in the state folder.
const LAST_GOOD: &str = "policy.last-good.yaml";

/// What to start with.
#[derive(Debug)]
pub struct First {
    pub update: Update,
    /// Why it is the last good policy and not the one in the file.
    pub error: Option<PolicyError>,
}

/// Watches one file.
#[derive(Debug)]
pub struct PolicySource {
    path: Option<PathBuf>,
    last_good: PathBuf,
    /// Of the file as last looked at, good or bad.
    seen: Option<(SystemTime, u64)>,
    generation: u32,
    revision: u64,
}

impl PolicySource {
    /// Without a file the built-in policy decides. The last good policy is kept in `state`.
    pub fn new(path: Option<PathBuf>, state: &Path) -> Self {
        Self { path, last_good: state.join(LAST_GOOD), seen: None, generation: 0, revision: 0 }
    }

    /// The policy to start with. An error when the file is wrong and there is no earlier good one.
    pub fn first(&mut self) -> Result<First, PolicyError> {
        let Some(path) = self.path.clone() else {
            return Ok(First { update: self.update(Policy::builtin()), error: None });
        };
        let last = fs::read_to_string(&self.last_good).ok().and_then(|text| parse(&text).ok());
        self.revision = last.as_ref().map_or(0, Policy::revision);
        self.seen = stamp(&path);
        match (self.read(&path), last) {
            (Ok(update), _) => Ok(First { update, error: None }),
            (Err(error), Some(last)) => Ok(First { update: self.update(last), error: Some(error) }),
            (Err(error), None) => Err(error),
        }
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
        if let Err(error) = self.keep(&text) {
            tracing::warn!(file = %self.last_good.display(), %error, "the policy in force is not kept for a restart");
        }
        Ok(self.update(policy))
    }

    /// Whole or not at all: a crash must not leave half a policy.
    fn keep(&self, text: &str) -> io::Result<()> {
        let new = self.last_good.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.last_good)
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
        let mut source = PolicySource::new(Some(path.clone()), dir.path());
        let first = source.first().unwrap().update;
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
    #[test]
    fn a_restart_with_a_wrong_file_goes_on_with_the_last_good_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        let start = || PolicySource::new(Some(path.clone()), dir.path()).first();
        assert!(matches!(start(), Err(PolicyError::Read { .. })), "nothing to fall back to");
        fs::write(&path, "nonsense").unwrap();
        assert!(matches!(start(), Err(PolicyError::Wrong { .. })));

        fs::write(&path, document(3)).unwrap();
        assert!(start().unwrap().error.is_none());
        for wrong in [document(2), "nonsense".to_owned()] {
            fs::write(&path, wrong).unwrap();
            let first = start().unwrap();
            assert!(first.error.is_some());
            assert_eq!(first.update.policy.revision(), 3);
            assert!(first.update.compiled.enforce_unsanctioned);
        }
        fs::write(dir.path().join(LAST_GOOD), "damaged").unwrap();
        assert!(start().is_err());
    }
}
