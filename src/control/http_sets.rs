//! The requests by which the operator drains, resumes and rebuilds a SET, and practises its failure.

use super::http::refuse;
use super::sets::SetError;
use super::shared::Shared;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use std::sync::Arc;

/// What is served here.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/sets/{set}/{verb}", post(change))
}

async fn change(State(shared): State<Arc<Shared>>, Path((set, verb)): Path<(String, String)>) -> Response {
    let Ok(number) = set.parse() else {
        return refuse(StatusCode::NOT_FOUND, &format!("{set}: no SET has this number"));
    };
    let done = match verb.as_str() {
        "drain" => tokio::task::spawn_blocking(move || shared.drain_set(number)).await,
        "resume" => tokio::task::spawn_blocking(move || shared.resume_set(number)).await,
        "rebuild" => tokio::task::spawn_blocking(move || shared.rebuild_set(number)).await,
        "panic" => tokio::task::spawn_blocking(move || shared.drill_set(number)).await,
        _ => {
            let why = format!("{verb}: a SET can be told to drain, resume, rebuild and panic");
            return refuse(StatusCode::NOT_FOUND, &why);
        }
    };
    match done {
        Ok(Ok(report)) => Json(report).into_response(),
        Ok(Err(error)) => refuse(status_of(&error), &error.to_string()),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &format!("SET {number}: {error}")),
    }
}

fn status_of(error: &SetError) -> StatusCode {
    match error {
        SetError::NoSuchSet(_) => StatusCode::NOT_FOUND,
        SetError::NoDrills(_) => StatusCode::FORBIDDEN,
        SetError::Works(_) | SetError::Masked(_) | SetError::Memory => StatusCode::CONFLICT,
        SetError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
