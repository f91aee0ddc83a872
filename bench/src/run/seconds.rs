//! A run cut into seconds: what each thread tells of each.

use super::book::{Book, Latencies};
use super::counts::Counts;
use super::generator::{Measure, Message, SecondPart};
use redpkt::net::client::ClientCounters;
use redpkt_proto::Now;
use std::sync::mpsc::Sender;

const S_NS: u64 = 1_000_000_000;

/// Cuts a run into seconds.
pub struct Seconds {
    start_ns: u64,
    duration_ns: u64,
    /// The second that goes on.
    second: u64,
    counts: Counts,
    sockets: ClientCounters,
}

impl Seconds {
    /// From the beginning of a run.
    pub fn new(measure: &Measure, sockets: ClientCounters) -> Seconds {
        let (start_ns, duration_ns) = (measure.start_ns, measure.duration_ns());
        Seconds { start_ns, duration_ns, second: 0, counts: Counts::default(), sockets }
    }

    /// Tells about the seconds that are over.
    pub fn close_until(
        &mut self,
        now: Now,
        sockets: ClientCounters,
        book: &mut Book,
        messages: &Sender<Message>,
    ) {
        while self.second * S_NS < self.duration_ns
            && now.mono_ns >= self.start_ns + ((self.second + 1) * S_NS).min(self.duration_ns)
        {
            let latencies = std::mem::replace(&mut book.latencies, Latencies::new());
            let part = SecondPart {
                second: self.second,
                counts: book.counts.since(&self.counts),
                sockets: since(&sockets, &self.sockets),
                latencies,
            };
            let _ = messages.send(Message::Second(Box::new(part)));
            (self.second, self.counts, self.sockets) = (self.second + 1, book.counts, sockets);
        }
    }
}

/// What was counted between two readings.
pub fn since(now: &ClientCounters, before: &ClientCounters) -> ClientCounters {
    ClientCounters {
        datagrams_sent: now.datagrams_sent - before.datagrams_sent,
        datagrams_received: now.datagrams_received - before.datagrams_received,
        packets_sent: now.packets_sent - before.packets_sent,
        packets_received: now.packets_received - before.packets_received,
        truncated: now.truncated - before.truncated,
        refused: now.refused - before.refused,
        overflow: now.overflow - before.overflow,
        send_errors: now.send_errors - before.send_errors,
        unreachable: now.unreachable - before.unreachable,
        recv_errors: now.recv_errors - before.recv_errors,
        send_calls: now.send_calls - before.send_calls,
        recv_calls: now.recv_calls - before.recv_calls,
        wait_calls: now.wait_calls - before.wait_calls,
    }
}
