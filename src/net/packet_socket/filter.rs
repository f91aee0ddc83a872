//! The program in the kernel that picks what is shown: classic BPF.

use crate::net::classic::{Instruction, jump, statement};
use libc::{
    BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IMM, BPF_IND, BPF_JA, BPF_JEQ, BPF_JMP, BPF_JSET,
    BPF_K, BPF_LD, BPF_LDX, BPF_LSH, BPF_MISC, BPF_RET, BPF_TAX, BPF_TXA, BPF_W, BPF_X, SKF_AD_OFF,
    SKF_AD_PROTOCOL, SKF_NET_OFF,
};

/// Ports that one program compares with at the most.
pub const PORTS_MAX: usize = 16;

/// All of it.
const WHOLE: u32 = u32::MAX;

const TAG_BYTES: u32 = 4;
const IPV6_BYTES: u32 = 40;
const UDP: u32 = libc::IPPROTO_UDP as u32;
const FRAGMENT: u32 = libc::IPPROTO_FRAGMENT as u32;

/// Where a jump goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Untagged,
    Network,
    V4,
    V4Udp,
    V6,
    V6Udp,
    V6Fragment,
    Ports,
    Take,
    Leave,
}

/// A line of the program.
enum Line {
    Do(Instruction),
    /// Goes to the label if the comparison holds.
    If(u32, u32, Label),
    Goto(Label),
    At(Label),
}

/// UDP over IPv4 or IPv6, behind one 802.1Q tag or none, from or to one of these ports; and later fragments, which have
/// none. Offsets count from the network header, whatever the link's is; the index register holds how far it is moved.
pub(super) fn filter(ports: &[u16]) -> Vec<Instruction> {
    use Label::*;
    use Line::*;
    assert!((1..=PORTS_MAX).contains(&ports.len()), "ports are checked before");
    let load = |size: u32, offset: u32| {
        Do(statement(BPF_LD | size | BPF_IND, (SKF_NET_OFF as u32).wrapping_add(offset)))
    };
    let arithmetic = |operation: u32, k: u32| Do(statement(BPF_ALU | operation | BPF_K, k));
    let set_index = |k: u32| Do(statement(BPF_LDX | BPF_W | BPF_IMM, k));
    let to_index = || Do(statement(BPF_MISC | BPF_TAX, 0));
    let is = |k: u32, label: Label| If(BPF_JEQ, k, label);
    let mut lines = vec![
        Do(statement(BPF_LD | BPF_H | BPF_ABS, (SKF_AD_OFF + SKF_AD_PROTOCOL) as u32)),
        is(libc::ETH_P_8021Q as u32, Untagged),
        is(libc::ETH_P_8021AD as u32, Untagged),
        set_index(0),
        Goto(Network),
        At(Untagged),
        set_index(TAG_BYTES),
        Do(statement(BPF_LD | BPF_H | BPF_ABS, (SKF_NET_OFF + 2) as u32)),
        At(Network),
        is(libc::ETH_P_IP as u32, V4),
        is(libc::ETH_P_IPV6 as u32, V6),
        Goto(Leave),
        At(V4),
        load(BPF_B, 9),
        is(UDP, V4Udp),
        Goto(Leave),
        At(V4Udp),
        load(BPF_H, 6),
        If(BPF_JSET, 0x1fff, Take),
        load(BPF_B, 0),
        arithmetic(BPF_AND, 0x0f),
        arithmetic(BPF_LSH, 2),
        Do(statement(BPF_ALU | BPF_ADD | BPF_X, 0)),
        to_index(),
        Goto(Ports),
        At(V6),
        load(BPF_B, 6),
        is(UDP, V6Udp),
        is(FRAGMENT, V6Fragment),
        Goto(Leave),
        At(V6Fragment),
        load(BPF_B, IPV6_BYTES),
        is(UDP, Take),
        Goto(Leave),
        At(V6Udp),
        Do(statement(BPF_MISC | BPF_TXA, 0)),
        arithmetic(BPF_ADD, IPV6_BYTES),
        to_index(),
        At(Ports),
    ];
    for offset in [0, 2] {
        lines.push(load(BPF_H, offset));
        lines.extend(ports.iter().map(|port| is((*port).into(), Take)));
    }
    lines.extend([
        At(Leave),
        Do(statement(BPF_RET | BPF_K, 0)),
        At(Take),
        Do(statement(BPF_RET | BPF_K, WHOLE)),
    ]);
    assemble(&lines)
}

/// Turns labels into distances. All jumps go forward.
fn assemble(lines: &[Line]) -> Vec<Instruction> {
    let is_code = |line: &&Line| !matches!(line, Line::At(_));
    let place = |label: Label| {
        let at = lines.iter().position(|line| matches!(line, Line::At(here) if *here == label));
        lines[..at.expect("every label is somewhere")].iter().filter(is_code).count()
    };
    let with_place = lines.iter().filter(is_code).enumerate();
    with_place
        .map(|(at, line)| match *line {
            Line::Do(instruction) => instruction,
            Line::If(comparison, k, label) => {
                let distance = u8::try_from(place(label) - at - 1).expect("the program is short");
                jump(comparison | BPF_K, k, distance, 0)
            }
            Line::Goto(label) => statement(BPF_JMP | BPF_JA, (place(label) - at - 1) as u32),
            Line::At(_) => unreachable!("labels are left out"),
        })
        .collect()
}
