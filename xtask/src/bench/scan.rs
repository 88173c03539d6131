//! `gnomon-agent scan` over HTTP requests, against reading the same file and counting its lines.
use std::{
    fmt::Write,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use gnomon_tests::{mcp, paths};
use serde_json::json;

use super::{
    Setting,
    row::{Row, median},
};
use crate::interrupt;

/// Large enough that starting the process does not count.
const CORPUS_BYTES: usize = 64 << 20;

pub(super) fn measure(setting: &Setting<'_>) -> Result<Vec<Row>> {
    Ok(vec![
        one(setting, "MCP requests", mcp_body)?,
        one(setting, "JSON requests that are not MCP", other_body)?,
    ])
}

fn one(setting: &Setting<'_>, name: &str, body: fn(u64) -> String) -> Result<Row> {
    let file = setting.dir.join("corpus.http");
    fs::write(&file, corpus(body))?;
    let megabytes = fs::metadata(&file)?.len() as f64 / 1e6;
    let (mut scans, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        interrupt::check()?;
        reads.push(megabytes / timed(|| count_lines(&file))?);
        scans.push(megabytes / timed(|| scan(&file))?);
    }
    let ratios: Vec<f64> = scans.iter().zip(&reads).map(|(scan, read)| scan / read).collect();
    Ok(Row {
        what: format!("scan, {name}"),
        unit: "MB/s",
        value: median(&scans),
        baseline: Some(median(&reads)),
        against: "MB/s, read and count lines".to_owned(),
        ratio: Some(median(&ratios)),
        budget: None,
        rounds: scans,
    })
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64())
}

fn count_lines(file: &Path) -> Result<()> {
    let output = Command::new("wc").arg("-l").arg(file).output()?;
    ensure!(output.status.success(), "wc failed");
    Ok(())
}

fn scan(file: &Path) -> Result<()> {
    let mut command = Command::new(paths::binary("gnomon-agent")?);
    command.args(["scan", "--transport", "http", "--direction", "request"]).arg(file).stdout(Stdio::null());
    let status = command.status().context("cannot start gnomon-agent")?;
    ensure!(status.success(), "gnomon-agent scan ended with {status}");
    Ok(())
}

/// Requests of one keep-alive connection.
fn corpus(body: fn(u64) -> String) -> String {
    let mut corpus = String::with_capacity(CORPUS_BYTES + (16 << 10));
    for id in 0.. {
        if corpus.len() >= CORPUS_BYTES {
            break;
        }
        let body = body(id);
        corpus.push_str("POST /mcp HTTP/1.1\r\nHost: mcp.example.com\r\n");
        for (name, value) in mcp::HEADERS {
            // Writing to a String cannot fail.
            let _ = write!(corpus, "{name}: {value}\r\n");
        }
        let _ = write!(corpus, "content-length: {}\r\n\r\n{body}", body.len());
    }
    corpus
}

/// A small call, a call with a page of text, a list, in turn.
fn mcp_body(id: u64) -> String {
    match id % 3 {
        0 => mcp::echo_call(id, "what is the weather in Oslo"),
        1 => mcp::call(id, "write_file", &json!({"path": "/srv/notes.md", "content": prose(id)})),
        _ => json!({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {}}).to_string(),
    }
}

/// The same sizes in the shape of an ordinary web API.
fn other_body(id: u64) -> String {
    match id % 3 {
        0 => json!({"order": id, "customer": "what is the weather in Oslo", "items": [1, 2, 3]}).to_string(),
        1 => json!({"title": "notes", "revision": id, "content": prose(id)}).to_string(),
        _ => json!({"page": id, "per_page": 50, "filter": {}}).to_string(),
    }
}

/// Two kilobytes of words, different for each `id`.
fn prose(id: u64) -> String {
    const WORDS: [&str; 12] = [
        "the",
        "quarterly",
        "report",
        "shows",
        "that",
        "shipping",
        "costs",
        "fell",
        "while",
        "demand",
        "for",
        "parts",
    ];
    let mut text = String::with_capacity(2100);
    let mut state = id.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    while text.len() < 2048 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(WORDS[(state >> 33) as usize % WORDS.len()]);
        text.push(' ');
    }
    text
}
