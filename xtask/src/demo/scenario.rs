//! What happens, in order.
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use gnomon_tests::{
    client::{Client, Kind, Outcome, Sdk},
    events::Event,
    expect::ERROR_WITHIN,
    mcp, wait,
};
use serde_json::json;

use super::{story::Story, world::World};
use crate::interrupt;

/// From the last call to its event in the collector's store.
const SHIPPED_WITHIN: Duration = Duration::from_secs(20);
/// Longer than TCP waits before it sends a lost segment again.
const RETRANSMISSIONS: Duration = Duration::from_millis(700);

/// An event that the collector must have in the end.
struct Expected {
    what: String,
    matches: Box<dyn Fn(&Event) -> bool>,
}

pub(super) fn play(story: &Story, world: &mut World) -> Result<()> {
    without_agent(story, world)?;
    story.heading("Gnomon starts; its policy names the two approved servers and denies all others");
    world.start_agent()?;
    let mut expected = vec![approved_call(story, world)?];
    interrupt::check()?;
    expected.push(shadow_call(story, world)?);
    interrupt::check()?;
    expected.extend(shadow_calls_over_tls(story, world)?);
    interrupt::check()?;
    let key = planted_key()?;
    expected.push(planted_key_call(story, world, &key)?);
    in_the_store(story, world, expected)?;
    nowhere_in_clear(story, world, &key)
}

/// A control: the same calls work when nobody watches.
fn without_agent(story: &Story, world: &World) -> Result<()> {
    story.heading("Before Gnomon: shadow calls just work");
    let session = Sdk::TypeScript.session(
        &world.shadow.url(),
        "echo",
        &json!({"message": "anyone there?"}),
        &world.pki.ca,
    )?;
    let arrived = world.shadow.received().body_bytes;
    story.check(
        "TypeScript SDK to the shadow server",
        session.error.is_none() && arrived > 0,
        &format!("{arrived} body bytes arrived"),
    );
    let session = Sdk::Python.session(
        &world.shadow_tls.url(),
        "echo",
        &json!({"message": "anyone there?"}),
        &world.pki.ca,
    )?;
    let arrived = world.shadow_tls.counts()?.body_bytes;
    let ok = session.error.is_none() && arrived > 0;
    story.check(
        "Python SDK to the shadow server, TLS",
        ok,
        &format!("{arrived} body bytes arrived, decrypted"),
    );
    Ok(())
}

fn approved_call(story: &Story, world: &World) -> Result<Expected> {
    story.heading("1. An approved call passes");
    let session = Sdk::TypeScript.session(
        &world.approved.url(),
        "echo",
        &json!({"message": "hello"}),
        &world.pki.ca,
    )?;
    let answer = session.text.clone().or(session.error.clone()).unwrap_or_default();
    let ok = session.text.as_deref() == Some("Echo: hello");
    story.check(
        "TypeScript SDK: connect, list tools, call echo",
        ok,
        &format!("\"{answer}\" after {} ms", session.ms),
    );
    let host = world.approved.host();
    Ok(Expected {
        what: "the approved call, allowed".to_owned(),
        matches: Box::new(move |event| {
            event.is_request_to(&host)
                && event.str("/message/tool") == "echo"
                && event.str("/decision/verdict") == "allow"
        }),
    })
}

fn shadow_call(story: &Story, world: &mut World) -> Result<Expected> {
    story.heading("2. A shadow call over plaintext HTTP is stopped");
    let before = world.shadow.received();
    let session = Sdk::TypeScript.session(
        &world.shadow.url(),
        "echo",
        &json!({"message": "company secrets"}),
        &world.pki.ca,
    )?;
    thread::sleep(RETRANSMISSIONS);
    let after = world.shadow.received();
    let (all, body) = (after.bytes - before.bytes, after.body_bytes - before.body_bytes);
    let error = session.error.clone().unwrap_or_else(|| "no error".to_owned());
    let ok = body == 0 && in_time(session.error.is_some(), session.ms) && world.shadow_alive();
    story.check(
        "TypeScript SDK",
        ok,
        &format!(
            "body bytes received by the server = {body} (of the whole connection: {all}); client: {error} after {} ms",
            session.ms
        ),
    );
    let host = world.shadow.host();
    Ok(Expected {
        what: "the shadow call, stopped".to_owned(),
        matches: Box::new(move |event| event.is_request_to(&host) && event.stopped()),
    })
}

fn shadow_calls_over_tls(story: &Story, world: &mut World) -> Result<Vec<Expected>> {
    story.heading("3. Shadow calls over TLS are stopped, while an approved server on this host works on");
    let stop = AtomicBool::new(false);
    let (shadow, meanwhile) = thread::scope(|scope| {
        let bystander = scope.spawn(|| approved_meanwhile(world, &stop));
        let shadow = shadow_clients(story, world);
        stop.store(true, Ordering::Relaxed);
        (shadow, bystander.join())
    });
    let expected = shadow?;
    let meanwhile = meanwhile.ok().context("the approved client panicked")??;
    let passed = meanwhile.iter().filter(|outcome| outcome.passed()).count();
    let ok = passed == meanwhile.len() && passed > 0;
    story.check(
        "approved server meanwhile (httpx, TLS)",
        ok,
        &format!("{passed} of {} calls passed", meanwhile.len()),
    );
    story.check(
        "shadow servers are still up",
        world.shadow_alive(),
        "what did not arrive was stopped, not lost to a dead server",
    );
    Ok(expected)
}

fn shadow_clients(story: &Story, world: &World) -> Result<Vec<Expected>> {
    let url = world.shadow_tls.url();
    let mut expected = Vec::new();
    let mut tell =
        |name: &str, exe: &'static str, error: Option<String>, ms: u64, before: u64| -> Result<()> {
            thread::sleep(RETRANSMISSIONS);
            let body = world.shadow_tls.counts()?.body_bytes - before;
            let ok = body == 0 && in_time(error.is_some(), ms);
            let error = error.unwrap_or_else(|| "no error".to_owned());
            story.check(
                name,
                ok,
                &format!("decrypted body bytes at the server = {body}; client: {error} after {ms} ms"),
            );
            let host = world.shadow_tls.host();
            expected.push(Expected {
                what: format!("the shadow call of {name}, stopped"),
                matches: Box::new(move |event| {
                    event.is_request_to(&host) && event.stopped() && event.str("/process/exe").contains(exe)
                }),
            });
            Ok(())
        };
    let before = world.shadow_tls.counts()?.body_bytes;
    let session = Sdk::Python.session(&url, "echo", &json!({"message": "company secrets"}), &world.pki.ca)?;
    tell("Python SDK", "python", session.error, session.ms, before)?;
    for (kind, exe) in [(Kind::Httpx, "python"), (Kind::NodeFetch, "node"), (Kind::Curl, "curl")] {
        let mut client = Client::start(kind, &world.pki.ca)?;
        let before = world.shadow_tls.counts()?.body_bytes;
        let outcome = client.post(&url, &mcp::echo_call(1, "company secrets"))?;
        tell(kind.name(), exe, outcome.error, outcome.ms, before)?;
    }
    Ok(expected)
}

/// Calls the approved TLS server over one connection until told to stop.
fn approved_meanwhile(world: &World, stop: &AtomicBool) -> Result<Vec<Outcome>> {
    let mut client = Client::start(Kind::Httpx, &world.pki.ca)?;
    let mut outcomes = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let id = u64::try_from(outcomes.len())? + 1;
        outcomes.push(client.post(&world.approved_tls.url(), &mcp::echo_call(id, "approved"))?);
        thread::sleep(Duration::from_millis(50));
    }
    Ok(outcomes)
}

fn planted_key_call(story: &Story, world: &World, key: &str) -> Result<Expected> {
    story.heading("4. A planted AWS key in a tool argument is found");
    let arguments = json!({"message": format!("deploy with {key} please")});
    let session = Sdk::TypeScript.session(&world.approved.url(), "echo", &arguments, &world.pki.ca)?;
    story.check(
        "TypeScript SDK sends a made-up key to the approved server",
        session.error.is_none(),
        &format!("{} ms", session.ms),
    );
    let host = world.approved.host();
    let is_key = move |event: &Event| {
        event.is_request_to(&host) && event.detectors().iter().any(|detector| detector.starts_with("aws"))
    };
    let agent = world.agent.as_ref().context("the agent does not run")?;
    let event = agent.event("the event of the planted key", SHIPPED_WITHIN, &is_key)?;
    let shown = event.str("/findings/0/redacted").to_owned();
    story.check(
        "found",
        !shown.contains(key),
        &format!("{} at {}: {shown}", event.str("/findings/0/detector"), event.str("/findings/0/where")),
    );
    Ok(Expected { what: "the planted key, found".to_owned(), matches: Box::new(is_key) })
}

fn in_the_store(story: &Story, world: &World, expected: Vec<Expected>) -> Result<()> {
    story.heading("5. Everything is in the collector's store");
    let complete =
        |events: &[Event]| expected.iter().all(|wanted| events.iter().any(|event| (wanted.matches)(event)));
    // How it went is told event by event below.
    let _ = wait::until("events in the store", SHIPPED_WITHIN, || {
        interrupt::check()?;
        Ok(complete(&world.collector.events()?))
    });
    let events = world.collector.events()?;
    for wanted in &expected {
        let found = events.iter().filter(|event| (wanted.matches)(event)).count();
        story.check(&wanted.what, found > 0, &format!("{found} in the store"));
    }
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    events.iter().for_each(|event| *seen.entry(event.number("/seq")).or_default() += 1);
    let twice = seen.values().filter(|count| **count > 1).count();
    story.check(
        "nothing twice",
        twice == 0,
        &format!("{} events, {twice} sequence numbers more than once", events.len()),
    );
    Ok(())
}

fn nowhere_in_clear(story: &Story, world: &World, key: &str) -> Result<()> {
    let mut found = Vec::new();
    search(world.dir(), key.as_bytes(), &mut found)?;
    story.check(
        "the planted key is in no file",
        found.is_empty(),
        &if found.is_empty() { "logs, events, spool, store".to_owned() } else { found.join(", ") },
    );
    Ok(())
}

fn search(dir: &Path, needle: &[u8], found: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, needle, found)?;
        } else if path.is_file() && fs::read(&path)?.windows(needle.len()).any(|window| window == needle) {
            found.push(path.display().to_string());
        }
    }
    Ok(())
}

fn in_time(failed: bool, ms: u64) -> bool {
    failed && u128::from(ms) < ERROR_WITHIN.as_millis()
}

/// The form of an AWS access key id with random content: not anybody's, and not a documented example, which detectors skip.
fn planted_key() -> Result<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut random = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok("AKIA".chars().chain(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))).collect())
}
