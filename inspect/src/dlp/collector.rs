//! Gathers the findings of one message.

use super::{Class, Finding, registry};

/// Where a text was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// For [`Finding::where_`].
    pub(crate) path: &'a str,
    /// Name of the member or header that holds the text: context for detectors that need some.
    pub(crate) name: &'a str,
    /// The text is the name itself.
    pub(crate) key: bool,
    /// Only [`Class::Secret`] is of interest here.
    pub(crate) secrets_only: bool,
}

impl Place<'static> {
    pub(crate) fn text() -> Self {
        Self { path: "text", name: "", key: false, secrets_only: false }
    }
}

/// Findings so far, up to a limit.
#[derive(Debug)]
pub(crate) struct Collector {
    findings: Vec<Finding>,
    omitted: u64,
    /// Per detector, so that a flood of one kind does not hide another.
    limit: usize,
}

impl Collector {
    pub(crate) fn new(limit: usize) -> Self {
        Self { findings: Vec::new(), omitted: 0, limit }
    }

    /// Searches one decoded text.
    pub(crate) fn search(&mut self, text: &[u8], place: &Place<'_>) {
        registry::search(text, place.name, &mut |hit| {
            if place.secrets_only && hit.class != Class::Secret {
                return;
            }
            if self.findings.iter().filter(|f| f.detector == hit.detector).count() >= self.limit {
                self.omitted += 1;
                return;
            }
            let path = if place.path.is_empty() { "text" } else { place.path };
            let where_ = if place.key { format!("{path}#key") } else { path.to_owned() };
            self.findings.push(hit.report(where_));
        });
    }

    pub(crate) fn finish(self) -> (Vec<Finding>, u64) {
        (self.findings, self.omitted)
    }
}
