//! What this program asks of a server's HTTP side.

use serde_json::Value;
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The text.
    pub body: String,
}

impl Reply {
    /// The text as JSON; `Value::Null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Whether it was done, now or before.
    pub fn is_done(&self) -> bool {
        matches!(self.status, 200 | 201)
    }
}

/// `GET url/target`. The error, also an answer that is not 200, is one line.
pub fn get(url: &str, target: &str) -> Result<Value, String> {
    let full = join(url, target);
    let reply = read(agent().get(&full).call(), &full)?;
    match reply.status {
        200 => Ok(reply.json()),
        status => Err(format!("{full}: {status} {}", reply.body.trim())),
    }
}

/// `POST url/target`, whatever the answer. The error is one line.
pub fn post(url: &str, target: &str) -> Result<Reply, String> {
    let full = join(url, target);
    read(agent().post(&full).send_empty(), &full)
}

/// `POST url/target`, which must be done, now or before.
pub fn order(url: &str, target: &str) -> Result<Value, String> {
    let reply = post(url, target)?;
    match reply.is_done() {
        true => Ok(reply.json()),
        false => Err(format!("{}: {} {}", join(url, target), reply.status, reply.body.trim())),
    }
}

fn join(url: &str, target: &str) -> String {
    format!("{}/{}", url.trim_end_matches('/'), target.trim_start_matches('/'))
}

fn agent() -> ureq::Agent {
    // No proxy: the environment's is for other machines.
    let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None);
    config.http_status_as_error(false).build().into()
}

fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>, full: &str) -> Result<Reply, String> {
    let mut answer = answer.map_err(|error| format!("{full}: {error}"))?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_to_string().map_err(|error| format!("{full}: {error}"))?;
    Ok(Reply { status, body })
}
