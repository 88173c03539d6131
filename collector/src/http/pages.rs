//! The dashboard's files, compiled in. None of them has data in it.

use axum::{
    http::header,
    response::{Html, IntoResponse},
};

pub(super) async fn index() -> impl IntoResponse {
    Html(include_str!("../dashboard/index.html"))
}

pub(super) async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../dashboard/app.js"))
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../dashboard/style.css"))
}

pub(super) async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], include_str!("../dashboard/favicon.svg"))
}

pub(super) fn login_needed() -> Html<&'static str> {
    Html(include_str!("../dashboard/login-needed.html"))
}

pub(super) fn bad_link() -> Html<&'static str> {
    Html(include_str!("../dashboard/bad-link.html"))
}
