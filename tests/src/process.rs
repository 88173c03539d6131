//! A process that a test started: its output in a log file, its end certain.
use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::wait;

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// A running process in its own process group; ended, with its children, when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with standard output and error in `<logs>/<name>.log`.
    ///
    /// # Errors
    /// When the log cannot be made or the program cannot be started.
    pub fn start(name: &str, command: &mut Command, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        // Appended to: a restarted agent keeps the story of its first life.
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("{}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Its own group: Ctrl-C reaches only the parent, which then ends everything in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().to_string_lossy()))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last `lines` lines of its output, for an error message.
    pub fn tail(&self, lines: usize) -> String {
        let output = self.output();
        let all: Vec<&str> = output.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Waits until `probe` is true; fails at once, with the log's tail, when the process ends before.
    ///
    /// # Errors
    /// When the process ended, or `within` passed.
    pub fn ready(&mut self, within: Duration, mut probe: impl FnMut(&Self) -> bool) -> Result<()> {
        let what = format!("{} to be ready", self.name);
        let result = wait::until(&what, within, || {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}", self.name);
            }
            Ok(probe(self))
        });
        result.with_context(|| format!("log {}:\n{}", self.log.display(), self.tail(20)))
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to the process group.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("pid 0")?;
        kill_process_group(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// When it does not end in time; it is then killed.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        let what = format!("{} to end after SIGTERM", self.name);
        let ended = wait::for_some(&what, GRACE, || Ok(self.child.try_wait()?));
        if ended.is_err() {
            self.kill();
        }
        ended.with_context(|| format!("log {}:\n{}", self.log.display(), self.tail(20)))
    }

    /// SIGKILL to the whole group, and reaps the process.
    pub fn kill(&mut self) {
        // Only a child that was not reaped still owns its pid; a reaped one's number may belong to somebody else.
        if self.alive() {
            let _ = self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.alive() {
            let _ = self.stop();
        }
        self.kill();
    }
}
