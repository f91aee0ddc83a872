//! What there is no time for is dropped by the program as the gate says.

use super::frames::{Scenario, scenarios};
use super::{Kernel, Verdict, program_or_skip, verdict};
use crate::gate::{ALL, CLASSES, Class, Gate};
use redpkt_proto::steer::{fold, mix};

/// A gate with a frame, and what must become of that.
pub(super) struct Case {
    pub(super) gate: Gate,
    pub(super) frame: Vec<u8>,
    pub(super) fate: Verdict,
}

/// What [`mix`] makes the greatest number of.
const MIXED_TO_ALL: u32 = 0x74cc_9780;

fn frame(scenario: &Scenario, user: u64, op: u8) -> Vec<u8> {
    let mut frame = scenario.frame(64);
    let payload = scenario.udp_at() + 8;
    frame[payload..payload + 8].copy_from_slice(&user.to_le_bytes());
    frame[payload + 13] = op;
    frame
}

/// Every op under gates that are open, shut and half open, in each of which nobody or everybody is told.
pub(super) fn cases(scenario: &Scenario) -> Vec<Case> {
    let shut_for = |class: Class, limit| {
        let mut limits = [ALL; CLASSES];
        limits[class as usize] = limit;
        limits
    };
    let mut cases = Vec::new();
    for op in 0..=255 {
        let class = Class::of(op);
        let user = 0x0123_4567_89ab_cdef + u64::from(op) * 0x1111_1111_1111;
        // The one hash that is not below any limit.
        let never = fold(user) ^ MIXED_TO_ALL;
        assert_eq!(mix(MIXED_TO_ALL), ALL);
        for limits in [shut_for(class, 0), shut_for(class, ALL / 2), shut_for(class, ALL), [0; CLASSES]] {
            for (salt, told) in [(9, 0), (10, 0), (11, ALL), (never, 0)] {
                let gate = Gate { limits, salt, told };
                let is_taken = gate.admits(class, user) || told == ALL;
                let fate = if is_taken { Verdict::Taken } else { Verdict::DroppedShed };
                cases.push(Case { gate, frame: frame(scenario, user, op), fate });
            }
        }
    }
    cases
}

/// Expect: the program and the gate say the same, at a server; a client's program has no gate.
#[test]
fn the_program_is_the_gate() {
    for scenario in scenarios() {
        let Some(kernel) = Kernel::load(&scenario.filter) else { return };
        for Case { gate, frame, fate } in cases(&scenario) {
            kernel.program.set_gate(0, &gate);
            let fate = if scenario.is_server() { fate } else { Verdict::Taken };
            assert_eq!(kernel.verdict(&frame), fate, "{gate:?} {scenario:?}");
        }
    }
}

/// Expect: about so many of those that are not admitted are let through to be told.
#[test]
fn a_part_of_the_refused_is_let_through() {
    let scenario = scenarios().remove(0);
    let Some(kernel) = Kernel::load(&scenario.filter) else { return };
    kernel.program.set_gate(0, &Gate { limits: [0; CLASSES], salt: 1, told: ALL / 4 });
    let frame = frame(&scenario, 5, 9);
    let told = (0..4_000).filter(|_| kernel.verdict(&frame) == Verdict::Taken).count();
    assert!((850..1_150).contains(&told), "{told} of 4000");
}

/// Expect: a queue has a gate and a count of its own: another's says nothing of it.
#[test]
fn each_queue_has_its_gate_and_its_count() {
    let scenario = scenarios().remove(0);
    let Some(program) = program_or_skip(&scenario.filter, 2) else { return };
    let shut = Gate { limits: [0; CLASSES], salt: 1, told: 0 };
    let frame = frame(&scenario, 5, 9);
    // Test runs are on queue 0, which has no socket here: what is not dropped passes.
    program.set_gate(1, &shut);
    assert_eq!(verdict(&program, &frame), Verdict::Passed);
    program.set_gate(0, &shut);
    assert_eq!(verdict(&program, &frame), Verdict::DroppedShed);
    assert_eq!((program.shed(0), program.shed(1)), (1, 0));
}
