//! What does not only grow, taken from all sources of a sample.

use super::delta::grown;
use super::{ClientReading, Gauges, Reading, ServerReading, Source, WorkerGauge};

impl Gauges {
    /// Takes a source in; `before` is how it was `span_s` ago.
    pub(super) fn take(&mut self, before: &Source, now: &Source, span_s: f64) {
        match (&before.reading, &now.reading) {
            (Reading::Server(before), Reading::Server(now)) => take_server(self, before, now, span_s),
            (_, Reading::Client(now)) => take_client(self, now),
            _ => {}
        }
    }
}

fn take_server(gauges: &mut Gauges, before: &ServerReading, now: &ServerReading, span_s: f64) {
    if gauges.servers == 0 {
        gauges.sessions = 0;
    }
    gauges.servers += 1;
    gauges.sessions += now.sessions;
    gauges.pool_packets += now.pool_packets;
    gauges.pool_fen += now.pool_fen;
    gauges.load_level = gauges.load_level.max(now.load_level);
    if gauges.servers == 1 || now.service.level > gauges.service_level {
        gauges.service_level = now.service.level;
        gauges.service = now.service.name.clone();
    }
    for off in &now.service.off {
        if !gauges.off.contains(off) {
            gauges.off.push(off.clone());
        }
    }
    gauges.sets_draining += now.sets.draining;
    gauges.sets_masked += now.sets.masked;
    gauges.groups_failed += now.groups.iter().filter(|group| group.state == "failed").count() as u64;
    for (number, worker) in now.workers.iter().enumerate() {
        let before = before.workers.get(number).copied().unwrap_or_default();
        gauges.workers.push(WorkerGauge {
            cpu: (grown(before.cpu_ns, worker.cpu_ns) as f64 / 1e9 / span_s).min(1.0),
            load_level: worker.load_level,
            sessions: worker.sessions,
            datagrams_in: grown(before.datagrams_in, worker.datagrams_in) as f64 / span_s,
        });
    }
}

/// What clients do, in the order in which they do it.
const PHASES: [&str; 4] = ["joining", "running", "draining", "done"];

fn take_client(gauges: &mut Gauges, now: &ClientReading) {
    gauges.clients += 1;
    if gauges.servers == 0 {
        gauges.sessions += now.sessions;
    }
    gauges.target_qps += now.target_qps;
    gauges.users += now.users;
    let place = |phase: &str| PHASES.iter().position(|each| *each == phase);
    if gauges.phase.is_empty() || place(&now.phase) < place(&gauges.phase) {
        gauges.phase = now.phase.clone();
    }
}
