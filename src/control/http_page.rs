//! The live page: `GET /` is the page without figures, `GET /page` its body, drawn anew at most once a second and only
//! when somebody looks.
//!
//! The page itself tells nothing, so it is served without the token of `--http-token`; it asks for the token and shows
//! it with every `GET /page`, which is refused without.

use super::http::refuse;
use super::server::lock;
use super::shared::Shared;
use crate::page::{self, Live, SetSessions};
use crate::record::{ServerReading, SetStates};
use crate::set::SetState;
use crate::telemetry::latencies::Latencies;
use crate::worker::WorkerHandle;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::sync::{Arc, Mutex};

/// Where the page is, which needs no token.
pub(super) const SHELL: &str = "/";

/// The last minutes, and the last body that was drawn of them.
#[derive(Debug, Default)]
pub(super) struct Page {
    live: Mutex<Live>,
    drawn: Mutex<Drawn>,
}

/// A body, and the moment that it is of.
#[derive(Debug, Default)]
struct Drawn {
    wall_ms: u64,
    body: Arc<str>,
}

/// The page, and its body.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new().route(SHELL, get(shell)).route("/page", get(body))
}

async fn shell() -> Response {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        let why = format!("the operating system gives no random bytes: {error}");
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, &why);
    }
    let nonce: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let fields = [
        (header::CONTENT_SECURITY_POLICY, page::policy(&nonce)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (fields, Html(page::live_shell(&nonce))).into_response()
}

async fn body(State(shared): State<Arc<Shared>>) -> Response {
    let drawing = tokio::task::spawn_blocking(move || shared.page_body());
    match drawing.await {
        Ok(body) => ([(header::CACHE_CONTROL, "no-store")], Html(body.to_string())).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &format!("drawing the page: {error}")),
    }
}

impl Shared {
    /// Keeps the figures of this second for the live page. To be called once a second.
    pub(super) fn keep_second(&self) {
        if self.settings().http.is_none() {
            return;
        }
        let mut stats = self.stats();
        // Of very many SETs only how many are in which state is kept.
        let sets = std::mem::take(&mut stats.sets);
        let reading = serde_json::to_value(&stats).and_then(serde_json::from_value::<ServerReading>);
        match reading {
            Ok(mut reading) => {
                reading.sets = SetStates::of(sets.iter().map(|set| set.state));
                lock(&self.page().live).push(reading, Latencies::default());
            }
            Err(error) => tracing::debug!(%error, "figures that the live page does not understand"),
        }
    }

    /// The page's body, as it was drawn within this second or is drawn now. Whoever asks meanwhile waits for the same.
    fn page_body(&self) -> Arc<str> {
        let mut drawn = lock(&self.page().drawn);
        let (wall_ms, view) = {
            let live = lock(&self.page().live);
            if !drawn.body.is_empty() && drawn.wall_ms == live.wall_ms() {
                return Arc::clone(&drawn.body);
            }
            (live.wall_ms(), live.view())
        };
        *drawn = Drawn { wall_ms, body: page::fragment(&view, &self.set_sessions()).into() };
        Arc::clone(&drawn.body)
    }

    fn set_sessions(&self) -> SetSessions {
        let mut sets: Vec<_> = self.workers().iter().flat_map(WorkerHandle::sets).collect();
        sets.sort_by_key(|(number, _)| *number);
        let are = |state: SetState| {
            sets.iter().filter(|(_, set)| set.state() == state).map(|(number, _)| *number).collect()
        };
        SetSessions {
            masked: are(SetState::Masked),
            draining: are(SetState::Draining),
            sessions: sets.iter().map(|(_, set)| set.sessions).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::http::{HttpSettings, router};
    use super::super::tests::settings;
    use super::super::{Server, Settings};
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    const TOKEN: &str = "correct horse battery staple";

    /// The status, the policy and the text of an answer.
    fn get(server: &Server, target: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
        let mut request = Request::get(target).header("host", "127.0.0.1:7101");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let service = TowerToHyperService::new(router(std::sync::Arc::clone(server.shared())));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let answer = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
            let policy = answer.headers().get("content-security-policy");
            let policy = policy.map_or_else(String::new, |policy| policy.to_str().unwrap().to_owned());
            let status = answer.status().as_u16();
            let bytes = to_bytes(answer.into_body(), 10 << 20).await.unwrap();
            (status, policy, String::from_utf8(bytes.to_vec()).unwrap())
        })
    }

    fn with_http(dir: &std::path::Path, token: Option<&str>) -> Settings {
        let http = HttpSettings { addr: "127.0.0.1:0".parse().unwrap(), token: token.map(str::to_owned) };
        Settings { http: Some(http), mint: None, ..settings(dir, 1) }
    }

    /// Expect: the page with a policy and a new nonce each time; a body with figures, the same one within a second.
    #[test]
    fn the_page_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::start(with_http(dir.path(), None)).unwrap();
        let (status, policy, shell) = get(&server, "/", &[]);
        assert_eq!(status, 200);
        let (_, nonce) = policy.split_once("'nonce-").unwrap();
        assert!(shell.contains(&format!("nonce=\"{}\"", nonce.split('\'').next().unwrap())));
        assert_ne!(policy, get(&server, "/", &[]).1);
        server.sample();
        server.sample();
        let (status, _, body) = get(&server, "/page", &[]);
        assert!(
            status == 200 && body.contains("QPS") && body.contains("8 SETs with 0 to 0 sessions"),
            "{body}"
        );
        assert_eq!(get(&server, "/page", &[]).2, body);
        assert_eq!(get(&server, "/page", &[("origin", "http://evil.example")]).0, 403);
        server.stop();
    }

    /// Expect: without the token the page that asks for it, and no figures; a foreign page gets neither.
    #[test]
    fn figures_ask_for_the_token_and_the_page_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(with_http(dir.path(), Some(TOKEN))).unwrap();
        assert_eq!(get(&server, "/", &[]).0, 200);
        assert_eq!(get(&server, "/page", &[]).0, 401);
        assert_eq!(get(&server, "/stats.json", &[]).0, 401);
        assert_eq!(get(&server, "/page", &[("authorization", &format!("Bearer {TOKEN}"))]).0, 200);
        assert_eq!(get(&server, "/", &[("sec-fetch-site", "cross-site")]).0, 403);
        server.stop();
    }
}
