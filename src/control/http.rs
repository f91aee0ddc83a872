//! The HTTP side: figures to read, orders to give.

use super::orders::Asked;
use super::server::Shared;
use super::settings::MintSettings;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Where to speak HTTP, and to whom.
#[derive(Clone)]
pub struct HttpSettings {
    /// Address and port.
    pub addr: SocketAddr,
    /// What every request has to show as `Authorization: Bearer`; always there on an address other than
    /// loopback.
    pub token: Option<String>,
}

impl std::fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpSettings({}, token {})", self.addr, if self.token.is_some() { "set" } else { "none" })
    }
}

/// Everything that is served.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/stats.json", get(stats))
        .route("/healthz", get(healthz))
        .route("/mint", post(mint))
        .fallback(|| async {
            refuse(StatusCode::NOT_FOUND, "there are /stats.json, /healthz and POST /mint here")
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

async fn stats(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.stats()).into_response()
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    match shared.failed_worker() {
        None => "ok\n".into_response(),
        Some(worker) => refuse(StatusCode::SERVICE_UNAVAILABLE, &format!("worker {worker} has failed")),
    }
}

/// The query of an order to mint. Everything is text here, so that what is wrong is named by us.
#[derive(Deserialize)]
struct MintQuery {
    id: Option<String>,
    rate: Option<String>,
    total: Option<String>,
    fen: Option<String>,
}

async fn mint(State(shared): State<Arc<Shared>>, Query(query): Query<MintQuery>) -> Response {
    let settings = match query.settings() {
        Ok(settings) => settings,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why),
    };
    let id = query.id.unwrap_or_else(|| shared.new_order_id());
    if id.is_empty() || id.len() > 64 || !id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return refuse(StatusCode::BAD_REQUEST, "id: 1 to 64 letters, digits, - _ . are allowed");
    }
    match shared.mint(&id, settings) {
        Ok(Asked::New(at)) => (StatusCode::CREATED, Json(shared.order(at))).into_response(),
        Ok(Asked::Known(at)) => Json(shared.order(at)).into_response(),
        Ok(Asked::Conflict) => {
            refuse(StatusCode::CONFLICT, &format!("order {id} exists with other content; use another id"))
        }
        Ok(Asked::Full) => {
            refuse(StatusCode::TOO_MANY_REQUESTS, "this server takes no more orders in its life; restart it")
        }
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

impl MintQuery {
    fn settings(&self) -> Result<MintSettings, String> {
        fn number<T: std::str::FromStr>(name: &str, value: Option<&String>) -> Result<T, String> {
            let value = value.ok_or(format!("{name}: missing; expected ?rate=N&total=N&fen=MIN..MAX"))?;
            value.parse().map_err(|_| format!("{name}: {value:?} is not a whole number in its range"))
        }
        let fen = self.fen.as_deref().unwrap_or("1..100");
        let (fen_min, fen_max) = crate::cli::parse_fen_range(fen).map_err(|why| format!("fen: {why}"))?;
        let settings = MintSettings {
            rate_per_s: number("rate", self.rate.as_ref())?,
            total: number("total", self.total.as_ref())?,
            fen_min,
            fen_max,
        };
        if settings.rate_per_s == 0 || settings.total == 0 {
            return Err("rate and total: at least 1 each".into());
        }
        Ok(settings)
    }
}

/// Refuses what a web page elsewhere could make a browser send, and who does not know the token.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(token) = shared.http_token() {
        let shown = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let right = shown.is_some_and(|shown| shown.as_bytes().ct_eq(token.as_bytes()).into());
        if !right {
            return refuse(
                StatusCode::UNAUTHORIZED,
                "show the token of --http-token as Authorization: Bearer TOKEN",
            );
        }
    } else if let Err(why) = own_origin(headers) {
        return refuse(StatusCode::FORBIDDEN, why);
    }
    next.run(request).await
}

/// Whether a request without a token was made by a program here or by our own page: its Host is this
/// machine by number or as localhost (no name that a foreign zone could point here), and it does not come
/// from another site.
fn own_origin(headers: &HeaderMap) -> Result<(), &'static str> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text("host").ok_or("Host: missing")?;
    let name =
        host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    if !["localhost", "127.0.0.1", "[::1]"].contains(&name) {
        return Err("Host: only localhost, 127.0.0.1 and [::1] are served without --http-token");
    }
    if text("origin").is_some_and(|origin| origin != format!("http://{host}")) {
        return Err("Origin: a page of another site may not ask here");
    }
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Err("Sec-Fetch-Site: a page of another site may not ask here");
    }
    Ok(())
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(fields: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        fields.iter().for_each(|(name, value)| {
            headers.insert(*name, value.parse().unwrap());
        });
        own_origin(&headers).is_ok()
    }

    #[test]
    fn foreign_pages_and_foreign_names_are_refused() {
        assert!(ask(&[("host", "127.0.0.1:7101")]));
        assert!(ask(&[("host", "[::1]:7101")]) && ask(&[("host", "[::1]")]) && ask(&[("host", "localhost")]));
        assert!(ask(&[("host", "localhost:7101"), ("origin", "http://localhost:7101")]));
        assert!(ask(&[("host", "localhost:7101"), ("sec-fetch-site", "same-origin")]));
        assert!(!ask(&[]));
        assert!(!ask(&[("host", "evil.example:7101")]));
        assert!(!ask(&[("host", "127.0.0.1.evil.example")]));
        assert!(!ask(&[("host", "localhost:7101"), ("origin", "http://evil.example")]));
        assert!(!ask(&[("host", "localhost:7101"), ("origin", "null")]));
        assert!(!ask(&[("host", "localhost:7101"), ("sec-fetch-site", "cross-site")]));
    }
}
