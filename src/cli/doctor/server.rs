//! What a running server really got.

use super::check::Check;
use crate::cli::Failure;
use serde_json::Value;
use std::time::Duration;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a server answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    url: String,
    told: Result<Value, String>,
}

/// Asks for the figures of the server at this URL; `None` if none is there.
pub(super) fn ask(url: &str) -> Result<Option<Answer>, Failure> {
    let url = url.trim_end_matches('/');
    if !url.starts_with("http://") {
        return Err(Failure::usage(format!("--http {url}: expected a URL such as http://127.0.0.1:7101")));
    }
    // No proxy: the environment's is for other machines.
    let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None);
    let agent: ureq::Agent = config.http_status_as_error(false).build().into();
    let told = match agent.get(format!("{url}/stats.json")).call() {
        Ok(mut response) if response.status().is_success() => {
            response.body_mut().read_json().map_err(|error| format!("answers what is no JSON ({error})"))
        }
        Ok(response) => Err(format!("answers {}", response.status())),
        Err(ureq::Error::BadUri(error)) => {
            return Err(Failure::usage(format!(
                "--http {url}: {error}; expected a URL such as http://127.0.0.1:7101"
            )));
        }
        Err(ureq::Error::Timeout(_)) => Err(format!("does not answer within {TIMEOUT:?}")),
        Err(_) => return Ok(None),
    };
    Ok(Some(Answer { url: url.to_owned(), told }))
}

impl Answer {
    /// The interface whose queues the server has.
    pub(super) fn xdp_interface(&self) -> Option<&str> {
        self.told.as_ref().ok()?["io"]["xdp"]["interface"].as_str()
    }
}

/// The engine, mode and copying of a server.
pub(super) fn check(answer: &Answer) -> Check {
    let what = format!("server at {}", answer.url);
    let io = match &answer.told {
        Ok(stats) => &stats["io"],
        Err(why) => {
            return Check::could_be_better(
                what,
                format!("{why}: not known what it got"),
                "--http URL of a redpkt",
            );
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match io["engine"].as_str() {
        Some("xdp") => {
            let xdp = &io["xdp"];
            let copying =
                if xdp["zero_copy"] == true { "without copying" } else { "copied once by the kernel" };
            let (interface, mode) = (text(&xdp["interface"]), text(&xdp["mode"]));
            let effect = format!(
                "by AF_XDP on {} queues of {interface}, {mode} mode, frames {copying}",
                xdp["queues"]
            );
            match xdp["queues_lost"].as_u64() {
                None | Some(0) => Check::ok(what, effect),
                Some(lost) => Check::broken(
                    what,
                    format!(
                        "the interface {interface} has gone under it: {lost} queues lost, the kernel's sockets serve"
                    ),
                    "restart the server once the interface is back",
                ),
            }
        }
        Some("mmsg") => {
            let why = io["why"].as_str().map(|why| format!(" ({why})")).unwrap_or_default();
            Check::could_be_better(
                what,
                format!("through the kernel's sockets{why}"),
                "redpkt serve --io xdp --iface IF",
            )
        }
        _ => Check::could_be_better(what, "does not say which engine it has", "--http URL of a redpkt"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;
    use serde_json::json;

    fn check_of(told: Result<Value, String>) -> Check {
        check(&Answer { url: "http://127.0.0.1:1".into(), told })
    }

    #[test]
    fn what_a_server_got_is_told() {
        let xdp = |lost: u64, zero_copy: bool| {
            json!({ "io": { "engine": "xdp", "xdp": {
                "interface": "eth0", "queues": 4, "mode": "native", "zero_copy": zero_copy, "queues_lost": lost,
            }}})
        };
        let good = check_of(Ok(xdp(0, true)));
        let effect = "by AF_XDP on 4 queues of eth0, native mode, frames without copying";
        assert_eq!((good.state, good.effect.as_str()), (State::Ok, effect));
        assert!(check_of(Ok(xdp(0, false))).effect.ends_with("copied once by the kernel"));
        assert_eq!(check_of(Ok(xdp(4, true))).state, State::Broken);
        let mmsg = check_of(Ok(json!({ "io": { "engine": "mmsg", "why": "no --iface" } })));
        assert_eq!(mmsg.effect, "through the kernel's sockets (no --iface)");
        for told in [Err("answers 401".to_owned()), Ok(json!({})), Ok(json!([1]))] {
            assert_eq!(check_of(told).state, State::CouldBeBetter);
        }
    }

    #[test]
    fn only_a_url_will_do_and_silence_is_no_failure() {
        assert_eq!(ask("eth0").unwrap_err().code(), 2);
        // Port 9 of loopback: nobody is there.
        assert!(ask("http://127.0.0.1:9/").unwrap().is_none());
    }
}
