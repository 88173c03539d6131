//! The one thread that writes. Jobs that wait together are committed together, so that many hosts share one fsync;
//! each runs in a savepoint of its own, so that one that fails takes nothing of the others with it.

use std::{
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Store, StoreError};

/// Jobs that may wait. Beyond it, callers wait: the agents' spools are the buffer, not our memory.
const QUEUE: usize = 64;
/// How long jobs are gathered into one transaction.
const GATHER: Duration = Duration::from_millis(50);

type Outcome = Result<(), String>;
type Reply = Box<dyn FnOnce(Outcome) + Send>;
type Job = Box<dyn FnOnce(&mut Transaction<'_>) -> Reply + Send>;

#[derive(Clone, Debug)]
pub(super) struct Writer {
    // None once closed.
    jobs: Arc<Mutex<Option<mpsc::Sender<Job>>>>,
    latest: watch::Receiver<i64>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        latest_in: watch::Sender<i64>,
        latest: watch::Receiver<i64>,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(connection, queue, &latest_in))
            .map_err(|e| StoreError::Commit(e.to_string()))?;
        Ok(Self {
            jobs: Arc::new(Mutex::new(Some(jobs))),
            latest,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    pub(super) fn latest(&self) -> watch::Receiver<i64> {
        self.latest.clone()
    }

    pub(super) fn is_alive(&self) -> bool {
        lock(&self.jobs).as_ref().is_some_and(|jobs| !jobs.is_closed())
    }

    pub(super) async fn close(&self) {
        drop(lock(&self.jobs).take());
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread
            && !matches!(tokio::task::spawn_blocking(move || thread.join()).await, Ok(Ok(())))
        {
            tracing::error!("the store's writer ended by a panic");
        }
    }
}

impl Store {
    /// Runs `work` in a transaction and returns after the commit. An error of `work` undoes what it did.
    pub(super) async fn write<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            let result = in_savepoint(tx, work);
            Box::new(move |outcome| {
                // The caller may have gone; the work is committed all the same.
                let _ = sender.send(outcome.map_err(|e| StoreError::Commit(e).into()).and(result));
            })
        });
        let queue = lock(&self.writer.jobs).clone().ok_or(StoreError::Closed)?;
        queue.send(job).await.map_err(|_| StoreError::Closed)?;
        drop(queue);
        receiver.await.map_err(|_| StoreError::Unwritable)?
    }
}

fn in_savepoint<T, E: From<StoreError>>(
    tx: &mut Transaction<'_>,
    work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let savepoint = tx.savepoint().map_err(StoreError::from)?;
    let value = work(&savepoint)?;
    savepoint.commit().map_err(StoreError::from)?;
    Ok(value)
}

fn run(mut connection: Connection, mut queue: mpsc::Receiver<Job>, latest: &watch::Sender<i64>) {
    while let Some(first) = queue.blocking_recv() {
        let mut replies = Vec::new();
        let outcome = commit_group(&mut connection, first, &mut queue, &mut replies);
        if let Err(error) = &outcome {
            tracing::error!(%error, "events stay in the hosts' spools until this is mended");
        }
        if outcome.is_ok()
            && let Ok(id) = latest_event(&connection)
        {
            latest.send_if_modified(|old| std::mem::replace(old, id) != id);
        }
        for reply in replies {
            reply(outcome.clone());
        }
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "closing the database");
    }
}

fn commit_group(
    connection: &mut Connection,
    first: Job,
    queue: &mut mpsc::Receiver<Job>,
    replies: &mut Vec<Reply>,
) -> Outcome {
    let text = |e: rusqlite::Error| e.to_string();
    // IMMEDIATE: the command line may be writing to the same file; wait for it now rather than fail half-way.
    let mut tx = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(tx) => tx,
        // The job is dropped unrun, and with it its caller's channel: StoreError::Unwritable.
        Err(e) => return Err(text(e)),
    };
    let started = Instant::now();
    let mut next = Some(first);
    while let Some(job) = next {
        replies.push(job(&mut tx));
        next = if started.elapsed() < GATHER { queue.try_recv().ok() } else { None };
    }
    tx.commit().map_err(text)
}

pub(super) fn latest_event(connection: &Connection) -> Result<i64, rusqlite::Error> {
    let id = connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'event'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(id.unwrap_or(0))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
