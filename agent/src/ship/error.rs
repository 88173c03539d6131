use std::path::PathBuf;

use crate::spool::SpoolError;

/// Why nothing is shipped at the moment: what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    #[error(
        "this host is not enrolled: set [collector] token or token_file to a token from `gnomon-collector token create`"
    )]
    NoToken,
    #[error("[collector] token_file cannot be read: {source}")]
    TokenFile { source: std::io::Error },
    #[error(
        "the enrolment token is not of the form gn1.SECRET.FINGERPRINT: copy it whole from `gnomon-collector token create`"
    )]
    TokenForm,
    #[error(
        "the enrolment token was refused ({0}): it is unknown, used or expired; make a new one with `gnomon-collector token create`"
    )]
    TokenRefused(String),
    #[error("{}: {reason}; delete it and set [collector] token to a new token", path.display())]
    Identity { path: PathBuf, reason: String },
    #[error("the collector's answer to the enrolment cannot be used: {0}")]
    Enrolment(String),
    #[error("cannot make this host's key: {0}")]
    Key(#[from] rcgen::Error),
    #[error("cannot connect: {0}; check [collector] address, and that the collector runs")]
    Tcp(std::io::Error),
    #[error("no secure connection: {0}")]
    Tls(String),
    #[error(
        "the collector does not accept this host's certificate ({0}): it is expired, revoked, or of another \
             collector; set [collector] token to a new token from `gnomon-collector token create`"
    )]
    HostRefused(String),
    #[error("no answer within {0} seconds")]
    Timeout(u64),
    #[error("connection lost: {0}")]
    Lost(String),
    #[error("the collector ended the stream")]
    Ended,
    #[error(transparent)]
    Spool(#[from] SpoolError),
}
