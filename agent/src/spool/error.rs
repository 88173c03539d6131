use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("spool folder {}: {source}; make it writable for this user, or set [spool] dir", dir.display())]
    Folder { dir: PathBuf, source: std::io::Error },
    #[error("spool {} is in use; stop the other gnomon-agent, or set another [spool] dir", file.display())]
    InUse { file: PathBuf },
    #[error("spool {} has format {found}, this version knows {known}; use the gnomon-agent that wrote it, or move the file away", file.display())]
    Format { file: PathBuf, found: i32, known: i32 },
    #[error("spool {}: cannot move the damaged database away: {source}", file.display())]
    Quarantine { file: PathBuf, source: std::io::Error },
    #[error("no random numbers from the operating system for a new spool: {0}")]
    Random(getrandom::Error),
    #[error("spool {}: {source}; check free space and health of the disk", file.display())]
    Database { file: PathBuf, source: rusqlite::Error },
}
