//! What an operator should hear of without looking: losses that mean something is too small or broken.

use super::shared::Shared;
use crate::capture::CaptureStats;
use crate::telemetry::OncePerMinute;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Drops that do not come from bad datagrams, and what helps.
const ALARMS: [(&str, &str); 7] = [
    ("full", "a table or queue is full: more --sessions, --accounts, --packets or --members"),
    (
        "prefix",
        "one network has had its share: a flood, or a carrier's gateway, which needs more --prefix-sessions or --prefix-joins",
    ),
    (
        "rxq_overflow",
        "datagrams were lost in a socket's receive buffer: more --workers, or a larger net.core.rmem_max",
    ),
    (
        "ring_full",
        "a worker was too slow to take over another's datagrams: is steering on, are cores shared?",
    ),
    ("send_error", "the kernel refused replies: look at routes and firewall"),
    ("send_timeout", "replies waited too long for the network: is the interface up?"),
    ("recv_error", "the kernel refused to receive: look at the interface"),
];

/// Watches drops and warns, each reason at most once a minute: the network can cause them, and must not
/// fill a disk.
#[derive(Default)]
pub struct Alarms {
    limits: [OncePerMinute; ALARMS.len()],
    before: BTreeMap<&'static str, u64>,
    failed_groups: BTreeSet<u32>,
    queues_lost: u64,
    queues_limit: OncePerMinute,
    capture_lost: u64,
    capture_limit: OncePerMinute,
}

impl Alarms {
    /// Says which groups' journals have failed since the last check, and how to go on; and which work again.
    pub fn check_groups(&mut self, shared: &Shared) {
        let failed: BTreeSet<u32> =
            shared.groups().filter(|(_, group)| group.has_failed != 0).map(|(number, _)| number).collect();
        for group in failed.difference(&self.failed_groups) {
            let file = shared.journal_of(*group);
            let http = shared
                .settings()
                .http
                .as_ref()
                .map_or("the HTTP address".into(), |http| http.addr.to_string());
            tracing::error!(
                group,
                "the journal of group {group} has failed, {file}: its money stands still, the other groups go on; make its disk well, then: curl -X POST http://{http}/groups/{group}/rebuild"
            );
        }
        for group in self.failed_groups.difference(&failed) {
            tracing::info!(group, "the group works again");
        }
        self.failed_groups = failed;
    }

    /// Says that an interface's queues have gone since the last check, of `lost` in all; at most once a minute,
    /// since its workers find out one after another.
    pub fn check_queues(&mut self, now: Instant, lost: u64) {
        if lost > self.queues_lost && self.queues_limit.ask(now).is_some() {
            tracing::error!(
                queues_lost = lost,
                "the interface is gone: datagrams go through the kernel's sockets; when it is back, restart the server to take its queues again"
            );
        }
        self.queues_lost = lost;
    }

    /// Warns of what was not written of traffic and keys since the last check; at most once a minute.
    pub fn check_capture(&mut self, now: Instant, capture: CaptureStats) {
        let CaptureStats { datagrams_lost, keys_lost, .. } = capture;
        let lost = datagrams_lost + keys_lost;
        if lost > self.capture_lost && self.capture_limit.ask(now).is_some() {
            tracing::warn!(
                datagrams_lost,
                keys_lost,
                "not written to --pcap and --keylog: a slow or full disk, or too little CPU; a smaller --pcap-sample helps"
            );
        }
        self.capture_lost = lost;
    }

    /// Warns of what has grown since the last check.
    pub fn check(&mut self, now: Instant, drops: BTreeMap<&'static str, u64>) {
        for ((reason, help), limit) in ALARMS.iter().zip(&self.limits) {
            let total = drops.get(reason).copied().unwrap_or(0);
            if total > self.before.get(reason).copied().unwrap_or(0)
                && let Some(kept_back) = limit.ask(now)
            {
                tracing::warn!(reason, total, kept_back, help, "drops");
            }
        }
        self.before = drops;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alarm_is_about_a_drop_that_is_counted() {
        let counted = super::super::stats::drops(&[Default::default()]);
        assert!(ALARMS.iter().all(|(reason, _)| counted.contains_key(reason)));
    }
}
