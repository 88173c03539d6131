//! `scan [FILE...]`: one JSON object per line, as they are found. An object with `protocol` is a message, one with
//! `detector` a finding (also those within messages), one with `what` a number of bytes that were not inspected.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use gnomon_inspect::{Inspector, Item, Limits};
use serde::Serialize;

use super::Scan;
use super::output::{NotInspected, decide};

const PIECE: usize = 64 << 10;

/// A line, with the file it is about unless that is stdin.
#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(flatten)]
    object: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
}

pub(super) fn run(scan: &Scan, files: &[PathBuf], out: &mut impl Write) -> anyhow::Result<ExitCode> {
    if files.is_empty() {
        connection(scan, None, std::io::stdin().lock(), out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut code = ExitCode::SUCCESS;
    for path in files {
        match File::open(path).with_context(|| format!("cannot read {}", path.display())) {
            Ok(file) => connection(scan, Some(path), file, out)?,
            Err(error) => {
                eprintln!("gnomon-agent: {error:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn connection(
    scan: &Scan,
    file: Option<&Path>,
    mut input: impl Read,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut inspector = Inspector::new(scan.transport, Limits::default());
    let mut items = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let n = match input.read(&mut piece) {
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => {
                return Err(e).with_context(|| {
                    format!("cannot read {}", file.unwrap_or(Path::new("stdin")).display())
                });
            }
        };
        if n == 0 {
            inspector.finish(scan.direction, &mut items);
        } else {
            inspector.push(scan.direction, &piece[..n], &mut items);
        }
        for item in items.drain(..) {
            print(scan, file, item, out)?;
        }
        // Whoever feeds stdin sees at once what came of it.
        out.flush()?;
        if n == 0 {
            return Ok(());
        }
    }
}

fn print(scan: &Scan, file: Option<&Path>, item: Item, out: &mut impl Write) -> anyhow::Result<()> {
    match item {
        Item::Message(message) => {
            let (decided, findings) = decide(&scan.policy, *message);
            line(out, &Line { object: decided, file })?;
            findings.into_iter().try_for_each(|finding| line(out, &Line { object: finding, file }))
        }
        Item::Findings(findings) => {
            findings.into_iter().try_for_each(|finding| line(out, &Line { object: finding, file }))
        }
        Item::Truncated { direction, what, bytes } => {
            line(out, &Line { object: NotInspected { direction, what, bytes }, file })
        }
    }
}

fn line(out: &mut impl Write, object: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")?;
    Ok(())
}
