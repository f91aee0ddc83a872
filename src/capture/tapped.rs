//! An engine whose datagrams are captured.

use super::Way;
use super::tap::{Tap, wall_ns};
use crate::gate::Gate;
use crate::net::{Counters, Datagram, Engine, OwnEnds, Waker};
use redpkt_proto::Path;
use std::time::Duration;

/// An engine, and a tap that takes what comes in and goes out.
///
/// What an engine itself drops, and what the kernel drops before it, is not seen; what goes out is taken when it is
/// handed to the kernel.
pub struct Tapped<E> {
    engine: E,
    tap: Tap,
}

impl<E: Engine> Tapped<E> {
    /// This engine, with this tap.
    pub fn new(engine: E, tap: Tap) -> Tapped<E> {
        Tapped { engine, tap }
    }
}

impl<E: Engine> Engine for Tapped<E> {
    fn recv(&mut self) -> usize {
        let count = self.engine.recv();
        if count > 0 {
            let wall_ns = wall_ns();
            for Datagram { path, bytes } in self.engine.datagrams() {
                self.tap.take(wall_ns, Way::In, &path, bytes);
            }
        }
        count
    }

    fn datagrams(&mut self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        self.engine.datagrams()
    }

    fn waited_ns(&self) -> Option<u64> {
        self.engine.waited_ns()
    }

    fn reply(&mut self, reply_bytes: &[usize]) {
        let wall_ns = wall_ns();
        for (Datagram { path, bytes }, &len) in self.engine.datagrams().zip(reply_bytes) {
            if len > 0 {
                self.tap.take(wall_ns, Way::Out, &path, &bytes[..len]);
            }
        }
        self.engine.reply(reply_bytes);
    }

    fn send(&mut self, path: &Path, bytes: &[u8]) {
        // Most are not wanted, and need no time of day.
        if self.tap.wants(bytes) {
            self.tap.take(wall_ns(), Way::Out, path, bytes);
        }
        self.engine.send(path, bytes);
    }

    fn flush(&mut self) {
        self.engine.flush();
    }

    fn wait(&mut self, timeout: Duration) {
        self.engine.wait(timeout);
    }

    fn waker(&self) -> Waker {
        self.engine.waker()
    }

    fn own_ends(&self) -> OwnEnds {
        self.engine.own_ends()
    }

    fn counters(&self) -> Counters {
        self.engine.counters()
    }

    fn set_gate(&mut self, gate: &Gate) {
        self.engine.set_gate(gate);
    }
}
