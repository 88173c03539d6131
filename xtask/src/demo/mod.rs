//! `cargo xtask demo`: one sanctioned call, shadow calls stopped, a planted key found, told as it happens.
mod scenario;
mod story;
mod world;

use std::{thread, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::json;
use story::Story;
use world::World;

use crate::{build, interrupt, setup, shell::is_root};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// End after the scenario: 0 only if every expected event is in the collector's store.
    #[arg(long)]
    exit: bool,
    /// The checks as one JSON object on standard output; the story goes to standard error.
    #[arg(long)]
    json: bool,
    /// Take the binaries that are in target/release as they are.
    #[arg(long)]
    no_build: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !is_root() {
        bail!(
            "the demo needs root, because it loads kernel programs: run it as root, for example with sudo -E"
        );
    }
    if args.no_build {
        build::present()?;
    } else {
        setup::run()?;
        build::run()?;
    }
    gnomon_tests::agent::ensure_alone()?;
    interrupt::install()?;
    let story = Story::new(args.json);
    let dir = tempfile::Builder::new().prefix("gnomon-demo-").tempdir()?;
    let outcome = play(args, &story, dir.path());
    let failed = story.failed();
    if args.json {
        println!("{}", json!({"checks": story.checks(), "ok": outcome.is_ok() && failed == 0}));
    }
    if (outcome.is_err() || failed > 0) && !interrupt::requested() {
        world::print_logs(dir.path());
        eprintln!("logs and data stay in {}", dir.keep().display());
    }
    outcome?;
    if failed > 0 {
        bail!("{failed} of {} checks failed", story.checks().len());
    }
    Ok(())
}

fn play(args: &Args, story: &Story, dir: &std::path::Path) -> Result<()> {
    let mut world = World::start(story, dir)?;
    scenario::play(story, &mut world).context("the scenario did not finish")?;
    story.heading("The result");
    let failed = story.failed();
    story.say(&format!("{} checks, {failed} failed", story.checks().len()));
    if args.exit || failed > 0 {
        return Ok(());
    }
    story.say(&format!("Dashboard (this link signs you in, once): {}", world.collector.admin_link()?));
    story.say("Agent, collector and servers keep running. Ctrl-C ends everything.");
    while !interrupt::requested() {
        thread::sleep(Duration::from_millis(100));
    }
    story.say("ending what was started");
    Ok(())
}
