//! What a running server really got.

use super::check::Check;
use crate::cli::Failure;
use crate::cli::ask_stats::ask_stats;
use crate::net::bind::RECV_BUFFER_BYTES;
use serde_json::Value;

/// What a server answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    url: String,
    told: Result<Value, String>,
}

/// Asks for the figures of the server at this URL; `None` if none is there.
pub(super) fn ask(url: &str) -> Result<Option<Answer>, Failure> {
    let told = ask_stats("--http", url)?;
    Ok(told.map(|told| Answer { url: url.trim_end_matches('/').to_owned(), told }))
}

impl Answer {
    /// The interface whose queues the server has.
    pub(super) fn xdp_interface(&self) -> Option<&str> {
        self.told.as_ref().ok()?["io"]["xdp"]["interface"].as_str()
    }

    /// How many workers it has.
    pub(super) fn workers(&self) -> Option<usize> {
        let workers = self.told.as_ref().ok()?["workers"].as_array()?.len();
        (workers > 0).then_some(workers)
    }
}

/// All about a server.
pub(super) fn checks(answer: &Answer) -> Vec<Check> {
    let mut checks = vec![engine(answer)];
    if let Ok(stats) = &answer.told {
        let server = format!("server at {}", answer.url);
        checks.extend(steering(&server, stats));
        checks.extend(buffer(&server, stats));
        checks.extend(ledger(&server, &answer.url, stats));
        checks.extend(drops(&server, &answer.url, stats));
    }
    checks
}

/// Whether the kernel brings datagrams to their workers.
fn steering(server: &str, stats: &Value) -> Option<Check> {
    let (steers, workers) = (stats["io"]["steering"].as_bool()?, stats["workers"].as_array()?.len());
    let what = format!("{server}: steering");
    Some(match (steers, workers) {
        (_, 0 | 1) => Check::ok(what, "one worker: nothing to steer"),
        (true, _) => {
            Check::ok(what, format!("the kernel brings each datagram to its one of {workers} workers"))
        }
        (false, _) => Check::could_be_better(
            what,
            format!("off: {} datagrams changed workers by rings so far", stats["handed_over"]),
            "redpkt serve --steering on  # its log says if the kernel refused",
        ),
    })
}

/// What its receive buffers got.
fn buffer(server: &str, stats: &Value) -> Option<Check> {
    let got = stats["io"]["recv_buffer_bytes"].as_u64()?;
    let what = format!("{server}: receive buffer");
    Some(match got >= RECV_BUFFER_BYTES as u64 {
        true => Check::ok(what, format!("{} KiB for each worker, as asked for", got >> 10)),
        false => Check::could_be_better(
            what,
            format!("{} KiB for each worker, {} KiB were asked for", got >> 10, RECV_BUFFER_BYTES >> 10),
            format!("sudo sysctl -w net.core.rmem_max={RECV_BUFFER_BYTES}  # and restart it"),
        ),
    })
}

/// Whether money is kept, and can be.
fn ledger(server: &str, url: &str, stats: &Value) -> Option<Check> {
    let what = format!("{server}: ledger");
    Some(match stats["ledger"]["state"].as_str()? {
        "ok" => Check::ok(what, "every promise is on disk before it is made"),
        "memory" => Check::could_be_better(
            what,
            "in memory: money is gone with the process",
            "redpkt serve --ledger sqlite:DIR",
        ),
        _ => Check::broken(
            what,
            "a group's journal cannot be written: its users' money stands still",
            format!(
                "curl -s {url}/healthz  # names it; mend its disk, then: curl -X POST {url}/groups/N/rebuild"
            ),
        ),
    })
}

/// What it has dropped or refused, the most frequent reason first.
fn drops(server: &str, url: &str, stats: &Value) -> Option<Check> {
    let drops = stats["drops"].as_object()?;
    let what = format!("{server}: drops");
    let mut counted: Vec<(u64, &str)> = drops
        .iter()
        .filter_map(|(reason, count)| Some((count.as_u64().filter(|count| *count > 0)?, reason.as_str())))
        .collect();
    if counted.is_empty() {
        return Some(Check::ok(what, format!("none of {} datagrams so far", stats["datagrams_in"])));
    }
    counted.sort_unstable_by_key(|(count, reason)| (std::cmp::Reverse(*count), *reason));
    let words: Vec<String> = counted.iter().map(|(count, reason)| format!("{reason} {count}")).collect();
    Some(Check::could_be_better(
        what,
        format!("of {} datagrams so far: {}", stats["datagrams_in"], words.join(", ")),
        format!(
            "curl -s {url}/stats.json | jq .drops  # each reason, and what to do: docs/OPERATING.md#drops"
        ),
    ))
}

/// The engine, mode and copying of a server.
fn engine(answer: &Answer) -> Check {
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
        engine(&Answer { url: "http://127.0.0.1:1".into(), told })
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

    /// Expect: a line for each thing that it tells of, and none for what it does not.
    #[test]
    fn what_a_server_lost_and_keeps_is_told() {
        let checks_of = |stats| checks(&Answer { url: "http://127.0.0.1:1".into(), told: Ok(stats) });
        let stats = |steering: bool, ledger: &str, tag: u64| {
            json!({
                "io": { "engine": "mmsg", "steering": steering, "recv_buffer_bytes": RECV_BUFFER_BYTES },
                "workers": [{}, {}], "handed_over": 7, "ledger": { "state": ledger },
                "drops": { "length": 1, "tag": tag, "version": 0 }, "datagrams_in": 100,
            })
        };
        let states = |stats| checks_of(stats).iter().skip(1).map(|check| check.state).collect::<Vec<_>>();
        let (ok, better) = (State::Ok, State::CouldBeBetter);
        assert_eq!(states(stats(true, "ok", 3)), [ok, ok, ok, better]);
        assert_eq!(states(stats(false, "memory", 3)), [better, ok, better, better]);
        assert_eq!(states(stats(true, "failed", 3))[2], State::Broken);
        assert_eq!(states(json!({ "drops": { "tag": 0 }, "datagrams_in": 3 })), [ok]);
        let lost = checks_of(stats(true, "ok", 3)).pop().unwrap();
        assert_eq!(lost.effect, "of 100 datagrams so far: tag 3, length 1");
        assert!(lost.fix.contains("docs/OPERATING.md#drops"), "{lost:?}");
        assert_eq!(checks_of(json!({})).len(), 1);
    }

    #[test]
    fn only_a_url_will_do_and_silence_is_no_failure() {
        assert_eq!(ask("eth0").unwrap_err().code(), 2);
        // Port 9 of loopback: nobody is there.
        assert!(ask("http://127.0.0.1:9/").unwrap().is_none());
    }
}
