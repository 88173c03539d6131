//! `/api/v1/stream`: events as they are stored, as Server-Sent Events (HTML Living Standard, 9.2). The id of each is
//! its cursor, so a browser that lost the connection goes on where it was.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Query, State as Shared, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::sse::{Event, KeepAlive, Sse},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::{Stream, wrappers::ReceiverStream};

use super::{State, api::EventQuery, error::ApiError};
use crate::store::query::EventFilter;

/// Then the browser comes again and shows its session once more: an expired one ends here.
const LONGEST: Duration = Duration::from_secs(900);
const RETRY: Duration = Duration::from_secs(2);
const PAGE: u32 = 200;
/// Events that wait for a slow reader. The store is the buffer, this only lets the two overlap.
const QUEUE: usize = 16;

type Sender = mpsc::Sender<Result<Event, Infallible>>;

/// Starts after `Last-Event-ID`, else after `?after=`, else now. Takes the filters of `/events`.
pub(super) async fn stream(
    Shared(state): Shared<State>,
    headers: HeaderMap,
    query: Result<Query<EventQuery>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let mut filter = query?.0.filter()?;
    if let Some(id) = headers.get("last-event-id") {
        let id = id.to_str().ok().and_then(|text| text.parse().ok());
        filter.after = Some(id.ok_or_else(|| ApiError::bad_request("Last-Event-ID: not a number"))?);
    }
    let permit = state.streams.clone().try_acquire_owned().map_err(|_| {
        ApiError(StatusCode::SERVICE_UNAVAILABLE, "too many live streams are open: close a window".into())
    })?;
    filter.limit = PAGE;
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        follow(state, filter, sender).await;
        drop(permit);
    });
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default()))
}

async fn follow(mut state: State, mut filter: EventFilter, sender: Sender) {
    let mut latest = state.store.latest();
    let mut cursor = filter.after.unwrap_or_else(|| *latest.borrow());
    let end = Instant::now() + LONGEST;
    // Says at once that the stream stands, and how long to wait before coming again.
    if sender.send(Ok(Event::default().retry(RETRY).comment("open"))).await.is_err() {
        return;
    }
    loop {
        // Marked as seen before the query: what is stored during it wakes us again.
        let newest = *latest.borrow_and_update();
        filter.after = Some(cursor);
        let page = match state.store.events(filter.clone()).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "a live stream ends");
                return;
            }
        };
        let full = page.len() == PAGE as usize;
        for view in page {
            cursor = view.id;
            let Ok(data) = serde_json::to_string(&view) else { return };
            let event = Event::default().event("event").id(view.id.to_string()).data(data);
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
        if full {
            continue;
        }
        // What the filter left out need not be looked at again.
        cursor = cursor.max(newest);
        tokio::select! {
            changed = latest.changed() => if changed.is_err() { return },
            _ = state.stop.wait_for(|stop| *stop) => return,
            () = sender.closed() => return,
            () = tokio::time::sleep_until(end) => return,
        }
    }
}
