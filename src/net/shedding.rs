//! The program in the kernel that drops what is not worked on, where dropping is cheapest.
//!
//! A classic BPF program at a socket sees a datagram from its UDP header on, before it takes room in the socket's
//! buffer, and needs no privilege. It is made for one gate and replaced when that changes. What it drops the kernel
//! counts as if the buffer had been full.

use super::classic::{Instruction, fold_user, jump, mix, statement};
use crate::gate::{ALL, Class, Gate, OP_MAX};
use redpkt_proto::FRAME_BYTES;
use socket2::{SockFilter, Socket};
use std::io;

const UDP_BYTES: u32 = 8;
/// The byte of a datagram's first frame that has its op.
const OP_AT: u32 = UDP_BYTES + 13;

/// What a load from here gives: a random number (`SKF_AD_OFF + SKF_AD_RANDOM`).
pub(super) const RANDOM: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM) as u32;

/// The results of a program: all of the datagram, or nothing.
const ACCEPT: u32 = u32::MAX;
const DROP: u32 = 0;

/// Where the program keeps the op and the user's hash.
const OP: u32 = 0;
const HASH: u32 = 1;

const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const LOAD_CONSTANT: u32 = libc::BPF_LD | libc::BPF_IMM;
const LOAD_KEPT: u32 = libc::BPF_LD | libc::BPF_MEM;
const LOAD_INDEX_KEPT: u32 = libc::BPF_LDX | libc::BPF_MEM;
const KEEP: u32 = libc::BPF_ST;
const SHIFT_RIGHT: u32 = libc::BPF_ALU | libc::BPF_RSH | libc::BPF_X;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// Accepts what the gate admits, what is to be told otherwise, and what is too short to tell: the worker counts that.
fn program(gate: &Gate) -> Vec<Instruction> {
    let ops = |is_one: &dyn Fn(u32) -> bool| {
        let classes = Class::ALL.iter().filter(|class| is_one(gate.limits[**class as usize]));
        classes.fold(0, |ops, class| ops | class.ops())
    };
    let mut code = vec![
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0),
        jump(libc::BPF_JGE, UDP_BYTES + FRAME_BYTES as u32, 1, 0),
        statement(RETURN, ACCEPT),
        statement(LOAD_BYTE, OP_AT),
        jump(libc::BPF_JGE, OP_MAX.into(), 0, 1),
        statement(LOAD_CONSTANT, OP_MAX.into()),
        statement(KEEP, OP),
    ];
    // To the instruction after the next where the op is one of these, else to the one after that.
    let when_one_of = |ops: u32| {
        [
            statement(LOAD_INDEX_KEPT, OP),
            statement(LOAD_CONSTANT, ops),
            statement(SHIFT_RIGHT, 0),
            jump(libc::BPF_JSET, 1, 0, 1),
        ]
    };
    code.extend(when_one_of(ops(&|limit| limit == ALL)));
    code.push(statement(RETURN, ACCEPT));
    code.extend(fold_user(UDP_BYTES));
    code.push(statement(libc::BPF_ALU | libc::BPF_XOR | libc::BPF_K, gate.salt));
    code.extend(mix());
    code.push(statement(KEEP, HASH));
    for class in Class::ALL {
        let limit = gate.limits[class as usize];
        if limit != ALL && limit != 0 {
            let [keep, load, shift, test] = when_one_of(class.ops());
            // Three instructions instead of one where it is of the class.
            let test = Instruction { jf: 3, ..test };
            code.extend([keep, load, shift, test]);
            code.extend([
                statement(LOAD_KEPT, HASH),
                jump(libc::BPF_JGE, limit, 1, 0),
                statement(RETURN, ACCEPT),
            ]);
        }
    }
    code.extend([
        statement(LOAD_WORD, RANDOM),
        jump(libc::BPF_JGE, gate.told, 1, 0),
        statement(RETURN, ACCEPT),
        statement(RETURN, DROP),
    ]);
    code
}

/// Has the kernel drop what this gate does not admit, from now on; nothing where it has nothing to do.
pub(super) fn attach(socket: &Socket, gate: &Gate) -> io::Result<()> {
    if !gate.sheds_in_kernel() {
        return socket.detach_filter();
    }
    let code: Vec<SockFilter> =
        program(gate).iter().map(|each| SockFilter::new(each.code, each.jt, each.jf, each.k)).collect();
    socket.attach_filter(&code)
}

#[cfg(test)]
mod tests {
    use super::super::classic::run;
    use super::*;
    use crate::gate::{CLASSES, Share};
    use proptest::prelude::*;

    fn datagram(user: u64, op: u8) -> Vec<u8> {
        let mut bytes = vec![0; 8 + FRAME_BYTES];
        bytes[8..16].copy_from_slice(&user.to_le_bytes());
        bytes[OP_AT as usize] = op;
        bytes
    }

    fn limit() -> impl Strategy<Value = Share> {
        prop_oneof![Just(0), Just(ALL), any::<Share>()]
    }

    proptest! {
        /// Expect: the program and the gate say the same of every user and op, and beside that lets through what is to
        /// be told.
        #[test]
        fn the_program_is_the_gate(
            limits in proptest::array::uniform5(limit()),
            salt: u32,
            told: Share,
            user: u64,
            op: u8,
            random: u32,
        ) {
            let gate = Gate { limits, salt, told };
            let accepted = run(&program(&gate), &datagram(user, op), random) == ACCEPT;
            prop_assert_eq!(accepted, gate.admits(Class::of(op), user) || random < told);
        }
    }

    /// Expect: as long as a program may be, whatever the gate (BPF_MAXINSNS is 4096; a short one is quick to attach).
    #[test]
    fn the_longest_program_is_short() {
        let gate = Gate { limits: [1; CLASSES], salt: 1, told: 1 };
        assert!(program(&gate).len() < 90, "{}", program(&gate).len());
    }

    #[test]
    fn what_is_too_short_to_tell_is_left_to_the_worker() {
        let gate = Gate { limits: [0; CLASSES], salt: 0, told: 0 };
        for len in 0..8 + FRAME_BYTES {
            assert_eq!(run(&program(&gate), &datagram(1, 9)[..len], 0), ACCEPT, "{len} bytes");
        }
        assert_eq!(run(&program(&gate), &datagram(1, 9), 0), DROP);
    }
}
