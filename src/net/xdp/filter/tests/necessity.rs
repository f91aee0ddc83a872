//! Every comparison of the program is needed: without it the verifier refuses the program, or a frame meets
//! another fate. So no comparison is there in vain, and none could be lost unseen.

use super::frames::{Scenario, scenarios};
use super::gates::{self, Case};
use super::{oracle, program_or_skip, verdict, xdp_socket};
use crate::gate::Gate;
use crate::net::xdp::assembler::Instruction;
use crate::net::xdp::bpf;
use crate::net::xdp::filter::program::program;
use crate::net::xdp::filter::{Filter, Maps, Program};
use std::os::fd::AsFd;

/// Goes on with the next instruction.
const NO_JUMP: Instruction = Instruction { code: 0x05, registers: 0, offset: 0, immediate: 0 };

/// Conditional jumps, of either class, but for the one after a map's lookup: newer verifiers see themselves
/// that this key is always found, older ones insist on it.
fn is_comparison(instruction: &Instruction) -> bool {
    let is_jump = matches!(instruction.code & 0x07, 0x05 | 0x06);
    // Always, call, exit.
    let is_unconditional = matches!(instruction.code >> 4, 0 | 8 | 9);
    let is_null_check = instruction.code == 0x15;
    is_jump && !is_unconditional && !is_null_check
}

/// Frames that differ from good ones in one thing.
fn near_misses(scenario: &Scenario) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let good = scenario.frame(64);
    for bit in 0..8 * (scenario.udp_at() + 8 + 13) {
        let mut frame = good.clone();
        frame[bit / 8] ^= 1 << (bit % 8);
        frames.push(frame);
    }
    for count in 0..=19 {
        let whole = scenario.frame(64 * count);
        frames.push(whole[..whole.len() - 1].to_vec());
        frames.push(scenario.frame(64 * count + 1));
        frames.push(whole);
    }
    frames
}

/// The frames with what must become of them, with an open gate, and then with others.
fn corpus(filter: &Filter) -> Vec<Case> {
    let same_vlan = scenarios().into_iter().filter(|scenario| scenario.filter.vlan == filter.vlan);
    let with_fate = |frame: Vec<u8>| {
        let fate = oracle::verdict(filter, &frame);
        Case { gate: Gate::OPEN, frame, fate }
    };
    let mut corpus: Vec<Case> =
        same_vlan.flat_map(|scenario| near_misses(&scenario)).map(with_fate).collect();
    let same = |scenario: &Scenario| {
        scenario.is_server() && format!("{:?}", scenario.filter) == format!("{filter:?}")
    };
    corpus.extend(
        scenarios().iter().find(|scenario| same(scenario)).iter().flat_map(|scenario| gates::cases(scenario)),
    );
    corpus
}

/// Whether a frame of the corpus meets another fate than it must.
fn is_noticed(program: &Program, corpus: &[Case]) -> bool {
    let mut gate = None;
    corpus.iter().any(|case| {
        if gate != Some(case.gate) {
            program.set_gate(0, &case.gate);
            gate = Some(case.gate);
        }
        verdict(program, &case.frame) != case.fate
    })
}

/// The program of `filter` with a socket in its queue, and its code.
fn load(filter: &Filter) -> Option<(Program, Vec<Instruction>)> {
    let program_as_is = program_or_skip(filter, 1)?;
    let filter = filter.checked().unwrap();
    let Program { sockets, drops, gates, .. } = &program_as_is;
    let maps = Maps { sockets: sockets.fd(), drops: drops.fd(), gates: gates.fd(), lines: 1 };
    let code = program(&filter, &maps);
    Some((program_as_is, code))
}

#[test]
fn no_comparison_can_be_left_out() {
    let mut filters: Vec<Filter> = scenarios().into_iter().map(|scenario| scenario.filter).collect();
    filters.dedup_by_key(|filter| format!("{filter:?}"));
    for filter in &filters {
        let Some((mut program, code)) = load(filter) else { return };
        let Some(socket) = xdp_socket() else { return };
        program.set_socket(0, socket.as_fd()).unwrap();
        let corpus = corpus(filter);
        assert!(!is_noticed(&program, &corpus), "the whole program is right: {filter:?}");
        for at in (0..code.len()).filter(|at| is_comparison(&code[*at])) {
            let mut code = code.clone();
            code[at] = NO_JUMP;
            let Ok(crippled) = bpf::load_xdp_program("redpkt_crippled", &code) else { continue };
            program.program = crippled;
            assert!(is_noticed(&program, &corpus), "nothing misses instruction {at}: {filter:?}");
        }
    }
}
