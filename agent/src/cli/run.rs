//! `gnomon-agent run`: the daemon, from its first file to its last.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use gnomon_proto::v1::Event;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{RunArgs, init_log};
use crate::config::Config;
use crate::control::{self, StatusSource};
use crate::identity::connected_processes;
use crate::journal::{Journal, now_unix_nanos};
use crate::kernel::host;
use crate::kernel::{Kernel, KernelError, Options, Probes};
use crate::pipeline::{Parts, Pipeline};
use crate::policy_source::{PolicyError, PolicySource, Update};
use crate::ship::Shipper;
use crate::telemetry::Telemetry;

/// How often the policy file is looked at.
const POLICY_CHECK: Duration = Duration::from_millis(500);

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(args.config.as_deref())?;
    init_log(args.log.as_deref(), Some(&config.log));
    // Before the first thread: each has its own set.
    if let Err(error) = host::drop_privileges() {
        tracing::warn!(%error, "privileges not reduced");
    }
    host::raise_file_limit();
    let telemetry = Telemetry::new();
    let journal = Journal::open(&config, telemetry.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(serve(&config, &journal, telemetry));
    journal.close();
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: &Config, journal: &Journal, telemetry: Telemetry) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (mut host, mut failed) = match HostSide::start(config, journal, &telemetry) {
        Ok((host, failed)) => (Some(host), failed),
        // Nothing is seen without kernel programs, but the fleet should hear of it: the rest of the agent runs.
        Err(error)
            if error.downcast_ref::<KernelError>().is_some_and(|e| !matches!(e, KernelError::NoObject)) =>
        {
            let reason = format!("{error:#}");
            tracing::error!(%reason, "nothing is seen or stopped on this host; see `gnomon-agent doctor`");
            telemetry.set_level("observe");
            telemetry.set_lacks(vec![format!("capture and prevention: {reason}")]);
            (None, watch::channel(false).1)
        }
        Err(error) => return Err(error),
    };
    // Who gets an answer may rely on the policy being in force.
    let control = tokio::spawn(control::serve(&config.control.socket, Arc::new(Status(telemetry.clone())))?);
    let (stop, stopped) = watch::channel(false);
    let shipper = config.collector.clone().map(|collector| {
        let shipper = Shipper::new(collector, config.spool.dir.clone(), journal.spool().clone(), telemetry);
        tokio::spawn(shipper.run(stopped))
    });
    tracing::info!(config = ?config, "started");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        // An error means that there is no host side to wait for.
        Ok(()) = failed.changed() => {}
    }
    control.abort();
    // First what makes events, then what writes them, then what sends them.
    let outcome = tokio::task::spawn_blocking(move || host.as_mut().map_or(Ok(()), HostSide::stop)).await?;
    let last = journal.clone();
    tokio::task::spawn_blocking(move || last.close()).await?;
    stop.send_replace(true);
    if let Some(shipper) = shipper {
        shipper.await.context("the shipper ended badly")?;
    }
    outcome
}

/// The threads that watch this host: probes, pipeline, policy file.
struct HostSide {
    stop: Arc<AtomicBool>,
    pipeline: Option<JoinHandle<anyhow::Result<()>>>,
    policy: Option<JoinHandle<()>>,
    probes: Option<Probes>,
}

impl HostSide {
    /// The receiver hears when the pipeline ends on its own.
    fn start(
        config: &Config,
        journal: &Journal,
        telemetry: &Telemetry,
    ) -> anyhow::Result<(Self, watch::Receiver<bool>)> {
        // Before anything touches the kernel: a wrong one is an error of the configuration.
        let mut source = PolicySource::new(config.policy.file.clone(), &config.spool.dir);
        let first = source.first()?;
        if let Some(error) = first.error {
            report(&error, journal);
        }
        let mut kernel = Kernel::load(&Options { ring_bytes: config.capture.ring_bytes })?;
        kernel.load_probes();
        telemetry.set_level(if kernel.prevents() { "prevent-by-drop" } else { "observe" });
        telemetry.set_lacks(kernel.lacks().to_vec());
        let (maps, rings) = (kernel.take_maps()?, kernel.take_rings()?);
        let can_prevent = kernel.prevents();

        let probes = Probes::start(kernel.into_programs())?;
        let requests = probes.requests().context("the probing thread ended")?;
        let mut pipeline = Pipeline::new(Parts {
            maps,
            probes: requests,
            journal: journal.clone(),
            telemetry: telemetry.clone(),
            can_prevent,
        })?;
        pipeline.install(first.update)?;
        pipeline.adopt(connected_processes())?;

        let stop = Arc::new(AtomicBool::new(false));
        let (updates, policies) = channel();
        let (ended, failed) = watch::channel(false);
        let flag = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("pipeline".into()).spawn(move || {
            let done = pipeline.run(rings, &policies, &flag);
            ended.send_replace(true);
            done.map_err(anyhow::Error::from)
        })?;
        let policy = watch_policy(source, updates, Arc::clone(&stop), journal.clone())?;
        Ok((Self { stop, pipeline: Some(thread), policy: Some(policy), probes: Some(probes) }, failed))
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = match self.pipeline.take().map(JoinHandle::join) {
            Some(Ok(done)) => done,
            Some(Err(_)) => Err(anyhow::anyhow!("the pipeline panicked")),
            None => Ok(()),
        };
        // Takes every program out of the kernel.
        drop(self.probes.take());
        if let Some(thread) = self.policy.take() {
            let _ = thread.join();
        }
        outcome
    }
}

fn watch_policy(
    mut source: PolicySource,
    updates: Sender<Update>,
    stop: Arc<AtomicBool>,
    journal: Journal,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("policy".into()).spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            match source.changed() {
                Some(Ok(update)) => {
                    note(&journal, format!("revision {} in force", update.policy.revision()));
                    if updates.send(update).is_err() {
                        return;
                    }
                }
                Some(Err(error)) => report(&error, &journal),
                None => {}
            }
            std::thread::sleep(POLICY_CHECK);
        }
    })
}

fn report(error: &PolicyError, journal: &Journal) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, source, "policy not put in force; the one in force stays");
    note(journal, format!("not put in force: {error}"));
}

fn note(journal: &Journal, note: String) {
    journal.record(Event {
        time_unix_nanos: now_unix_nanos(),
        kind: "policy".into(),
        note,
        ..Event::default()
    });
}

struct Status(Telemetry);

impl StatusSource for Status {
    fn status(&self) -> serde_json::Value {
        serde_json::json!({ "health": self.0.health() })
    }
}
