//! What the kernel drops at a socket by a gate.

use super::*;
use crate::gate::{ALL, CLASSES, Class, Gate};
use redpkt_proto::Op;

fn datagram(user: u64, op: Op) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(&user.to_le_bytes());
    bytes[13] = op as u8;
    bytes
}

/// Expect: of what was sent, by IPv4 and IPv6, exactly what the gate admits comes; the rest is counted as shed, also
/// when the gate has opened before that is noticed, and nothing as lost.
#[test]
fn the_kernel_drops_what_the_gate_does_not_admit() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let mut engine = engine(&[listen]);
        let peer = peer(engine.listen_addrs()[0]);
        let mut limits = [ALL; CLASSES];
        limits[Class::Shake as usize] = ALL / 2;
        let gate = Gate { limits, salt: 7, told: 0 };
        engine.set_gate(&gate);
        for user in 0..100 {
            peer.send(&datagram(user, Op::Shake)).unwrap();
            peer.send(&datagram(user, Op::Open)).unwrap();
        }
        let admitted = (0..100).filter(|user| gate.admits(Class::Shake, *user)).count();
        assert!((1..100).contains(&admitted));
        let came = take(&mut engine, 100 + admitted);
        let shakes = came.iter().filter(|(_, bytes)| bytes[13] == Op::Shake as u8);
        assert!(shakes.clone().all(|(_, bytes)| {
            gate.admits(Class::Shake, u64::from_le_bytes(bytes[..8].try_into().unwrap()))
        }));
        assert_eq!(shakes.count(), admitted);
        engine.set_gate(&Gate { limits: [0; CLASSES], ..gate });
        peer.send(&datagram(1, Op::Open)).unwrap();
        engine.set_gate(&Gate::OPEN);
        for user in 0..100 {
            peer.send(&datagram(user, Op::Shake)).unwrap();
        }
        assert_eq!(take(&mut engine, 100).len(), 100, "the gate is open");
        let counters = engine.counters();
        assert_eq!((counters.shed, counters.rxq_overflow), (100 - admitted as u64 + 1, 0));
    }
}
