//! `cargo xtask test`: everything that must hold, cheapest first, with one verdict at the end.
use std::{process::Command, time::Instant};

use anyhow::{Result, bail};

use crate::{
    build, paths, setup,
    shell::{is_root, run as sh},
    vm,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Cargo packages that build for this machine: the kernel programs build only for BPF.
const USER_SPACE: [&str; 3] = ["--workspace", "--exclude", "gnomon-ebpf"];
/// Tests that start an agent, which needs root.
const NATIVE: &str = "binary(native)";
/// Tests that also start a browser.
const BROWSER: &str = "binary(browser)";

/// How the stages went.
#[derive(Debug, Default)]
struct Report {
    passed: Vec<String>,
    failed: Vec<String>,
    left_out: Vec<String>,
}

pub(crate) fn run(_: &Args) -> Result<()> {
    let mut report = Report::default();
    let root = is_root();
    if !root {
        // The reason is printed with the others at the end: here it would scroll away.
        report.left_out.push("end to end, virtual machine, browser: they need root".to_owned());
    }
    let set_up = if root { report.stage("setup", setup::run) } else { report.attempt("setup", setup::run) };
    report.stage("format", || sh(cargo().args(["fmt", "--all", "--check"])));
    report.stage("clippy", || {
        sh(cargo().arg("clippy").args(USER_SPACE).args(["--all-targets", "--", "-D", "warnings"]))
    });
    // Without the packages of setup the clients of gnomon-tests have nothing to run.
    let tests = if set_up.is_some() {
        format!("not ({NATIVE} | {BROWSER})")
    } else {
        "not package(gnomon-tests)".to_owned()
    };
    report.stage("unit and property", || nextest(&tests));
    let built = set_up.and_then(|()| report.stage("build", build::run));
    match built {
        Some(built) if root => {
            report.stage("end to end", || nextest(NATIVE));
            report.stage("virtual machine", || vm::run_built(&built));
            report.stage("browser", || nextest(BROWSER));
        }
        Some(_) => {}
        None => {
            report.left_out.push("everything that needs the built agent: setup or build failed".to_owned())
        }
    }
    report.finish()
}

impl Report {
    /// Runs one stage; a failure is kept, and the next stage still runs.
    fn stage<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        println!("\n=== {name}");
        let started = Instant::now();
        let result = work();
        let line = format!("{name} ({} s)", started.elapsed().as_secs());
        match result {
            Ok(value) => {
                self.passed.push(line);
                Some(value)
            }
            Err(error) => {
                println!("{name}: {error:#}");
                self.failed.push(format!("{line}: {error:#}"));
                None
            }
        }
    }

    /// Like a stage, but failing means that its purpose is left out: without root nothing can be installed.
    fn attempt<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        let done = self.stage(name, work);
        if done.is_none() {
            self.left_out.extend(self.failed.pop());
        }
        done
    }

    fn finish(self) -> Result<()> {
        println!("\n=== summary");
        for (mark, lines) in
            [("ok      ", &self.passed), ("LEFT OUT", &self.left_out), ("FAILED  ", &self.failed)]
        {
            lines.iter().for_each(|line| println!("{mark} {line}"));
        }
        if !self.failed.is_empty() {
            bail!("{} of {} stages failed", self.failed.len(), self.failed.len() + self.passed.len());
        }
        if !self.left_out.is_empty() {
            // Not a pass: nobody should take half of the tests for all of them.
            println!("\nWhat ran passed, but this was not everything: exit code 3.");
            std::process::exit(3);
        }
        Ok(())
    }
}

fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::root());
    cargo
}

fn nextest(filter: &str) -> Result<()> {
    // Errors carry their own story; stack traces of anyhow would bury it.
    sh(setup::cargo_nextest()
        .current_dir(paths::root())
        .env("RUST_LIB_BACKTRACE", "0")
        .arg("run")
        .args(USER_SPACE)
        .args(["-E", filter]))
}
