//! First process of the test virtual machine (`cargo xtask vm`): mounts what a host has, runs the real agent against real
//! clients, and reports on the console. The last line is `gnomon-vm: success` or `gnomon-vm: failure`.
#![forbid(unsafe_code)]

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use gnomon_tests::{
    agent::Agent,
    client::{Client, Kind},
    expect, mcp,
    pki::Pki,
    policy,
    recorder::Recorder,
};
use rustix::{
    mount::{MountFlags, mount},
    system::{RebootCommand, reboot},
};

/// Everything takes ten times longer under emulation; the 2 seconds of a real host are checked natively.
const ERROR_WITHIN: Duration = Duration::from_secs(15);

fn main() {
    let outcome = boot().and_then(|()| scenario());
    match &outcome {
        Ok(()) => println!("gnomon-vm: success"),
        Err(error) => {
            println!("gnomon-vm: error: {error:?}");
            println!("gnomon-vm: failure");
        }
    }
    // The first process must not return: the kernel would panic, and its report would hide ours.
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        println!("gnomon-vm: cannot power off: {error}");
    }
}

/// What an init system does before any service starts. bpffs and tracefs are the agent's business.
fn boot() -> Result<()> {
    for (kind, at) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("securityfs", "/sys/kernel/security"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/tmp"),
        ("tmpfs", "/run"),
        ("cgroup2", "/sys/fs/cgroup"),
    ] {
        fs::create_dir_all(at)?;
        mount(kind, at, kind, MountFlags::empty(), None).with_context(|| format!("mount {kind} on {at}"))?;
    }
    run("ip", &["link", "set", "lo", "up"])?;
    println!("gnomon-vm: kernel {}", fs::read_to_string("/proc/version")?.trim());
    println!("gnomon-vm: lsm {}", fs::read_to_string("/proc/cmdline")?.trim());
    Ok(())
}

fn scenario() -> Result<()> {
    // What it finds is its own business; that it runs at all is not.
    let doctor = Command::new("gnomon-agent").arg("doctor").status().context("cannot start gnomon-agent")?;
    println!("gnomon-vm: doctor ended with {doctor}");
    let dir = Path::new("/tmp/run");
    fs::create_dir_all(dir)?;
    let pki = Pki::create(dir)?;
    let (sanctioned, shadow) = (Recorder::plain()?, Recorder::plain()?);
    let (sanctioned_tls, shadow_tls) = (Recorder::tls(&pki)?, Recorder::tls(&pki)?);
    let mut curl = Client::start(Kind::Curl, &pki.ca)?;
    // Before the agent everything passes: what is stopped later is stopped by the agent.
    for server in [&shadow, &shadow_tls] {
        let outcome = expect::passed(&mut curl, server, &mcp::echo_call(1, "before the agent"))?;
        println!("gnomon-vm: passed without agent {} {} ms", server.url(), outcome.ms);
    }
    let document = policy::only(1, &[("plain", &sanctioned.host()), ("tls", &sanctioned_tls.host())]);
    let mut agent = Agent::start(&dir.join("agent"), &document, None)?;
    println!("gnomon-vm: agent up: {}", agent.status()?);
    let checked = against(&agent, &mut curl, &[&sanctioned, &sanctioned_tls], &[&shadow, &shadow_tls]);
    println!("gnomon-vm: agent log\n{}", agent.log_tail(2000));
    checked?;
    let status = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    expect::passed(&mut curl, &shadow, &mcp::echo_call(9, "after the agent"))?;
    println!("gnomon-vm: passed after the agent");
    Ok(())
}

fn against(agent: &Agent, curl: &mut Client, sanctioned: &[&Recorder], shadow: &[&Recorder]) -> Result<()> {
    for server in sanctioned {
        let outcome = expect::passed(curl, server, &mcp::echo_call(2, "sanctioned"))?;
        println!("gnomon-vm: passed {} {} ms", server.url(), outcome.ms);
    }
    for server in shadow {
        let outcome = expect::stopped(curl, server, &mcp::echo_call(3, "shadow"), ERROR_WITHIN)?;
        println!(
            "gnomon-vm: stopped {} after {} ms: {}",
            server.url(),
            outcome.ms,
            outcome.error.unwrap_or_default()
        );
        let event = agent.event("the event of the stopped call", ERROR_WITHIN, |event| {
            event.is_request_to(&server.host()) && event.stopped()
        })?;
        println!("gnomon-vm: event {}", event.0);
    }
    // Still, after something was stopped beside it.
    for server in sanctioned {
        expect::passed(curl, server, &mcp::echo_call(4, "sanctioned again"))?;
    }
    Ok(())
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let status =
        Command::new(program).args(args).status().with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "{program} {} ended with {status}", args.join(" "));
    Ok(())
}
