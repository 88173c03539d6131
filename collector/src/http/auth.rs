//! Who may read: a browser with a session, or a script with an API token. There is no password.

use std::time::Duration;

use axum::{
    extract::{Query, Request, State as Shared, rejection::QueryRejection},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{State, error::ApiError, pages};
use crate::{
    secret::{Kind, Secret},
    store::StoreError,
};

/// Prefix of API tokens, so that secret scanners can know them.
pub const API_PREFIX: &str = "gna1.";
const COOKIE: &str = "gnomon_session";
const SESSION: Duration = Duration::from_secs(12 * 3600);

#[derive(Deserialize)]
pub(super) struct Login {
    token: String,
}

/// Lets a request with valid credentials through.
pub(super) async fn require(Shared(state): Shared<State>, request: Request, next: Next) -> Response {
    match credential(request.headers()) {
        Some((kind, secret)) => match state.store.check_secret(kind, &secret).await {
            Ok(()) => next.run(request).await,
            Err(StoreError::BadSecret) => refused(request.uri().path()),
            Err(error) => ApiError::from(error).into_response(),
        },
        None => refused(request.uri().path()),
    }
}

fn refused(path: &str) -> Response {
    if path.starts_with("/api/") {
        let how = "log in with an admin link, or send `Authorization: Bearer` with a token of `gnomon-collector token api`";
        let answer = ApiError(StatusCode::UNAUTHORIZED, how.into());
        return ([(header::WWW_AUTHENTICATE, "Bearer")], answer).into_response();
    }
    (StatusCode::UNAUTHORIZED, pages::login_needed()).into_response()
}

/// A header, when there is one, counts alone: a wrong token must not pass because of a cookie.
fn credential(headers: &HeaderMap) -> Option<(Kind, Secret)> {
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
        let token = scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())?;
        return Some((Kind::Api, Secret::parse(token.strip_prefix(API_PREFIX)?)?));
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .and_then(|(_, value)| Some((Kind::Session, Secret::parse(value)?)))
}

/// `GET /login?token=...`: the link becomes a session and is worth nothing from then on.
pub(super) async fn log_in(
    Shared(state): Shared<State>,
    method: Method,
    query: Result<Query<Login>, QueryRejection>,
) -> Response {
    // Mail scanners and link previews ask with HEAD; that must not use the link up.
    if method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let link = query.ok().and_then(|Query(login)| Secret::parse(&login.token));
    let session = match Secret::generate() {
        Ok(session) => session,
        Err(error) => {
            tracing::error!(%error, "no session can be made");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let outcome = match link {
        Some(link) => state.store.log_in(&link, &session, SESSION).await,
        None => Err(StoreError::BadSecret),
    };
    match outcome {
        Ok(()) => {
            tracing::info!("admin link used, session opened");
            // What the file holds is worth nothing now.
            if let Err(error) = std::fs::remove_file(state.data.admin_link())
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "the used admin link stays on disk");
            }
            let cookie = format!(
                "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}",
                session.text(),
                SESSION.as_secs()
            );
            (StatusCode::SEE_OTHER, [(header::LOCATION, "/".to_owned()), (header::SET_COOKIE, cookie)])
                .into_response()
        }
        Err(StoreError::BadSecret) => (StatusCode::FORBIDDEN, pages::bad_link()).into_response(),
        Err(error) => ApiError::from(error).into_response(),
    }
}
