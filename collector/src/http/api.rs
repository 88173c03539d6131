//! `/api/v1`: JSON for the dashboard and for scripts.

use axum::{
    Json,
    extract::{
        Path, Query, State as Shared,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::{State, error::ApiError};
use crate::{
    clock::{now_ms, parse_time},
    store::query::{EventFilter, EventView, HostView, ServerView, Summary},
};

const LIMIT: u32 = 100;
const MOST: u32 = 500;
const TEXT_BYTES: usize = 256;

/// The parameters of `/events` and `/stream`. An empty one is as good as none, as forms send them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventQuery {
    limit: Option<u32>,
    before: Option<i64>,
    pub(super) after: Option<i64>,
    since: Option<String>,
    until: Option<String>,
    host: Option<String>,
    verdict: Option<String>,
    server: Option<String>,
    method: Option<String>,
    q: Option<String>,
}

impl EventQuery {
    pub(super) fn filter(self) -> Result<EventFilter, ApiError> {
        let text = |name: &str, value: Option<String>| match value {
            Some(text) if text.len() > TEXT_BYTES => {
                Err(ApiError::bad_request(format!("{name}: longer than {TEXT_BYTES} bytes")))
            }
            other => Ok(other.filter(|text| !text.is_empty())),
        };
        let time = |name: &str, value: Option<String>| {
            text(name, value)?
                .map(|t| parse_time(&t, now_ms()).map_err(|e| ApiError::bad_request(format!("{name}: {e}"))))
                .transpose()
        };
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(ApiError::bad_request(format!("limit: from 1 to {MOST}")));
        }
        Ok(EventFilter {
            before: self.before,
            after: self.after,
            since_ms: time("since", self.since)?,
            until_ms: time("until", self.until)?,
            host: text("host", self.host)?,
            verdict: text("verdict", self.verdict)?,
            server: text("server", self.server)?,
            method: text("method", self.method)?,
            text: text("q", self.q)?,
            limit,
        })
    }
}

#[derive(Serialize)]
pub(super) struct Events {
    events: Vec<EventView>,
}

#[derive(Serialize)]
pub(super) struct Hosts {
    hosts: Vec<HostView>,
}

#[derive(Serialize)]
pub(super) struct Servers {
    servers: Vec<ServerView>,
}

/// With what the page needs to say how a host is enrolled.
#[derive(Serialize)]
pub(super) struct Overview {
    #[serde(flatten)]
    summary: Summary,
    grpc_address: String,
    data_dir: String,
}

pub(super) async fn events(
    Shared(state): Shared<State>,
    query: Result<Query<EventQuery>, QueryRejection>,
) -> Result<Json<Events>, ApiError> {
    let events = state.store.events(query?.0.filter()?).await?;
    Ok(Json(Events { events }))
}

pub(super) async fn event(
    Shared(state): Shared<State>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Json<EventView>, ApiError> {
    let event = state.store.event(id?.0).await?;
    event
        .map(Json)
        .ok_or_else(|| ApiError(StatusCode::NOT_FOUND, "no such event, or past its retention".into()))
}

pub(super) async fn hosts(Shared(state): Shared<State>) -> Result<Json<Hosts>, ApiError> {
    let mut hosts = state.store.hosts().await?;
    for host in &mut hosts {
        host.connected = Some(state.connected.is(&host.id));
    }
    Ok(Json(Hosts { hosts }))
}

pub(super) async fn servers(Shared(state): Shared<State>) -> Result<Json<Servers>, ApiError> {
    Ok(Json(Servers { servers: state.store.servers().await? }))
}

pub(super) async fn summary(Shared(state): Shared<State>) -> Result<Json<Overview>, ApiError> {
    let connected = i64::try_from(state.connected.hosts()).unwrap_or(i64::MAX);
    Ok(Json(Overview {
        summary: state.store.summary(connected).await?,
        grpc_address: state.grpc.to_string(),
        data_dir: state.data.root().display().to_string(),
    }))
}

/// For load balancers and service managers: 200 while the store answers. Tells nothing else.
pub(super) async fn healthz(Shared(state): Shared<State>) -> Result<Json<serde_json::Value>, ApiError> {
    state.store.ping().await?;
    Ok(Json(serde_json::json!({ "status": "ok" })))
}

pub(super) async fn not_found() -> ApiError {
    ApiError(StatusCode::NOT_FOUND, "no such page".into())
}
