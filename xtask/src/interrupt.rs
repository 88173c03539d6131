//! Ctrl-C and SIGTERM as a flag, so that what was started is ended in order by its owner.
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, bail};
use signal_hook::{consts, flag};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Takes over SIGINT and SIGTERM. A second signal ends the process at once, in case the orderly end hangs.
pub(crate) fn install() -> Result<()> {
    let flag = FLAG.get_or_init(Default::default);
    for signal in [consts::SIGINT, consts::SIGTERM] {
        flag::register_conditional_shutdown(signal, 130, Arc::clone(flag)).context("cannot catch signals")?;
        flag::register(signal, Arc::clone(flag)).context("cannot catch signals")?;
    }
    Ok(())
}

/// Whether the user asked to stop.
pub(crate) fn requested() -> bool {
    FLAG.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// An error when the user asked to stop, for use between steps.
pub(crate) fn check() -> Result<()> {
    if requested() {
        bail!("interrupted");
    }
    Ok(())
}
