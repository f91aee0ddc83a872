//! What a source, and the machine that it is on, counted between two readings.

use super::delta::{grown, grown_32, grown_sum_32};
use super::{ClientReading, Count, Counts, Reading, Sample, Second, ServerReading, Source};
use crate::telemetry::machine::{Interface, Machine};
use std::collections::{HashMap, HashSet};

/// What a source's process counted. Drops by reason are added to the second's.
pub fn of_process(before: &Source, now: &Source, second: &mut Second) -> Counts {
    match (&before.reading, &now.reading) {
        (Reading::Server(before), Reading::Server(now)) => server_counts(before, now, second),
        (Reading::Client(before), Reading::Client(now)) => client_counts(before, now),
        _ => Counts::default(),
    }
}

/// What the kernel or the cards have lost is counted by them; what is left is ours.
const COUNTED_ELSEWHERE: [&str; 1] = ["rxq_overflow"];

fn server_counts(before: &ServerReading, now: &ServerReading, second: &mut Second) -> Counts {
    let mut counts = Counts::default();
    let grow = |of: fn(&ServerReading) -> u64| grown(of(before), of(now));
    for (count, of) in SERVER {
        counts.set(*count, grow(*of));
    }
    let mut lost = 0;
    for (reason, total) in &now.drops {
        let step = grown(before.drops.get(reason).copied().unwrap_or(0), *total);
        if step > 0 {
            *second.drops.entry(reason.clone()).or_insert(0) += step;
        }
        if !COUNTED_ELSEWHERE.contains(&reason.as_str()) {
            lost += step;
        }
    }
    counts.set(Count::LostUs, lost);
    if !now.io.passes_kernel() {
        // What our own filter at the sockets drops is counted by the kernel as if a buffer had been full.
        let of = |server: &ServerReading| server.drops.get("shed_in_kernel").copied().unwrap_or(0);
        counts[Count::LostSocket] -= grown(of(before), of(now)) as f64;
    }
    counts
}

type OfServer = fn(&ServerReading) -> u64;

const SERVER: &[(Count, OfServer)] = &[
    (Count::Answers, |server| server.answers),
    (Count::Repeated, |server| server.repeated),
    (Count::FramesIn, |server| server.frames_in),
    (Count::FramesOut, |server| server.frames_out),
    (Count::DatagramsIn, |server| server.datagrams_in),
    (Count::DatagramsOut, |server| server.datagrams_out),
    (Count::Joins, |server| server.joins),
    (Count::Misses, |server| server.shake.miss),
    (Count::Wins, |server| server.shake.win),
    (Count::Opens, |server| server.open.ok),
    (Count::OpensEmpty, |server| server.open.empty),
    (Count::OpenFen, |server| server.open.fen),
    (Count::Sends, |server| server.sends),
    (Count::Grabs, |server| server.grabs),
    (Count::Pushed, |server| server.invites.pushed),
    (Count::Minted, |server| server.orders.minted),
    (Count::Expired, |server| server.expired),
    (Count::Rows, |server| server.ledger.rows),
    (Count::Commits, |server| server.ledger.commits),
    (Count::Stalls, |server| server.stalls.count),
    (Count::StallNs, |server| server.stalls.total_ns),
];

type OfClient = fn(&ClientReading) -> u64;

const CLIENT: &[(Count, OfClient)] = &[
    (Count::Requests, |client| client.requests),
    (Count::Answered, |client| client.answers),
    (Count::Timeouts, |client| client.timeouts),
    (Count::Retransmits, |client| client.retransmits),
    (Count::Busy, |client| client.busy),
    (Count::Rejoins, |client| client.rejoins),
    (Count::FramesSent, |client| client.frames_sent),
    (Count::FramesReceived, |client| client.frames_received),
    (Count::DatagramsSent, |client| client.datagrams_sent),
    (Count::DatagramsReceived, |client| client.datagrams_received),
    (Count::ClientShakes, |client| client.shake.sent),
    (Count::ClientWins, |client| client.shake.win),
    (Count::ClientOpens, |client| client.open.ok),
    (Count::ClientFen, |client| client.open.fen),
];

fn client_counts(before: &ClientReading, now: &ClientReading) -> Counts {
    let mut counts = Counts::default();
    for (count, of) in CLIENT {
        counts.set(*count, grown(of(before), of(now)));
    }
    counts
}

/// Of which datagrams the kernel's UDP counters tell nothing.
fn passes_kernel(source: &Source) -> bool {
    matches!(&source.reading, Reading::Server(server) if server.io.passes_kernel())
}

/// What the kernel, the drivers and the cards counted, of whose machines there are two readings.
pub struct Machines<'sample> {
    /// One source of each machine: servers if there are any, else clients.
    chosen: HashMap<&'sample str, &'sample str>,
    /// Machines where a server's datagrams pass by the kernel.
    past_kernel: HashSet<&'sample str>,
}

impl<'sample> Machines<'sample> {
    /// Which sources of a sample tell of which machines.
    pub fn of(sample: &'sample Sample) -> Machines<'sample> {
        let is_server = |source: &&Source| matches!(source.reading, Reading::Server(_));
        let any_server = sample.sources.iter().any(|source| is_server(&source));
        let mut chosen = HashMap::new();
        for source in sample.sources.iter().filter(|source| is_server(source) == any_server) {
            chosen.entry(source.machine_name()).or_insert(source.url.as_str());
        }
        let past = sample.sources.iter().filter(|source| passes_kernel(source));
        Machines { chosen, past_kernel: past.map(Source::machine_name).collect() }
    }

    /// Adds to what a source's process counted what its machine did, if it is the one that tells of it.
    pub fn add(&self, counts: &mut Counts, before: &Source, now: &Source, second: &mut Second) {
        let name = now.machine_name();
        let is_past_kernel = self.past_kernel.contains(name);
        if passes_kernel(now) {
            counts[Count::UdpIn] = counts[Count::DatagramsIn];
            counts[Count::UdpOut] = counts[Count::DatagramsOut];
            second.is_xdp = true;
        }
        if self.chosen.get(name) != Some(&now.url.as_str()) {
            return;
        }
        let (machine_before, machine) = (before.reading.machine(), now.reading.machine());
        if let (Some(before), Some(now)) = (&machine_before.udp, &machine.udp) {
            if !is_past_kernel {
                counts[Count::UdpIn] += grown_32(before.in_datagrams, now.in_datagrams) as f64;
                counts[Count::UdpOut] += grown_32(before.out_datagrams, now.out_datagrams) as f64;
            }
            counts[Count::LostSocket] += grown_32(before.in_errors, now.in_errors) as f64;
        }
        if let (Some(before), Some(now)) = (&machine_before.softnet, &machine.softnet) {
            counts[Count::LostSoftnet] += grown_sum_32(before.dropped, now.dropped) as f64;
        }
        for interface in machine.interfaces.iter().filter(|interface| interface.serves) {
            let same = |each: &&Interface| each.name == interface.name;
            let before = machine_before.interfaces.iter().find(same).unwrap_or(interface);
            add_interface(counts, before, interface);
            if !second.interfaces.contains(&interface.name) {
                second.interfaces.push(interface.name.clone());
            }
        }
    }
}

fn add_interface(counts: &mut Counts, before: &Interface, now: &Interface) {
    let grow = |of: fn(&Interface) -> u64| grown_32(of(before), of(now)) as f64;
    counts[Count::InterfaceIn] += grow(|each| each.rx_packets);
    counts[Count::InterfaceOut] += grow(|each| each.tx_packets);
    counts[Count::LostNic] += grow(|each| each.rx_missed) + grow(|each| each.rx_errors);
}

/// The interface that was named takes the place of those that the sources' machines tell of.
pub fn add_own_interface(second: &mut Second, before: &Interface, now: &Interface) {
    let mut own = Counts::default();
    add_interface(&mut own, before, now);
    for count in [Count::InterfaceIn, Count::InterfaceOut, Count::LostNic] {
        second.counts[count] = own[count];
        second.per_s[count] = own[count] / second.span_s;
    }
    second.interfaces = vec![now.name.clone()];
}

impl Reading {
    /// What the kernel and the drivers count where the source is.
    pub fn machine(&self) -> &Machine {
        match self {
            Reading::Server(server) => &server.machine,
            Reading::Client(client) => &client.machine,
        }
    }
}
