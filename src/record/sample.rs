//! One moment: the totals of everything that was asked.

use super::{ClientReading, ServerReading};
use crate::telemetry::latencies::{Encoded, Latencies};
use crate::telemetry::machine::Interface;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One moment, as each source told it. Sources stay apart, because each of them may begin anew by itself; what they
/// make together is a [`Second`](super::Second).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, in ms since 1970, by the clock of who asked.
    pub wall_ms: u64,
    /// Who answered. A source that was away is not among them.
    pub sources: Vec<Source>,
    /// An interface of the machine of who asked, if one was named and is there.
    #[serde(default)]
    pub interface: Option<Interface>,
}

/// One source's answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Where it was asked.
    pub url: String,
    /// Its figures.
    #[serde(flatten)]
    pub reading: Reading,
    /// Its histograms, totals since its start. In a run's directory: what came since the sample before.
    #[serde(default, serialize_with = "encode", deserialize_with = "decode")]
    pub latencies: Latencies,
}

/// The figures of a source, by what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// A server.
    Server(Box<ServerReading>),
    /// A load client.
    Client(Box<ClientReading>),
}

impl Reading {
    /// Since the source's start.
    pub fn uptime_s(&self) -> f64 {
        match self {
            Reading::Server(server) => server.uptime_s,
            Reading::Client(client) => client.uptime_s,
        }
    }

    /// When it was read, by the source's clock, in ms since 1970.
    pub fn wall_ms(&self) -> u64 {
        match self {
            Reading::Server(server) => server.wall_ms,
            Reading::Client(client) => client.wall_ms,
        }
    }
}

impl Source {
    /// Whose counters of the machine it tells: the name of its network namespace, or where it does not say, the
    /// machine's name or address in the URL, `localhost` for all of the loopback's. Sources of one machine tell the
    /// same of it.
    pub fn machine_name(&self) -> &str {
        if let Some(namespace) = &self.reading.machine().namespace {
            return namespace;
        }
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let place = rest.split('/').next().unwrap_or(rest);
        let name = match place.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => place,
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = bare.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        if is_loopback { "localhost" } else { name }
    }
}

impl Sample {
    /// The servers.
    pub fn servers(&self) -> impl Iterator<Item = &ServerReading> {
        self.sources.iter().filter_map(|source| match &source.reading {
            Reading::Server(server) => Some(server.as_ref()),
            Reading::Client(_) => None,
        })
    }

    /// The load clients.
    pub fn clients(&self) -> impl Iterator<Item = &ClientReading> {
        self.sources.iter().filter_map(|source| match &source.reading {
            Reading::Server(_) => None,
            Reading::Client(client) => Some(client.as_ref()),
        })
    }
}

fn encode<S: Serializer>(latencies: &Latencies, serializer: S) -> Result<S::Ok, S::Error> {
    latencies.encoded().histograms.serialize(serializer)
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Latencies, D::Error> {
    let encoded = Encoded { histograms: Deserialize::deserialize(deserializer)? };
    Latencies::decode(&encoded).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::machine::Machine;

    #[test]
    fn the_machine_of_a_url() {
        let name = |url: &str| {
            let reading = Reading::Client(Box::default());
            Source { url: url.into(), reading, latencies: Latencies::default() }.machine_name().to_owned()
        };
        let machine = Machine { namespace: Some("0a net:[7]".into()), ..Machine::default() };
        let reading = Reading::Client(Box::new(ClientReading { machine, ..ClientReading::default() }));
        let told = Source { url: "http://127.0.0.1:1".into(), reading, latencies: Latencies::default() };
        assert_eq!(told.machine_name(), "0a net:[7]");
        assert_eq!(name("http://127.0.0.1:7101"), "localhost");
        assert_eq!(name("http://localhost:7101"), "localhost");
        assert_eq!(name("http://[::1]:7101/"), "localhost");
        assert_eq!(name("http://[2001:db8::1]:7101/"), "[2001:db8::1]");
        assert_eq!(name("http://server/x"), "server");
    }

    /// Expect: a line of JSON comes back as it was, histograms among it.
    #[test]
    fn a_sample_comes_back() {
        let mut latencies = Latencies::default();
        let mut histogram = crate::hdr::histogram();
        histogram.record(1_000).unwrap();
        latencies.0.insert("service/shake".into(), histogram);
        let reading = Reading::Server(Box::new(ServerReading { answers: 3, ..ServerReading::default() }));
        let source = Source { url: "http://a:1".into(), reading, latencies };
        let sample = Sample { wall_ms: 5, sources: vec![source], interface: None };
        let text = serde_json::to_string(&sample).unwrap();
        assert_eq!(serde_json::from_str::<Sample>(&text).unwrap(), sample);
    }
}
