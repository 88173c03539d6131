//! curl, a process per request.
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{CLIENT_TIMEOUT, Outcome};
use crate::mcp;

/// Sends `body` with `command`, which executes curl when given curl's arguments.
pub(super) fn post(mut command: Command, url: &str, body: &str, ca: &Path) -> Result<Outcome> {
    command.args(["--silent", "--show-error", "--output", "/dev/null", "--cacert"]).arg(ca);
    command.args(["--write-out", "%{http_code} %{time_total}"]);
    command.args(["--max-time", &CLIENT_TIMEOUT.as_secs().to_string()]);
    for (name, value) in mcp::HEADERS {
        command.arg("--header").arg(format!("{name}: {value}"));
    }
    // By standard input: an argument is limited to 128 KiB.
    command
        .args(["--data-binary", "@-", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start curl")?;
    child.stdin.take().context("no stdin")?.write_all(body.as_bytes())?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some((status, seconds)) = text.split_once(' ') else {
        bail!("curl printed {text:?} and {:?}", String::from_utf8_lossy(&output.stderr))
    };
    let seconds: f64 = seconds.trim().parse().with_context(|| format!("curl printed {text:?}"))?;
    let error = (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned());
    Ok(Outcome {
        status: status.parse().ok().filter(|code| *code != 0),
        ms: u64::try_from(Duration::from_secs_f64(seconds).as_millis())?,
        error,
    })
}
