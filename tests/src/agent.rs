//! A running `gnomon-agent` with its own policy, spool and events file.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    collector::Collector,
    events::{self, Event},
    paths,
    process::Process,
    wait,
};

/// Loading and attaching; generous for an emulated machine.
const START: Duration = Duration::from_secs(120);

/// An agent in a folder of its own; stopped when dropped.
#[derive(Debug)]
pub struct Agent {
    dir: PathBuf,
    process: Option<Process>,
}

impl Agent {
    /// Writes configuration and `policy` into `dir` and starts the agent.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(dir: &Path, policy: &str, collector: Option<&Collector>) -> Result<Self> {
        let mut agent = Self { dir: dir.to_owned(), process: None };
        fs::create_dir_all(dir)?;
        agent.write_policy(policy)?;
        agent.configure(collector)?;
        agent.resume()?;
        Ok(agent)
    }

    /// Starts it again in the same folder.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn resume(&mut self) -> Result<()> {
        ensure_alone()?;
        let mut command = Command::new(paths::binary("gnomon-agent")?);
        command.args(["run", "--config"]).arg(self.config());
        let mut process = Process::start("agent", &mut command, &self.dir)?;
        process.ready(START, |_| self.decides().unwrap_or_default())?;
        self.process = Some(process);
        Ok(())
    }

    /// Replaces the policy document as an administrator would: a new file moved over the old one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_policy(&self, text: &str) -> Result<()> {
        let path = self.dir.join("policy.yaml");
        let new = path.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &path).with_context(|| format!("{}", path.display()))
    }

    fn configure(&self, collector: Option<&Collector>) -> Result<()> {
        let at = |name: &str| toml_string(&self.dir.join(name));
        let mut text = format!(
            "[policy]\nfile = {}\n[output]\njsonl = {}\n[spool]\ndir = {}\n[control]\nsocket = {}\n",
            at("policy.yaml"),
            at("events.jsonl"),
            at("state"),
            at("agent.sock"),
        );
        if let Some(collector) = collector {
            let token = self.dir.join("token");
            fs::write(&token, collector.token()?)?;
            text += &format!(
                "[collector]\naddress = \"{}\"\ntoken_file = {}\nheartbeat_secs = 1\n",
                collector.grpc(),
                toml_string(&token)
            );
        }
        fs::write(self.config(), text).context("agent.toml")
    }

    fn config(&self) -> PathBuf {
        self.dir.join("agent.toml")
    }

    /// What `gnomon-agent status --json` says.
    ///
    /// # Errors
    /// When no agent answers.
    pub fn status(&self) -> Result<Value> {
        let output = Command::new(paths::binary("gnomon-agent")?)
            .args(["status", "--json", "--config"])
            .arg(self.config())
            .output()?;
        if !output.status.success() {
            bail!("status: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("status printed no JSON")
    }

    /// Whether its policy decides by now: documents of tests count their revisions from 1.
    fn decides(&self) -> Result<bool> {
        let status = self.status()?;
        let revision = status.pointer("/health/policy_revision").and_then(Value::as_u64);
        Ok(revision.is_some_and(|revision| revision > 0))
    }

    /// Events written so far.
    ///
    /// # Errors
    /// When the file is unreadable.
    pub fn events(&self) -> Result<Vec<Event>> {
        events::read(&self.dir.join("events.jsonl"))
    }

    /// Waits for an event.
    ///
    /// # Errors
    /// When none comes; the events there are go into the error.
    pub fn event(&self, what: &str, within: Duration, matches: impl Fn(&Event) -> bool) -> Result<Event> {
        wait::for_some(what, within, || Ok(self.events()?.into_iter().find(&matches))).with_context(|| {
            let events = self.events().unwrap_or_default();
            let last: Vec<String> = events.iter().rev().take(5).map(|event| event.0.to_string()).collect();
            format!(
                "{} events, the last of them:\n{}\nlog:\n{}",
                events.len(),
                last.join("\n"),
                self.log_tail(30)
            )
        })
    }

    /// Process id.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the agent is stopped")?.pid())
    }

    /// The end of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        self.process.as_ref().map(|process| process.tail(lines)).unwrap_or_default()
    }

    /// SIGTERM and the orderly end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.take().context("the agent is stopped")?.stop()
    }
}

/// Makes sure that no other agent decides on this host: what it stops would look like this one's work, or failure.
///
/// # Errors
/// When there is one; its process id is in the error.
pub fn ensure_alone() -> Result<()> {
    for entry in fs::read_dir("/proc")?.flatten() {
        // Gone in the meantime, or a kernel thread: no words.
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = command.split(|byte| *byte == 0);
        if words.next().is_some_and(|program| program.ends_with(b"gnomon-agent"))
            && words.any(|word| word == b"run")
        {
            bail!(
                "another gnomon-agent runs on this host (process {}): stop it first",
                entry.file_name().display()
            );
        }
    }
    Ok(())
}

/// A path as a TOML string: JSON's escapes are a subset of TOML's.
fn toml_string(path: &Path) -> String {
    Value::from(path.to_string_lossy()).to_string()
}
