//! Samples that are made up, and what becomes of them.

mod dirs;
mod losses;
mod sums;

use super::*;
use crate::telemetry::latencies::Latencies;
use crate::telemetry::machine::{Interface, Machine, Softnet, Udp};

/// A server that is so old and has answered so often.
fn server(uptime_s: f64, answers: u64) -> ServerReading {
    ServerReading { uptime_s, answers, ..ServerReading::default() }
}

fn of_server(url: &str, reading: ServerReading) -> Source {
    Source { url: url.into(), reading: Reading::Server(Box::new(reading)), latencies: Latencies::default() }
}

fn of_client(url: &str, reading: ClientReading) -> Source {
    Source { url: url.into(), reading: Reading::Client(Box::new(reading)), latencies: Latencies::default() }
}

/// A sample so many s after the first.
fn at(second: u64, sources: Vec<Source>) -> Sample {
    Sample { wall_ms: 1_000_000 + 1_000 * second, sources, interface: None }
}

fn latencies(name: &str, values_ns: &[u64]) -> Latencies {
    let mut histogram = crate::hdr::histogram();
    values_ns.iter().for_each(|ns| histogram.record(*ns).unwrap());
    Latencies([(name.to_owned(), histogram)].into())
}
