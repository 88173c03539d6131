//! The dashboard in a real browser: what a host does appears on the page.
use std::time::Duration;

use anyhow::{Result, ensure};
use gnomon_tests::{
    agent::Agent,
    client::{Client, Kind},
    collector::Collector,
    expect, mcp,
    pki::Pki,
    policy,
    recorder::Recorder,
    webdriver::Browser,
};

const APPEARS_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn a_stopped_call_appears_on_the_open_page() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let collector = Collector::start(dir.path())?;
    let (approved, shadow) = (Recorder::plain()?, Recorder::tls(&pki)?);
    let _agent = Agent::start(
        &dir.path().join("agent"),
        &policy::only(7, &[("approved", &approved.host())]),
        Some(&collector),
    )?;

    let browser = Browser::start(dir.path())?;
    let link = collector.admin_link()?;
    browser.open(&link)?;
    let heading = browser.text_of("#events-title", APPEARS_WITHIN)?;
    ensure!(heading == "Events", "{heading:?}");

    // The page is open already: rows must come by themselves.
    let mut client = Client::start(Kind::Curl, &pki.ca)?;
    expect::passed(&mut client, &approved, &mcp::echo_call(1, "harmless payload"))?;
    expect::stopped(&mut client, &shadow, &mcp::echo_call(2, "private payload"), expect::ERROR_WITHIN)?;
    let row = |server: &Recorder, verdict: &str| {
        format!("tr[data-server=\"{}\"][data-verdict=\"{verdict}\"]", server.host())
    };
    let denied = browser.text_of(&row(&shadow, "deny"), APPEARS_WITHIN)?;
    for part in ["denied", "stopped, 0 B left the host", "tools/call", "echo", "curl"] {
        ensure!(denied.contains(part), "no {part:?} in {denied:?}");
    }
    let allowed = browser.text_of(&row(&approved, "allow"), APPEARS_WITHIN)?;
    ensure!(allowed.contains("sanctioned: approved"), "{allowed:?}");

    // Payload is the host's business.
    let page = browser.run("return document.documentElement.outerHTML;", &[])?;
    let page = page.as_str().unwrap_or_default();
    ensure!(!page.contains("private payload") && !page.contains("harmless payload"));

    browser.run("location.hash = '#/hosts';", &[])?;
    let host = browser.text_of("article[data-host-id][data-state=online]", APPEARS_WITHIN)?;
    ensure!(host.contains("revision 7"), "{host:?}");
    browser.run("location.hash = '#/servers';", &[])?;
    let server = browser.text_of(
        &format!("#servers tr[data-server=\"{}\"][data-sanctioned=false]", shadow.host()),
        APPEARS_WITHIN,
    )?;
    ensure!(server.contains("not sanctioned"), "{server:?}");
    Ok(())
}

#[test]
fn an_admin_link_works_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let collector = Collector::start(dir.path())?;
    let browser = Browser::start(dir.path())?;
    let link = collector.admin_link()?;
    browser.open(&link)?;
    browser.text_of("#events-title", APPEARS_WITHIN)?;
    // Somebody else, who found the link later.
    let other = tempfile::tempdir()?;
    let thief = Browser::start(other.path())?;
    thief.open(&link)?;
    let events = thief.run("return document.querySelector('#events');", &[])?;
    ensure!(events.is_null(), "the used link opened the dashboard again");
    thief.open(&format!("http://{}/", collector.http()))?;
    let events = thief.run("return document.querySelector('#events');", &[])?;
    ensure!(events.is_null(), "the dashboard opened without a session");
    Ok(())
}
