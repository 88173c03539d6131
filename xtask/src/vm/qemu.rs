//! QEMU and what it says on its console.
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{interrupt, paths};

/// Far over the minute or two that it takes: emulated CPUs on a busy machine.
const LIMIT: Duration = Duration::from_secs(600);

pub(super) enum Outcome {
    Success,
    Failure(String),
}

/// Everything the console said in the last run.
pub(super) fn log() -> PathBuf {
    paths::target().join("vm/console.log")
}

/// Boots and watches the console until the machine reports, panics, ends or takes too long.
pub(super) fn boot(kernel: &Path, initramfs: &Path, lsm: &str, append: &str) -> Result<Outcome> {
    interrupt::install()?;
    // NAME=value parameters that the kernel does not know become the environment of the first process.
    let parameters =
        format!("console=ttyS0 quiet lsm={lsm} panic=-1 PATH=/usr/bin GNOMON_BIN_DIR=/usr/bin {append}");
    let child = Command::new("qemu-system-x86_64")
        // Without KVM: nested virtual machines are not to be had everywhere, and hang on some.
        .args([
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "1536",
            "-no-reboot",
            "-display",
            "none",
            "-monitor",
            "none",
            "-nic",
            "none",
        ])
        .args(["-serial", "stdio", "-append", &parameters, "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start qemu-system-x86_64")?;
    let mut machine = Machine(child);
    watch(&mut machine)
}

/// Ended when dropped.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn watch(machine: &mut Machine) -> Result<Outcome> {
    let console = machine.0.stdout.take().context("no console")?;
    let (sender, lines) = channel();
    thread::spawn(move || {
        let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
        lines
            .map(|line| String::from_utf8_lossy(&line).trim_end().to_owned())
            .try_for_each(|line| sender.send(line))
    });
    let mut log = File::create(log())?;
    let deadline = Instant::now() + LIMIT;
    loop {
        interrupt::check()?;
        if Instant::now() > deadline {
            return Ok(Outcome::Failure(format!("no report within {} s", LIMIT.as_secs())));
        }
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => {
                println!("  vm | {line}");
                writeln!(log, "{line}")?;
                if line.contains("gnomon-vm: success") {
                    return Ok(Outcome::Success);
                }
                if line.contains("gnomon-vm: failure") {
                    return Ok(Outcome::Failure("the scenario failed".to_owned()));
                }
                if line.contains("Kernel panic") {
                    return Ok(Outcome::Failure(line));
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(Outcome::Failure("it ended without a report".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
