//! The sources: asked all at once, each with a bounded time.

use super::interface;
use crate::record::{ClientReading, Reading, Sample, ServerReading, Source};
use crate::telemetry::{self, latencies::Encoded, latencies::Latencies};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use ureq::Agent;

/// How long one answer may take, so that all of them come within their second.
const TIMEOUT: Duration = Duration::from_millis(900);

/// How long the first answers may take: the table of 65,536 SETs is some 8 MB.
const FIRST_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer at the most.
const BYTES_MAX: u64 = 64 << 20;

/// Why there is nothing to watch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// An option is wrong: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Nobody is there: exit code 3.
    #[error("{0}")]
    Unreachable(String),
}

/// What is wrong with a source for now; the others go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which source, by URL, or interface, by name.
    pub source: String,
    /// What is wrong.
    pub why: String,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.source, self.why)
    }
}

/// Asks all sources.
#[derive(Debug)]
pub struct Watcher {
    urls: Vec<String>,
    authorization: Option<String>,
    iface: Option<String>,
    agent: Agent,
    /// Sources that have no histograms.
    without_histograms: HashSet<String>,
    /// What others told last: totals stay what they were while they are not told.
    latencies: HashMap<String, Latencies>,
}

/// Why one source did not tell.
#[derive(Debug)]
enum Silent {
    /// It is not there, or not now.
    Away(String),
    /// It is there, and will not tell, or is no redpkt.
    Other(String),
}

/// What tells servers and clients apart.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    kind: String,
}

impl Watcher {
    /// Asks every source once, to see that it is one. `token` is shown to each; `iface` is an interface of this machine
    /// to count packets at.
    pub fn new(
        urls: Vec<String>,
        token: Option<String>,
        iface: Option<String>,
    ) -> Result<Watcher, WatchError> {
        let mut own: Vec<String> = Vec::new();
        for url in urls {
            let url = url.trim_end_matches('/').to_owned();
            if !url.starts_with("http://") {
                return Err(WatchError::Usage(format!(
                    "--http {url}: expected a URL such as http://127.0.0.1:7101"
                )));
            }
            if !own.contains(&url) {
                own.push(url);
            }
        }
        if let Some(name) = iface.as_deref().filter(|name| interface::read(name).is_none()) {
            let there = interface::names().join(", ");
            return Err(WatchError::Usage(format!("--iface {name}: no such interface; there are {there}")));
        }
        let watcher = Watcher {
            urls: own,
            authorization: token.map(|token| format!("Bearer {token}")),
            iface,
            agent: agent(FIRST_TIMEOUT),
            without_histograms: HashSet::new(),
            latencies: HashMap::new(),
        };
        for (url, answer) in watcher.urls.iter().zip(watcher.ask_all()) {
            match answer {
                Ok(_) => {}
                Err(Silent::Other(why)) => return Err(WatchError::Usage(format!("--http {url}: {why}"))),
                Err(Silent::Away(why)) => {
                    return Err(WatchError::Unreachable(format!(
                        "--http {url}: {why}; start a server with redpkt serve, or name where it tells its figures"
                    )));
                }
            }
        }
        Ok(Watcher { agent: agent(TIMEOUT), ..watcher })
    }

    /// The sources that are asked.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The totals of all sources now, and who did not tell, or not all. Takes less than two seconds.
    pub fn sample(&mut self) -> (Sample, Vec<Trouble>) {
        let answers = self.ask_all();
        let (mut sources, mut troubles) = (Vec::new(), Vec::new());
        for (url, answer) in self.urls.iter().zip(answers) {
            let trouble = |why| Trouble { source: url.clone(), why };
            match answer {
                Ok((mut source, histograms)) => {
                    match histograms {
                        Histograms::Told => {
                            drop(self.latencies.insert(url.clone(), source.latencies.clone()))
                        }
                        Histograms::None => drop(self.without_histograms.insert(url.clone())),
                        Histograms::Unreadable(why) => {
                            source.latencies = self.latencies.get(url).cloned().unwrap_or_default();
                            troubles.push(trouble(why));
                        }
                    }
                    sources.push(source);
                }
                Err(Silent::Away(why) | Silent::Other(why)) => troubles.push(trouble(why)),
            }
        }
        let interface = self.iface.as_deref().and_then(interface::read);
        if let Some(name) = self.iface.as_ref().filter(|_| interface.is_none()) {
            troubles.push(Trouble { source: name.clone(), why: "the interface has gone".into() });
        }
        (Sample { wall_ms: telemetry::wall_ms(), sources, interface }, troubles)
    }

    fn ask_all(&self) -> Vec<Result<(Source, Histograms), Silent>> {
        std::thread::scope(|scope| {
            let asking: Vec<_> = self.urls.iter().map(|url| scope.spawn(|| self.ask(url))).collect();
            let failed = |_| Err(Silent::Away("asking failed".into()));
            asking.into_iter().map(|asking| asking.join().unwrap_or_else(failed)).collect()
        })
    }

    fn ask(&self, url: &str) -> Result<(Source, Histograms), Silent> {
        let text = self.get(&format!("{url}/stats.json"))?;
        let text = text.ok_or_else(|| Silent::Other("has no /stats.json: no redpkt".into()))?;
        let no_redpkt = |what: &str| Silent::Other(format!("answers {what}: no redpkt of this version"));
        let Kind { kind } = serde_json::from_str(&text).map_err(|_| no_redpkt("what is no figures"))?;
        let unread = |error: serde_json::Error| no_redpkt(&format!("what cannot be read ({error})"));
        let reading = match kind.as_str() {
            "server" => {
                Reading::Server(Box::new(serde_json::from_str::<ServerReading>(&text).map_err(unread)?))
            }
            "client" => {
                Reading::Client(Box::new(serde_json::from_str::<ClientReading>(&text).map_err(unread)?))
            }
            _ => return Err(no_redpkt("without saying what it is")),
        };
        let (latencies, histograms) = self.histograms(url);
        Ok((Source { url: url.to_owned(), reading, latencies }, histograms))
    }

    fn histograms(&self, url: &str) -> (Latencies, Histograms) {
        let none = Latencies::default();
        if self.without_histograms.contains(url) {
            return (none, Histograms::None);
        }
        let unreadable =
            |why: String| (Latencies::default(), Histograms::Unreadable(format!("/histograms.json: {why}")));
        match self.get(&format!("{url}/histograms.json")) {
            Ok(None) => (none, Histograms::None),
            Ok(Some(text)) => match serde_json::from_str::<Encoded>(&text) {
                Ok(encoded) => match Latencies::decode(&encoded) {
                    Ok(latencies) => (latencies, Histograms::Told),
                    Err(error) => unreadable(error.to_string()),
                },
                Err(error) => unreadable(error.to_string()),
            },
            Err(Silent::Away(why) | Silent::Other(why)) => unreadable(why),
        }
    }

    /// The text at a URL; `None` if there is no such thing.
    fn get(&self, url: &str) -> Result<Option<String>, Silent> {
        let mut request = self.agent.get(url);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut answer = request.call().map_err(|error| match error {
            ureq::Error::BadUri(error) => Silent::Other(error),
            ureq::Error::Timeout(_) => Silent::Away("does not answer in time".into()),
            ureq::Error::Io(error) => Silent::Away(error.to_string()),
            error => Silent::Away(error.to_string()),
        })?;
        match answer.status().as_u16() {
            200 => {
                let text = answer.body_mut().with_config().limit(BYTES_MAX).read_to_string();
                text.map(Some).map_err(|error| Silent::Away(error.to_string()))
            }
            404 => Ok(None),
            401 => Err(Silent::Other("asks for its token; name its file with --http-token".into())),
            status => {
                let text =
                    answer.body_mut().with_config().limit(1 << 10).read_to_string().unwrap_or_default();
                let text = text.lines().next().unwrap_or_default().trim();
                Err(Silent::Other(format!("answers {status} {text}")))
            }
        }
    }
}

/// What became of asking for histograms.
#[derive(Debug)]
enum Histograms {
    Told,
    None,
    Unreadable(String),
}

fn agent(timeout: Duration) -> Agent {
    // No proxy: the environment's is for other machines.
    let config = Agent::config_builder().timeout_global(Some(timeout)).proxy(None).max_redirects(0);
    config.http_status_as_error(false).build().into()
}
