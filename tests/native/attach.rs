//! TLS libraries that are not where the agent saw them first.
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use gnomon_tests::{
    client::{Client, Kind},
    events::Event,
    mcp, wait,
};

use crate::stage::{EVENT_WITHIN, Stage};

/// A file that no process had mapped before must be found and probed within this time.
const FOUND_WITHIN: Duration = Duration::from_secs(3);

/// A library in a mount namespace of its own: no path of the host leads to it.
#[test]
fn a_library_in_another_mount_namespace() -> Result<()> {
    let stage = Stage::with_agent()?;
    let libssl = libssl()?;
    let copy = stage.dir.path().join("libssl-copy.so");
    fs::copy(&libssl, &copy)?;
    // Only this process and its children see the copy in the library's place.
    let script = format!("mount --bind '{}' '{}' && exec \"$@\"", copy.display(), libssl.display());
    is_stopped(&stage, &["unshare", "--mount", "sh", "-c", &script, "sh"])
}

#[test]
fn a_library_file_that_is_replaced() -> Result<()> {
    let stage = Stage::with_agent()?;
    let libssl = libssl()?;
    let private = private_folder(&stage)?;
    let name = libssl.file_name().context("libssl without a name")?;
    for _ in 0..3 {
        // As package managers do: a new file takes the old one's name.
        let new = private.join("new");
        fs::copy(&libssl, &new)?;
        fs::rename(&new, private.join(name))?;
        is_stopped(&stage, &["env", &search_path(&private)])?;
    }
    Ok(())
}

#[test]
fn a_library_behind_a_symbolic_link() -> Result<()> {
    let stage = Stage::with_agent()?;
    let libssl = libssl()?;
    let private = private_folder(&stage)?;
    let real = private.join("libssl.so.3.0.99");
    fs::copy(&libssl, &real)?;
    symlink(&real, private.join(libssl.file_name().context("libssl without a name")?))?;
    is_stopped(&stage, &["env", &search_path(&private)])
}

/// Clients below `wrapper` use a library that the agent has not seen.
fn is_stopped(stage: &Stage, wrapper: &[&str]) -> Result<()> {
    let server = &stage.servers.shadow_tls;
    // A process that lives long enough to be found: the first to map the file may be too fast for any observer.
    let mut first = Client::start_below(wrapper, Kind::Requests, &stage.pki.ca)?;
    stage.expect_passed(&mut first, &stage.servers.approved_tls, "maps the library")?;
    let mut attempts = 0;
    wait::until("the library to be probed", FOUND_WITHIN, || {
        attempts += 1;
        Ok(!first.post(&server.url(), &mcp::echo_call(attempts, "shadow"))?.passed())
    })?;
    // Its event must not be taken for that of the next call.
    wait::until("the event of the stopped attempt", EVENT_WITHIN, || {
        Ok(stage.denied(server)?.iter().any(Event::stopped))
    })?;
    stage.expect_stopped(&mut first, server, "by the process that was found")?;
    // From then on whoever maps the file is stopped with its first request.
    let mut second = Client::start_below(wrapper, Kind::Curl, &stage.pki.ca)?;
    stage.expect_stopped(&mut second, server, "by a later process")?;
    stage.expect_passed(&mut second, &stage.servers.approved_tls, "by a later process")
}

fn private_folder(stage: &Stage) -> Result<PathBuf> {
    let folder = stage.dir.path().join("lib");
    fs::create_dir(&folder)?;
    Ok(folder)
}

/// For `env`: the folder in which the dynamic linker looks first.
fn search_path(folder: &Path) -> String {
    format!("LD_LIBRARY_PATH={}", folder.display())
}

/// The libssl that curl uses, and CPython too.
fn libssl() -> Result<PathBuf> {
    let curl = Command::new("sh").args(["-c", "ldd \"$(command -v curl)\""]).output()?;
    let text = String::from_utf8(curl.stdout)?;
    let mut paths =
        text.split_whitespace().filter(|word| word.starts_with('/') && word.contains("/libssl.so"));
    fs::canonicalize(Path::new(paths.next().context("curl uses no libssl")?)).map_err(Into::into)
}
