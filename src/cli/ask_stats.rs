//! What a running server tells of itself, asked once.

use super::Failure;
use serde_json::Value;
use std::time::Duration;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks for `/stats.json` at the URL that `option` names. `None` if nobody is there; an error of who is there says in a few
/// words what it does instead.
pub fn ask_stats(option: &str, url: &str) -> Result<Option<Result<Value, String>>, Failure> {
    let url = url.trim_end_matches('/');
    if !url.starts_with("http://") {
        return Err(Failure::usage(format!("{option} {url}: expected a URL such as http://127.0.0.1:7101")));
    }
    // No proxy: the environment's is for other machines.
    let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None);
    let agent: ureq::Agent = config.http_status_as_error(false).build().into();
    Ok(Some(match agent.get(format!("{url}/stats.json")).call() {
        Ok(mut response) if response.status().is_success() => {
            response.body_mut().read_json().map_err(|error| format!("answers what is no JSON ({error})"))
        }
        Ok(response) => Err(format!("answers {}", response.status())),
        Err(ureq::Error::BadUri(error)) => {
            return Err(Failure::usage(format!(
                "{option} {url}: {error}; expected a URL such as http://127.0.0.1:7101"
            )));
        }
        Err(ureq::Error::Timeout(_)) => Err(format!("does not answer within {TIMEOUT:?}")),
        Err(_) => return Ok(None),
    }))
}
