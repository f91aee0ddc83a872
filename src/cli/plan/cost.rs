//! What an answer, a row and a join cost, and who measured it.

use super::Io;
use crate::cli::Failure;
use crate::cli::ask_stats::ask_stats;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A figure that was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Measured {
    /// The figure.
    pub value: f64,
    /// Where, how and with what.
    pub source: String,
    /// Whether it was measured on another machine than the one in question, as far as anybody knows.
    pub elsewhere: bool,
}

/// What is reckoned with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Costs {
    /// CPU time of a worker for each request that it answers, in ns.
    pub answer_cpu_ns: Measured,
    /// Durable rows a second of one machine, at least.
    pub rows_per_s: Measured,
    /// Joins a second of one machine, at least.
    pub joins_per_s: Measured,
    /// Bytes of a row on disk.
    pub row_bytes: Measured,
}

/// Where the figures of this project's documents were measured.
const ELSEWHERE: &str = "2-core AMD EPYC VM, Linux 6.18";

/// CPU time for each answer through sockets and through AF_XDP: docs/AF_XDP.md. A million phones are a million addresses,
/// so this is the one where each user has an address; `floor`, where all come from one, gives 3,120 ns.
const ANSWER_CPU_NS: [(Io, f64); 2] = [(Io::Mmsg, 4_986.0), (Io::Xdp, 1_980.0)];
const ANSWER_BY: &str =
    "redpkt-bench engines, 10,000 users each from an address of its own, veth pair (docs/AF_XDP.md)";

/// Durable opens a second, one a datagram, a row each: README.md.
const ROWS_PER_S: f64 = 205_000.0;
const ROWS_BY: &str =
    "redpkt-bench opens --frames-per-datagram 1, the client on one of the two cores (README.md)";

/// Sessions opened a second by one client at one worker: README.md.
const JOINS_PER_S: f64 = 131_000.0;
const JOINS_BY: &str = "redpkt-bench run --users 1000000, one worker and one client (README.md)";

/// Bytes of a row, 54, and of a commit, 53, by `dbstat` of SQLite on the journals of a practice; where few rows come, each
/// has its commit.
const ROW_BYTES: f64 = 54.0 + 53.0;
const ROW_BY: &str = "the journals of redpkt-bench practice, a commit for each row";

/// How long a server under load is watched.
const WATCHED: Duration = Duration::from_secs(2);

/// Frames a second below which a server says nothing about load.
const FRAMES_PER_S_MIN: f64 = 1_000.0;

impl Costs {
    /// The figures of the project's documents.
    pub(super) fn elsewhere(io: Io) -> Costs {
        let measured = |value, by: &str| Measured {
            value,
            source: format!("measured elsewhere: {by}, {ELSEWHERE}"),
            elsewhere: true,
        };
        let answer = ANSWER_CPU_NS.iter().find(|(other, _)| *other == io).map_or(f64::NAN, |(_, ns)| *ns);
        Costs {
            answer_cpu_ns: measured(answer, ANSWER_BY),
            rows_per_s: measured(ROWS_PER_S, ROWS_BY),
            joins_per_s: measured(JOINS_PER_S, JOINS_BY),
            row_bytes: measured(ROW_BYTES, ROW_BY),
        }
    }

    /// The same with what these files and this server say in its place.
    pub(super) fn read(io: Io, files: &[PathBuf], http: Option<&str>) -> Result<Costs, Failure> {
        let mut costs = Costs::elsewhere(io);
        for file in files {
            costs.take_file(io, file)?;
        }
        if let Some(url) = http {
            costs.answer_cpu_ns = of_server(url)?;
        }
        Ok(costs)
    }

    fn take_file(&mut self, io: Io, file: &Path) -> Result<(), Failure> {
        let shown = file.display();
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!("--cost {shown}: {error}; name a file of redpkt-bench --json"))
        })?;
        let json: Value = serde_json::from_str(&text).map_err(|error| {
            Failure::usage(format!("--cost {shown}: no JSON: {error}; name a file of redpkt-bench --json"))
        })?;
        self.take(io, &json, &shown.to_string())
            .map_err(|why| Failure::usage(format!("--cost {shown}: {why}")))
    }

    fn take(&mut self, io: Io, json: &Value, name: &str) -> Result<(), String> {
        if json["host"]["debug_build"] == true {
            return Err(
                "it is of a build without optimisation, which says nothing; build with --release".into()
            );
        }
        let host = &json["host"];
        let word = |name: &str| host[name].as_str().unwrap_or("?").to_owned();
        let source = |what: &str| format!("{name}: {what}, {}, Linux {}", word("cpu"), word("kernel"));
        let measured = |value, source| Measured { value, source, elsewhere: false };
        if let Some(opens) = positive(&json["opens_per_s"]) {
            self.rows_per_s = measured(opens, source("durable opens a second, a row each"));
            return Ok(());
        }
        let saturation = json["variants"].as_array();
        let variants = saturation.or_else(|| json["fixed_rate"]["variants"].as_array()).ok_or(
            "neither variants nor opens_per_s are in it; name a file of redpkt-bench floor, engines or opens --json",
        )?;
        let wanted = match io {
            Io::Mmsg => "redpkt_mmsg",
            Io::Xdp => "redpkt_xdp",
        };
        let names: Vec<&str> = variants.iter().filter_map(|variant| variant["name"].as_str()).collect();
        let found = variants.iter().find(|variant| variant["name"] == wanted);
        let answer = found.and_then(|variant| positive(&variant["cpu_ns_per_answer"]["median"]));
        let answer = answer.ok_or_else(|| {
            format!("it has no {wanted} but {}; choose --io mmsg or xdp, or another file", names.join(", "))
        })?;
        self.answer_cpu_ns = measured(answer, source(&format!("{wanted}, the median")));
        Ok(())
    }
}

fn positive(value: &Value) -> Option<f64> {
    value.as_f64().filter(|value| *value > 0.0)
}

/// What a worker's CPU time and frames came to at one moment.
#[derive(Clone, Copy)]
struct Moment {
    cpu_ns: f64,
    frames: f64,
    wall_ms: f64,
}

/// CPU time of workers for each frame that a server takes in now.
fn of_server(url: &str) -> Result<Measured, Failure> {
    let look = || match ask_stats("--http", url)? {
        None => Err(Failure::machine(format!(
            "--http {url}: nobody is there; start a server, or use --cost FILE"
        ))),
        Some(Err(why)) => Err(Failure::machine(format!("--http {url}: it {why}; name a redpkt server"))),
        Some(Ok(stats)) => moment(&stats).ok_or_else(|| {
            Failure::usage(format!("--http {url}: no figures of a server; name a redpkt server"))
        }),
    };
    let before = look()?;
    std::thread::sleep(WATCHED);
    between(url, before, look()?)
}

fn moment(stats: &Value) -> Option<Moment> {
    let workers = stats["workers"].as_array()?;
    let sum = |name: &str| workers.iter().map(|worker| worker[name].as_f64()).sum::<Option<f64>>();
    Some(Moment { cpu_ns: sum("cpu_ns")?, frames: sum("frames_in")?, wall_ms: stats["wall_ms"].as_f64()? })
}

fn between(url: &str, before: Moment, after: Moment) -> Result<Measured, Failure> {
    let seconds = (after.wall_ms - before.wall_ms) / 1e3;
    let frames = after.frames - before.frames;
    let rate = frames / seconds.max(0.001);
    if rate < FRAMES_PER_S_MIN {
        return Err(Failure::usage(format!(
            "--http {url}: {rate:.0} frames/s are too few to tell a cost by, {FRAMES_PER_S_MIN:.0} at least; put it under load with redpkt-bench run"
        )));
    }
    Ok(Measured {
        value: (after.cpu_ns - before.cpu_ns) / frames,
        source: format!(
            "{url}: CPU time of its workers for each of {rate:.0} frames/s over {seconds:.1} s; under more load batches are bigger and a frame is cheaper"
        ),
        elsewhere: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn floor(debug_build: bool) -> Value {
        let variant = |name: &str, ns: f64| json!({ "name": name, "cpu_ns_per_answer": { "median": ns } });
        json!({
            "variants": [variant("echo_mmsg", 1_000.0), variant("redpkt_mmsg", 1_250.0)],
            "host": { "cpu": "Fast One", "kernel": "6.18", "debug_build": debug_build },
        })
    }

    #[test]
    fn files_of_the_bench_take_the_place_of_what_was_measured_elsewhere() {
        let mut costs = Costs::elsewhere(Io::Mmsg);
        assert!(costs.answer_cpu_ns.elsewhere && costs.answer_cpu_ns.source.contains(ELSEWHERE));
        costs.take(Io::Mmsg, &floor(false), "floor.json").unwrap();
        assert_eq!((costs.answer_cpu_ns.value, costs.answer_cpu_ns.elsewhere), (1_250.0, false));
        assert!(costs.answer_cpu_ns.source.contains("floor.json: redpkt_mmsg"), "{costs:?}");
        let fixed = json!({ "fixed_rate": { "variants": floor(false)["variants"] } });
        costs.take(Io::Mmsg, &fixed, "fixed.json").unwrap();
        costs.take(Io::Mmsg, &json!({ "opens_per_s": 9_000.0 }), "opens.json").unwrap();
        assert_eq!((costs.rows_per_s.value, costs.rows_per_s.elsewhere), (9_000.0, false));
        assert!(costs.joins_per_s.elsewhere);
    }

    #[test]
    fn files_that_say_nothing_are_refused() {
        let refused = |io, json| Costs::elsewhere(io).take(io, &json, "x").unwrap_err();
        assert!(refused(Io::Mmsg, floor(true)).contains("--release"));
        assert!(refused(Io::Xdp, floor(false)).contains("no redpkt_xdp but echo_mmsg, redpkt_mmsg"));
        for nothing in [json!({}), json!([1]), json!({ "opens_per_s": 0 })] {
            assert!(refused(Io::Mmsg, nothing).contains("neither"));
        }
        let missing = Costs::read(Io::Mmsg, &["/none/x.json".into()], None).unwrap_err();
        assert_eq!((missing.code(), missing.to_string().starts_with("--cost /none/x.json: ")), (2, true));
    }

    #[test]
    fn a_server_is_measured_under_load_only() {
        let stats = |cpu_ns: u64, frames: u64, wall_ms: u64| {
            let worker = json!({ "cpu_ns": cpu_ns / 2, "frames_in": frames / 2 });
            moment(&json!({ "wall_ms": wall_ms, "workers": [worker, worker] })).unwrap()
        };
        let measured = between("http://x", stats(0, 0, 0), stats(200_000_000, 100_000, 2_000)).unwrap();
        assert_eq!(measured.value, 2_000.0);
        let idle = between("http://x", stats(0, 0, 0), stats(1_000, 100, 2_000)).unwrap_err();
        assert!(idle.code() == 2 && idle.to_string().contains("50 frames/s"), "{idle}");
        assert!(moment(&json!({})).is_none() && moment(&json!({ "workers": [{}] })).is_none());
        assert_eq!(of_server("http://127.0.0.1:9").unwrap_err().code(), 3);
        assert_eq!(of_server("eth0").unwrap_err().code(), 2);
    }
}
