//! The HTTP side of a load client: its figures to read, its rate to set.

use super::churn::parse_per_s;
use super::{Remote, lock};
use crate::run::schedule::RATE_MAX;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use redpkt::cli::Failure;
use redpkt::control::{HttpSettings, http_guarded, http_serve_router};
use redpkt::telemetry::machine::Machine;
use redpkt::telemetry::wall_ms;
use serde::Deserialize;
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Serves on a thread of its own for as long as the process lives; the address.
pub fn listen(settings: &HttpSettings, remote: Arc<Remote>) -> Result<SocketAddr, Failure> {
    let wanted = settings.addr;
    let refused =
        |error| Failure::machine(format!("--http-listen {wanted}: {error}; choose another address"));
    let listener = TcpListener::bind(wanted).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let addr = listener.local_addr().map_err(refused)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let router = http_guarded(routes(remote), settings.token.as_deref().map(Arc::from));
    let serve = move || {
        runtime.block_on(async {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => http_serve_router(listener, router).await,
                Err(error) => eprintln!("redpkt-bench: --http-listen {addr}: {error}"),
            }
        });
    };
    std::thread::Builder::new().name("http".into()).spawn(serve).map_err(refused)?;
    Ok(addr)
}

fn routes(remote: Arc<Remote>) -> Router {
    Router::new()
        .route("/stats.json", get(stats))
        .route("/histograms.json", get(histograms))
        .route("/qps", post(qps))
        .route("/churn", post(churn))
        .route("/stop", post(stop))
        .fallback(|| async {
            let there_are = "there are /stats.json, /histograms.json, and POST /qps?target=N, /churn?share=0.1%25, /stop here";
            refuse(StatusCode::NOT_FOUND, there_are)
        })
        .with_state(remote)
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

async fn stats(State(remote): State<Arc<Remote>>) -> Response {
    let mut all = remote.figures().to_json();
    let locals = lock(&remote.locals).clone();
    let told = json!({
        "kind": "client",
        "version": redpkt::version(),
        "wall_ms": wall_ms(),
        "uptime_s": remote.clock.uptime_s(),
        "phase": remote.phase().name(),
        "target": remote.target.to_string(),
        "host": remote.host,
        "hosts": remote.hosts,
        "users": remote.users,
        "target_qps": remote.pace.qps(),
        "churn_per_s": remote.churn.per_s(),
        "machine": Machine::read(&locals),
    });
    if let (Some(all), serde_json::Value::Object(told)) = (all.as_object_mut(), told) {
        all.extend(told);
    }
    Json(all).into_response()
}

async fn histograms(State(remote): State<Arc<Remote>>) -> Response {
    let latencies = lock(&remote.latencies).clone();
    Json(latencies.encoded()).into_response()
}

#[derive(Deserialize)]
struct Target {
    target: Option<String>,
}

async fn qps(State(remote): State<Arc<Remote>>, Query(Target { target }): Query<Target>) -> Response {
    let allowed = format!(
        "target: a whole number of requests a second from 0 to {RATE_MAX}, 0 is a pause, as in /qps?target=3000"
    );
    let qps = target.as_deref().and_then(|text| text.parse().ok()).filter(|qps| *qps <= RATE_MAX);
    let Some(qps) = qps else { return refuse(StatusCode::BAD_REQUEST, &allowed) };
    let was = remote.pace.set(remote.clock.now().mono_ns, qps);
    Json(json!({"target_qps": qps, "was": was})).into_response()
}

#[derive(Deserialize)]
struct ChurnShare {
    share: Option<String>,
}

async fn churn(State(remote): State<Arc<Remote>>, Query(query): Query<ChurnShare>) -> Response {
    match parse_per_s(query.share.as_deref().unwrap_or_default()) {
        Ok(per_s) => {
            let was = remote.churn.set(per_s);
            Json(json!({"churn_per_s": per_s, "was": was})).into_response()
        }
        Err(why) => refuse(StatusCode::BAD_REQUEST, &format!("share: {why}")),
    }
}

async fn stop(State(remote): State<Arc<Remote>>) -> Response {
    remote.stop.store(true, Ordering::Relaxed);
    Json(json!({"stops": true})).into_response()
}
