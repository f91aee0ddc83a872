//! Classic BPF, as far as two programs need it. Loads are big-endian, registers hold 32 bits, and a load past the end
//! ends the program with 0 (Documentation/networking/filter.rst in the kernel's source).

use redpkt_proto::steer::{MIX, Mix, WORD_MULTIPLIER};

/// One instruction.
pub(super) type Instruction = libc::sock_filter;

/// An instruction that does not jump; `code` is the sum of its parts in `linux/bpf_common.h`.
pub(super) fn statement(code: u32, k: u32) -> Instruction {
    Instruction { code: code as u16, jt: 0, jf: 0, k }
}

/// Goes on after so many instructions where the accumulator compares with `k` as `code` says, and where it does not.
pub(super) fn jump(code: u32, k: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction { code: (libc::BPF_JMP | code) as u16, jt: if_true, jf: if_false, k }
}

/// Has the accumulator hold the user in the first 8 bytes from `at` on, as [`fold`](redpkt_proto::steer::fold) says.
pub(super) fn fold_user(at: u32) -> [Instruction; 5] {
    [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at + 4),
        statement(libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K, WORD_MULTIPLIER),
        statement(libc::BPF_MISC | libc::BPF_TAX, 0),
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at),
        statement(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X, 0),
    ]
}

/// Mixes the accumulator, as [`mix`](redpkt_proto::steer::mix) says. The index register is lost.
pub(super) fn mix() -> Vec<Instruction> {
    let step = |step: &Mix| match *step {
        Mix::XorShiftRight(n) => vec![
            statement(libc::BPF_MISC | libc::BPF_TAX, 0),
            statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, n),
            statement(libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X, 0),
        ],
        Mix::Multiply(k) => vec![statement(libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K, k)],
    };
    MIX.iter().flat_map(step).collect()
}

/// The kernel's interpreter, as much of it as the programs use.
#[cfg(test)]
pub(super) fn run(code: &[Instruction], bytes: &[u8], random: u32) -> u32 {
    use super::shedding::RANDOM;
    let (mut a, mut x, mut memory, mut at) = (0u32, 0u32, [0u32; 16], 0);
    loop {
        let Instruction { code: op, jt, jf, k } = code[at];
        let op = u32::from(op);
        at += 1;
        let operand = if op & libc::BPF_X == 0 { k } else { x };
        match op & 0x07 {
            libc::BPF_LD => {
                let load = |bytes: Option<&[u8]>| {
                    bytes.map(|bytes| bytes.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)))
                };
                let index = k as usize;
                let loaded = match op & !0x07 {
                    op if op == libc::BPF_W | libc::BPF_LEN => Some(bytes.len() as u32),
                    op if op == libc::BPF_IMM => Some(k),
                    op if op == libc::BPF_MEM => Some(memory[index]),
                    op if op == libc::BPF_W | libc::BPF_ABS && k == RANDOM => Some(random),
                    op if op == libc::BPF_W | libc::BPF_ABS => load(bytes.get(index..index + 4)),
                    op if op == libc::BPF_B | libc::BPF_ABS => load(bytes.get(index..index + 1)),
                    other => panic!("unknown load {other:#x}"),
                };
                let Some(loaded) = loaded else { return 0 };
                a = loaded;
            }
            libc::BPF_LDX => x = memory[k as usize],
            libc::BPF_ST => memory[k as usize] = a,
            libc::BPF_ALU => match op & 0xf0 {
                libc::BPF_ADD => a = a.wrapping_add(operand),
                libc::BPF_MUL => a = a.wrapping_mul(operand),
                libc::BPF_RSH => a >>= operand,
                libc::BPF_AND => a &= operand,
                libc::BPF_XOR => a ^= operand,
                libc::BPF_MOD => a %= operand,
                other => panic!("unknown operation {other:#x}"),
            },
            libc::BPF_JMP => {
                let holds = match op & 0xf0 {
                    libc::BPF_JGE => a >= operand,
                    libc::BPF_JSET => a & operand != 0,
                    other => panic!("unknown jump {other:#x}"),
                };
                at += usize::from(if holds { jt } else { jf });
            }
            libc::BPF_MISC => x = a,
            libc::BPF_RET => return if op & libc::BPF_A == 0 { k } else { a },
            other => panic!("unknown class {other:#x}"),
        }
    }
}
