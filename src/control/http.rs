//! The HTTP side: figures to read, orders to give.

use super::shared::Shared;
use super::{http_orders, http_page, http_sets};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

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

/// Connections at a time. A few scripts and pages need no more, and each takes one of the descriptors that
/// key files and sockets need too; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;

/// How long a request line and its header fields may take to come.
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a connection may last, from its first byte to the last one of its answer: the figures of 65,536
/// SETs are some 8 MB.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);

/// Bytes of a request's body. No request here needs one.
const BODY_BYTES_MAX: usize = 4 << 10;

/// How long to let go when no connection can be taken: descriptors are short, and asking again at once would
/// only take this thread's time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves HTTP until the future is dropped. Whoever is slow takes one of [`CONNECTIONS_MAX`] places for a
/// bounded time, and nothing else.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    serve_router(listener, router(shared)).await;
}

/// The same for other routes, such as a load client's; wrap them in [`guarded`].
pub async fn serve_router(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    // A connection that breaks or takes too long is its client's concern.
                    let _ = tokio::time::timeout(CONNECTION_TIME_MAX, connection(stream, router)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "no HTTP connection was taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One request and its answer: a connection that is kept would keep a place for nothing.
async fn connection(stream: TcpStream, router: Router) -> Result<(), hyper::Error> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}

/// Everything that is served.
pub fn router(shared: Arc<Shared>) -> Router {
    let token = shared.http_token().map(Arc::from);
    let routes = Router::new()
        .route("/stats.json", get(stats))
        .route("/histograms.json", get(histograms))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .merge(http_orders::routes())
        .merge(http_sets::routes())
        .merge(http_page::routes())
        .fallback(|| async {
            let there_are = "there are /, /stats.json, /histograms.json, /metrics, /healthz, /orders, and POST /mint, /send, /deposit, /withdraw, /mint/ID/pause|resume|stop, /send/ID/pause|resume|stop, /groups/N/rebuild, /sets/N/drain|resume|rebuild|panic here";
            refuse(StatusCode::NOT_FOUND, there_are)
        })
        .with_state(shared);
    guarded(routes, token)
}

/// Routes behind the guard: foreign pages, wrong tokens and large bodies do not come through.
pub fn guarded(routes: Router, token: Option<Arc<str>>) -> Router {
    routes.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).layer(middleware::from_fn_with_state(token, guard))
}

async fn stats(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.stats()).into_response()
}

async fn histograms(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.latencies().encoded()).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = super::metrics::text(&shared.stats(), &shared.latencies());
    ([(header::CONTENT_TYPE, super::metrics::CONTENT_TYPE)], text).into_response()
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    match shared.failed_worker() {
        None => health(&shared.masked_sets(), shared.failed_groups().as_slice()).into_response(),
        Some(worker) => refuse(StatusCode::SERVICE_UNAVAILABLE, &format!("worker {worker} has failed")),
    }
}

/// What is said while the workers run: whether something of it does not.
fn health(masked_sets: &[u32], failed_groups: &[u32]) -> String {
    let one = |what: &str, number: &u32, how: &str| format!("{what} {number} {how}");
    let mut found: Vec<String> = failed_groups.iter().map(|group| one("group", group, "failed")).collect();
    found.extend(masked_sets.iter().map(|set| one("set", set, "masked")));
    if found.is_empty() { "ok\n".into() } else { format!("degraded: {}\n", found.join(", ")) }
}

/// Refuses what a web page elsewhere could make a browser send, who does not know the token, and what is too
/// large.
async fn guard(State(token): State<Option<Arc<str>>>, request: Request, next: Next) -> Response {
    match admit(request.headers(), token.as_deref()) {
        Ok(()) => next.run(request).await,
        // The page without figures asks for the token itself.
        Err((StatusCode::UNAUTHORIZED, _)) if request.uri().path() == http_page::SHELL => {
            next.run(request).await
        }
        Err((status, why)) => refuse(status, why),
    }
}

/// Whether a request with these fields is let in.
fn admit(headers: &HeaderMap, token: Option<&str>) -> Result<(), (StatusCode, &'static str)> {
    own_origin(headers, token.is_some()).map_err(|why| (StatusCode::FORBIDDEN, why))?;
    if token.is_some_and(|token| !shows(headers, token)) {
        let why = "show the token of --http-token as Authorization: Bearer TOKEN";
        return Err((StatusCode::UNAUTHORIZED, why));
    }
    // A body that does not tell its length is never read: no request here takes one.
    let body_bytes = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
    if body_bytes.is_some_and(|bytes: u64| bytes > BODY_BYTES_MAX as u64) {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "no request here needs a body; the query says it all"));
    }
    Ok(())
}

fn shows(headers: &HeaderMap, token: &str) -> bool {
    let shown =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    shown.is_some_and(|shown| shown.as_bytes().ct_eq(token.as_bytes()).into())
}

/// Whether a request was made by a program or by our own page, and not by a page of another site in the
/// browser of somebody who can reach us.
///
/// Such a page is told apart by its Origin and Sec-Fetch-Site, unless it makes itself one of our own: its
/// owner points a name of theirs at our address once the page is loaded (DNS rebinding), and the browser
/// then takes both for one site. But it still sends that name as Host. So no names are served but
/// `localhost`, which no foreign zone can answer for. Addresses are safe: a page has one as its Host only if
/// it was loaded from there, and then it is ours. Without a token we listen at loopback alone and loopback
/// is what may be asked for; with one, at any address (also by port forwarding), so any address may be.
fn own_origin(headers: &HeaderMap, any_address: bool) -> Result<(), &'static str> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err("Host: given twice");
    }
    let host = text("host").ok_or("Host: missing")?;
    match host_name(host) {
        Some(HostName::Localhost) => {}
        Some(HostName::Address(address)) if any_address || address.is_loopback() => {}
        _ if any_address => return Err("Host: only localhost and addresses are served, no other names"),
        _ => return Err("Host: only localhost and loopback addresses are served without --http-token"),
    }
    if text("origin").is_some_and(|origin| origin != format!("http://{host}")) {
        return Err("Origin: a page of another site may not ask here");
    }
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Err("Sec-Fetch-Site: a page of another site may not ask here");
    }
    Ok(())
}

/// Whom a Host field names, without the port.
#[derive(Debug, PartialEq, Eq)]
enum HostName {
    Localhost,
    Address(IpAddr),
}

/// `None` for every other name, and for what is no Host (RFC 9110, 7.2).
fn host_name(host: &str) -> Option<HostName> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return None;
    }
    if host.starts_with('[') {
        return name.parse::<Ipv6Addr>().ok().map(|address| HostName::Address(address.into()));
    }
    if name.eq_ignore_ascii_case("localhost") {
        return Some(HostName::Localhost);
    }
    name.parse::<Ipv4Addr>().ok().map(|address| HostName::Address(address.into()))
}

pub(super) fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (header::HeaderName::from_static(name), value.parse().unwrap())
        };
        fields.iter().map(field).collect()
    }

    fn ask(fields: &[(&'static str, &str)]) -> bool {
        admit(&headers(fields), None).is_ok()
    }

    #[test]
    fn foreign_pages_and_foreign_names_are_refused() {
        assert!(ask(&[("host", "127.0.0.1:7101")]) && ask(&[("host", "127.0.0.2")]));
        assert!(ask(&[("host", "[::1]:7101")]) && ask(&[("host", "[::1]")]) && ask(&[("host", "LocalHost")]));
        assert!(ask(&[("host", "localhost:7101"), ("origin", "http://localhost:7101")]));
        assert!(ask(&[("host", "localhost:7101"), ("sec-fetch-site", "same-origin")]));
        assert!(!ask(&[]));
        for host in [
            "",
            ":",
            ":7101",
            "evil.example:7101",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost.",
            "localhost:",
            "localhost:x",
            "127.1",
            "[::1",
            "[::1]x",
            "[127.0.0.1]",
            "::1",
            "10.0.0.1:7101",
            "evil@127.0.0.1",
        ] {
            assert!(!ask(&[("host", host)]), "{host}");
        }
        assert!(!ask(&[("host", "localhost:7101"), ("origin", "http://evil.example")]));
        assert!(!ask(&[("host", "localhost:7101"), ("origin", "null")]));
        assert!(!ask(&[("host", "localhost:7101"), ("sec-fetch-site", "cross-site")]));
        let mut twice = headers(&[("host", "localhost")]);
        twice.append("host", "evil.example".parse().unwrap());
        assert!(admit(&twice, None).is_err());
    }

    /// Expect: a token is asked for in addition to all else; with it any address may be named, and still no
    /// name.
    #[test]
    fn a_token_opens_addresses_but_no_names_and_no_foreign_pages() {
        let token = "correct horse battery staple";
        let bearer = format!("Bearer {token}");
        let status = |fields: &[(&'static str, &str)]| {
            let mut fields = headers(fields);
            fields.insert(header::AUTHORIZATION, bearer.parse().unwrap());
            admit(&fields, Some(token)).map_err(|(status, _)| status.as_u16())
        };
        assert_eq!(status(&[("host", "10.0.0.1:7101")]), Ok(()));
        assert_eq!(status(&[("host", "[2001:db8::1]:7101")]), Ok(()));
        assert_eq!(status(&[("host", "evil.example")]), Err(403));
        assert_eq!(status(&[("host", "10.0.0.1"), ("origin", "http://evil.example")]), Err(403));
        assert_eq!(status(&[("host", "10.0.0.1"), ("sec-fetch-site", "cross-site")]), Err(403));
        let without = admit(&headers(&[("host", "10.0.0.1")]), Some(token));
        assert_eq!(without.unwrap_err().0, StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn health_names_what_does_not_work() {
        assert_eq!(health(&[], &[]), "ok\n");
        assert_eq!(health(&[17], &[]), "degraded: set 17 masked\n");
        assert_eq!(health(&[3, 17], &[1]), "degraded: group 1 failed, set 3 masked, set 17 masked\n");
    }

    #[test]
    fn large_bodies_are_refused() {
        let of = |len: &str| admit(&headers(&[("host", "localhost"), ("content-length", len)]), None);
        assert!(of("0").is_ok() && of("4096").is_ok());
        assert_eq!(of("4097").unwrap_err().0, StatusCode::PAYLOAD_TOO_LARGE);
    }

    /// Expect: with every place taken by clients that send nothing more, another one is served as soon as
    /// their time is over.
    #[test]
    fn clients_that_send_slowly_lose_their_places() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let clients = std::thread::spawn(move || {
            let slow: Vec<_> = (0..CONNECTIONS_MAX)
                .map(|_| {
                    let mut stream = std::net::TcpStream::connect(addr).unwrap();
                    stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
                    stream
                })
                .collect();
            let mut stream = std::net::TcpStream::connect(addr).unwrap();
            stream.set_read_timeout(Some(4 * HEADER_TIME_MAX)).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut answer = String::new();
            // One request, one answer: the server closes.
            stream.read_to_string(&mut answer).unwrap();
            drop(slow);
            answer
        });
        let served = runtime.spawn(serve_router(listener, Router::new().route("/", get(|| async { "ok" }))));
        let answer = runtime
            .block_on(async { tokio::task::spawn_blocking(|| clients.join().unwrap()).await.unwrap() });
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{answer}");
        served.abort();
    }
}
