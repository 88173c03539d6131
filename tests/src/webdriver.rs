//! A headless Chromium, driven over WebDriver (W3C Recommendation, WebDriver 2): as little of it as page tests need.
use std::{
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{process::Process, server::free_port, wait};

const START: Duration = Duration::from_secs(60);
/// For one command; loading a page is the longest.
const COMMAND: Duration = Duration::from_secs(60);

/// One browser with one page; closed when dropped.
#[derive(Debug)]
pub struct Browser {
    session: String,
    http: ureq::Agent,
    // After the session: dropping it first would orphan the browser.
    _driver: Process,
}

impl Browser {
    /// Starts chromedriver and a browser with a fresh profile in `dir`.
    ///
    /// # Errors
    /// When they are not installed or do not come up.
    pub fn start(dir: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut driver =
            Process::start("chromedriver", Command::new("chromedriver").arg(format!("--port={port}")), dir)?;
        driver.ready(START, |_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;
        let http: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(COMMAND)).build().into();
        let profile = format!("--user-data-dir={}", dir.join("profile").display());
        // Root cannot have Chromium's sandbox; the only page that is opened is the collector's.
        let args = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--window-size=1400,900",
            profile
        ]);
        let base = format!("http://127.0.0.1:{port}/session");
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": args}}}});
        let reply: Value = post(&http, &base, &wanted).with_context(|| driver.tail(20))?;
        let id = reply
            .pointer("/sessionId")
            .and_then(Value::as_str)
            .with_context(|| format!("no session in {reply}"))?;
        Ok(Self { session: format!("{base}/{id}"), http, _driver: driver })
    }

    /// Opens a page and waits until it is loaded.
    ///
    /// # Errors
    /// When the browser reports one.
    pub fn open(&self, url: &str) -> Result<()> {
        post(&self.http, &format!("{}/url", self.session), &json!({ "url": url })).map(drop)
    }

    /// Runs the body of a JavaScript function in the page and returns what it returns.
    ///
    /// # Errors
    /// When the script throws.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Result<Value> {
        post(
            &self.http,
            &format!("{}/execute/sync", self.session),
            &json!({"script": script, "args": arguments}),
        )
    }

    /// Waits until an element matches `selector` and returns its visible text.
    ///
    /// # Errors
    /// When none does; the page's text goes into the error.
    pub fn text_of(&self, selector: &str, within: Duration) -> Result<String> {
        let script = "const e = document.querySelector(arguments[0]); return e && e.innerText;";
        let found = wait::for_some(selector, within, || {
            Ok(self.run(script, &[selector])?.as_str().map(str::to_owned))
        });
        found.with_context(|| {
            format!("the page says: {}", self.run("return document.body.innerText;", &[]).unwrap_or_default())
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.http.delete(&self.session).call();
    }
}

fn post(http: &ureq::Agent, url: &str, body: &Value) -> Result<Value> {
    let mut reply: Value = http
        .post(url)
        .config()
        // Errors have a body that says what is wrong.
        .http_status_as_error(false)
        .build()
        .send_json(body)?
        .body_mut()
        .read_json()?;
    if let Some(error) = reply.pointer("/value/error").and_then(Value::as_str) {
        anyhow::bail!(
            "WebDriver: {error}: {}",
            reply.pointer("/value/message").and_then(Value::as_str).unwrap_or_default()
        );
    }
    Ok(reply["value"].take())
}
