//! TLS libraries that are not where the agent saw them first.
use std::{fs, os::unix::fs::symlink, path::Path, path::PathBuf, process::Command, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use gnomon_tests::{client::Outcome, expect, mcp, recorder::Recorder};

use crate::stage::Stage;

/// A library in a mount namespace of its own has an inode that no process of the host has open.
#[test]
fn a_library_in_another_mount_namespace() -> Result<()> {
    let stage = Stage::with_agent()?;
    let libssl = libssl()?;
    let copy = stage.dir.path().join("libssl-copy.so");
    fs::copy(&libssl, &copy)?;
    // Only this process and its children see the copy in the library's place.
    let script = format!("mount --bind '{}' '{}' && exec \"$@\"", copy.display(), libssl.display());
    let server = &stage.servers.shadow_tls;
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["--mount", "sh", "-c", &script, "sh"]);
    stage.stopped(|| curl(&stage, server, &mut elsewhere), server).map(drop)
}

#[test]
fn a_library_file_that_is_replaced() -> Result<()> {
    let stage = Stage::with_agent()?;
    let libssl = libssl()?;
    let private = stage.dir.path().join("lib");
    fs::create_dir(&private)?;
    let name = libssl.file_name().context("libssl without a name")?;
    let server = &stage.servers.shadow_tls;
    for _ in 0..3 {
        // As package managers do: a new file takes the old one's name.
        let new = private.join("new");
        fs::copy(&libssl, &new)?;
        fs::rename(&new, private.join(name))?;
        stage.stopped(
            || {
                curl(
                    &stage,
                    server,
                    Command::new("env").arg(format!("LD_LIBRARY_PATH={}", private.display())),
                )
            },
            server,
        )?;
    }
    Ok(())
}

/// A name that other libraries do not have: the agent goes by what a file exports, or at least follows links.
#[test]
fn a_library_behind_a_symbolic_link() -> Result<()> {
    let stage = Stage::with_agent()?;
    let libssl = libssl()?;
    let private = stage.dir.path().join("lib");
    fs::create_dir(&private)?;
    let real = private.join("libssl.so.3.0.99");
    fs::copy(&libssl, &real)?;
    symlink(&real, private.join(libssl.file_name().context("libssl without a name")?))?;
    let server = &stage.servers.shadow_tls;
    stage.stopped(
        || curl(&stage, server, Command::new("env").arg(format!("LD_LIBRARY_PATH={}", private.display()))),
        server,
    )?;
    Ok(())
}

/// Runs curl below `wrapper` and expects that nothing of its request arrives.
fn curl(stage: &Stage, server: &Recorder, wrapper: &mut Command) -> Result<Outcome> {
    let before = server.received();
    let headers =
        mcp::HEADERS.iter().flat_map(|(name, value)| ["--header".to_owned(), format!("{name}: {value}")]);
    let output = wrapper
        .args([
            "curl",
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--write-out",
            "%{time_total}",
            "--cacert",
        ])
        .arg(&stage.pki.ca)
        .args(headers)
        .args(["--data-binary", &mcp::echo_call(1, "shadow"), &server.url()])
        .output()?;
    thread::sleep(Duration::from_millis(700));
    let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let arrived = server.received();
    ensure!(arrived.connections > before.connections, "curl did not even connect: {error}");
    ensure!(
        arrived.body_bytes == before.body_bytes,
        "{} body bytes arrived",
        arrived.body_bytes - before.body_bytes
    );
    ensure!(!output.status.success(), "curl saw no error");
    let seconds: f64 =
        String::from_utf8_lossy(&output.stdout).trim().parse().context("curl printed no time")?;
    ensure!(seconds < expect::ERROR_WITHIN.as_secs_f64(), "curl saw its error after {seconds} s");
    Ok(Outcome { status: None, ms: (seconds * 1000.0) as u64, error: Some(error) })
}

/// The libssl that curl uses.
fn libssl() -> Result<PathBuf> {
    let curl = Command::new("sh").args(["-c", "ldd $(command -v curl)"]).output()?;
    let text = String::from_utf8(curl.stdout)?;
    let path = text
        .split_whitespace()
        .find(|word| word.starts_with('/') && word.contains("/libssl.so"))
        .context("curl uses no libssl")?;
    fs::canonicalize(Path::new(path)).map_err(Into::into)
}
