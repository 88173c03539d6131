//! Running commands so that a failure says what was run and what it printed.
use std::{
    ffi::OsStr,
    io::{IsTerminal, Write},
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

/// The first match of `name` on `PATH`.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Runs `command` to its end with its output on the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs `command` to its end and returns its standard output; its standard error goes into the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!(
            "{} ended with {}: {}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} printed something that is not UTF-8", shown(command)))
}

/// A command line as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs one named step: its name first, so that a slow one can be told from a hanging one, then how it went.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
    let mut out = std::io::stdout().lock();
    // Rewriting the line needs a terminal; a log file gets whole lines.
    let live = out.is_terminal();
    if live {
        write!(out, "  {name:<22} ...")?;
        out.flush()?;
    }
    drop(out);
    let started = Instant::now();
    let result = work();
    let took = started.elapsed().as_secs_f32();
    let back = if live { "\r" } else { "" };
    match result {
        Ok((value, note)) => {
            println!("{back}  {name:<22} ok    {note} ({took:.1} s)");
            Ok(value)
        }
        Err(error) => {
            println!("{back}  {name:<22} FAILED ({took:.1} s)");
            Err(error)
        }
    }
}
