//! The kernel object, embedded at build time.

use super::KernelError;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/gnomon.bpf.o"));

/// The object, or the error that says how to get one.
pub(super) fn object() -> Result<&'static [u8], KernelError> {
    if OBJECT.is_empty() { Err(KernelError::NoObject) } else { Ok(OBJECT) }
}

/// Whether this build carries kernel programs.
pub fn present() -> bool {
    !OBJECT.is_empty()
}
