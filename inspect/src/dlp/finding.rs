//! What a detector reports.

use serde::Serialize;

/// Coarse group of data; policy matches on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Credentials and keys.
    Secret,
    /// Data about a person.
    Pii,
    /// Payment cards and bank accounts.
    Financial,
}

impl Class {
    /// Every class, for validation of policy documents.
    pub const ALL: [Self; 3] = [Self::Secret, Self::Pii, Self::Financial];

    /// Name used in policy and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Pii => "pii",
            Self::Financial => "financial",
        }
    }
}

/// Data found. Never carries the value itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Id of the detector, such as `aws_access_key_id`.
    pub detector: &'static str,
    pub class: Class,
    /// First byte, in the decoded text it was found in (a JSON string without its escapes, a header value).
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// Which text: a JSON path (`params.arguments.to`), `header:NAME`, or `text`. A path ending in `#key` means that
    /// the member's name itself, not its value, was matched.
    #[serde(rename = "where")]
    pub where_: String,
    /// 0 to 1.
    pub confidence: f64,
    /// A checksum or a full parse confirmed it.
    pub validated: bool,
    /// Shape of the value with its secret part starred out.
    pub redacted: String,
}
