//! What the demo tells, and what it checks while telling.
use std::{
    cell::RefCell,
    io::{IsTerminal, Write},
};

use serde::Serialize;

/// One claim and whether it held.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    what: String,
    ok: bool,
    detail: String,
}

/// Prints to the terminal as things happen and keeps the checks.
#[derive(Debug)]
pub(super) struct Story {
    checks: RefCell<Vec<Check>>,
    to_stderr: bool,
    colour: bool,
}

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";

impl Story {
    /// `to_stderr` keeps standard output free for a machine.
    pub(super) fn new(to_stderr: bool) -> Self {
        let terminal =
            if to_stderr { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        Self {
            checks: RefCell::default(),
            to_stderr,
            colour: terminal && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// A new part of the story.
    pub(super) fn heading(&self, text: &str) {
        self.line(&format!("\n{}", self.paint(BOLD, text)));
    }

    /// Something that happened.
    pub(super) fn say(&self, text: &str) {
        self.line(&format!("  {text}"));
    }

    /// A claim, whether it held, and the figures behind it.
    pub(super) fn check(&self, what: &str, ok: bool, detail: &str) {
        let mark = if ok { self.paint(GREEN, "ok  ") } else { self.paint(RED, "FAIL") };
        self.line(&format!("  {mark} {what}: {detail}"));
        self.checks.borrow_mut().push(Check { what: what.to_owned(), ok, detail: detail.to_owned() });
    }

    /// Everything checked so far.
    pub(super) fn checks(&self) -> Vec<Check> {
        self.checks.borrow().clone()
    }

    /// How many checks failed.
    pub(super) fn failed(&self) -> usize {
        self.checks.borrow().iter().filter(|check| !check.ok).count()
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&self, text: &str) {
        // A reader that went away must not keep the demo from ending what it started.
        let _ = if self.to_stderr {
            writeln!(std::io::stderr(), "{text}")
        } else {
            writeln!(std::io::stdout(), "{text}")
        };
    }
}
