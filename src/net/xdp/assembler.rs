//! As small an eBPF assembler as the filter needs: instructions, and labels that become jump offsets.
//!
//! Encoding after RFC 9669 (BPF instruction set architecture). Jumps that compare with a constant look at
//! the low 32 bits, so the constant is never sign-extended (kernel 5.1 on).

use std::os::fd::RawFd;

/// One instruction slot, 8 bytes as the kernel reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    /// Class, operation and source of the operand.
    pub(super) code: u8,
    /// Destination and source register, 4 bits each.
    pub(super) registers: u8,
    /// Of a memory access: bytes from the register. Of a jump: slots from the next one.
    pub(super) offset: i16,
    /// A constant operand.
    pub(super) immediate: i32,
}

const _: () = assert!(size_of::<Instruction>() == 8);

/// A register. `R1` to `R5` are the arguments of a call and lost in it, `R0` is its result and the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    /// Kept over calls, as are the two after it.
    R6,
    R7,
    R8,
    /// Where the stack ends; read only.
    Frame = 10,
}

/// How many bytes a memory access touches. Loads are in the machine's byte order and fill up with zeroes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    Byte = 0x10,
    Half = 0x08,
    Word = 0x00,
    Double = 0x18,
}

/// When a jump is taken; all comparisons are unsigned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition {
    Equal = 0x10,
    Greater = 0x20,
    GreaterOrEqual = 0x30,
    LessOrEqual = 0xb0,
    NotEqual = 0x50,
}

/// A place in the program to jump to, known or still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(usize);

const CLASS_LOAD_IMMEDIATE: u8 = 0x00;
const CLASS_LOAD: u8 = 0x01;
const CLASS_STORE: u8 = 0x03;
const CLASS_ALU32: u8 = 0x04;
const CLASS_JUMP: u8 = 0x05;
const CLASS_JUMP32: u8 = 0x06;
const CLASS_ALU64: u8 = 0x07;

const MODE_MEMORY: u8 = 0x60;
const MODE_ATOMIC: u8 = 0xc0;
const SIZE_DOUBLE: u8 = 0x18;
const OPERAND_REGISTER: u8 = 0x08;

const OP_ADD: u8 = 0x00;
const OP_MULTIPLY: u8 = 0x20;
const OP_SHIFT_RIGHT: u8 = 0x70;
const OP_XOR: u8 = 0xa0;
/// Of the ALU class, with the register flag: to big-endian.
const OP_SWAP: u8 = 0xd0;
const OP_AND: u8 = 0x50;
const OP_MOVE: u8 = 0xb0;
const OP_CALL: u8 = 0x80;
const OP_EXIT: u8 = 0x90;

/// As the source register of a 64-bit load: the constant is a map's file descriptor.
const PSEUDO_MAP_FD: u8 = 1;

/// A program being written, top down.
#[derive(Default)]
pub(super) struct Assembler {
    code: Vec<Instruction>,
    /// Where each label is, once it is placed.
    places: Vec<Option<usize>>,
    /// Jumps whose offset waits for their label.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// A label that is not placed yet.
    pub(super) fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// The label is here: before the next instruction.
    pub(super) fn place(&mut self, label: Label) {
        let before = self.places[label.0].replace(self.code.len());
        assert!(before.is_none(), "a label is in one place");
    }

    /// `to` = the memory `offset` bytes from `from`.
    pub(super) fn load(&mut self, size: Size, to: Register, from: Register, offset: i16) {
        self.push(CLASS_LOAD | MODE_MEMORY | size as u8, to as u8, from as u8, offset, 0);
    }

    /// The memory `offset` bytes from `to` = the low bytes of `from`.
    pub(super) fn store(&mut self, size: Size, to: Register, offset: i16, from: Register) {
        self.push(CLASS_STORE | MODE_MEMORY | size as u8, to as u8, from as u8, offset, 0);
    }

    /// Adds `from` to the 64-bit number `offset` bytes from `to`, atomically.
    pub(super) fn add_to_memory(&mut self, to: Register, offset: i16, from: Register) {
        self.push(CLASS_STORE | MODE_ATOMIC | SIZE_DOUBLE, to as u8, from as u8, offset, OP_ADD.into());
    }

    /// `to` = `from`.
    pub(super) fn copy(&mut self, to: Register, from: Register) {
        self.push(CLASS_ALU64 | OP_MOVE | OPERAND_REGISTER, to as u8, from as u8, 0, 0);
    }

    /// `to` = the constant.
    pub(super) fn set(&mut self, to: Register, value: i32) {
        self.push(CLASS_ALU64 | OP_MOVE, to as u8, 0, 0, value);
    }

    /// `to` += the constant, in 64 bits: also moves a pointer.
    pub(super) fn add(&mut self, to: Register, value: i32) {
        self.push(CLASS_ALU64 | OP_ADD, to as u8, 0, 0, value);
    }

    /// `to` &= the constant, in 32 bits.
    pub(super) fn and(&mut self, to: Register, mask: u32) {
        self.push(CLASS_ALU32 | OP_AND, to as u8, 0, 0, mask.cast_signed());
    }

    /// `to` += `from`, in 32 bits.
    pub(super) fn add_register(&mut self, to: Register, from: Register) {
        self.push(CLASS_ALU32 | OP_ADD | OPERAND_REGISTER, to as u8, from as u8, 0, 0);
    }

    /// `to` *= the constant, in 32 bits.
    pub(super) fn multiply(&mut self, to: Register, by: u32) {
        self.push(CLASS_ALU32 | OP_MULTIPLY, to as u8, 0, 0, by.cast_signed());
    }

    /// `to` >>= the constant, in 32 bits.
    pub(super) fn shift_right(&mut self, to: Register, bits: u32) {
        self.push(CLASS_ALU32 | OP_SHIFT_RIGHT, to as u8, 0, 0, bits.cast_signed());
    }

    /// `to` ^= `from`, in 32 bits.
    pub(super) fn xor(&mut self, to: Register, from: Register) {
        self.push(CLASS_ALU32 | OP_XOR | OPERAND_REGISTER, to as u8, from as u8, 0, 0);
    }

    /// The low 32 bits of `to`, read from the wire, in their right order.
    pub(super) fn from_big_endian(&mut self, to: Register) {
        self.push(CLASS_ALU32 | OP_SWAP | OPERAND_REGISTER, to as u8, 0, 0, 32);
    }

    /// `to` = the map of this file descriptor. Takes two slots.
    pub(super) fn load_map(&mut self, to: Register, map: RawFd) {
        self.push(CLASS_LOAD_IMMEDIATE | SIZE_DOUBLE, to as u8, PSEUDO_MAP_FD, 0, map);
        self.push(0, 0, 0, 0, 0);
    }

    /// Goes on at the label.
    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(CLASS_JUMP, 0, 0, 0, 0);
    }

    /// Goes on at the label if the low 32 bits of `left` compare so with the constant.
    pub(super) fn jump_if(&mut self, left: Register, condition: Condition, right: u32, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(CLASS_JUMP32 | condition as u8, left as u8, 0, 0, right.cast_signed());
    }

    /// Goes on at the label if the register has no address. The verifier knows it from then on.
    pub(super) fn jump_if_null(&mut self, register: Register, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(CLASS_JUMP | Condition::Equal as u8, register as u8, 0, 0, 0);
    }

    /// Goes on at the label if the two registers compare so, in 64 bits: also compares pointers.
    pub(super) fn jump_if_register(
        &mut self,
        left: Register,
        condition: Condition,
        right: Register,
        to: Label,
    ) {
        self.jumps.push((self.code.len(), to));
        self.push(CLASS_JUMP | OPERAND_REGISTER | condition as u8, left as u8, right as u8, 0, 0);
    }

    /// Calls a helper of the kernel by its number.
    pub(super) fn call(&mut self, helper: i32) {
        self.push(CLASS_JUMP | OP_CALL, 0, 0, 0, helper);
    }

    /// Ends the program with what is in `R0`.
    pub(super) fn exit(&mut self) {
        self.push(CLASS_JUMP | OP_EXIT, 0, 0, 0, 0);
    }

    /// The program, with all jumps resolved.
    ///
    /// # Panics
    /// When a label that is jumped to was never placed, or is too far: bugs of the program's author.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let place = self.places[label.0].expect("every label that is jumped to is placed");
            let distance = place as i64 - (at as i64 + 1);
            self.code[at].offset = distance.try_into().expect("a jump reaches 32,767 slots");
        }
        self.code
    }

    fn push(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        // The two are bit fields of a C struct, whose order follows the machine's byte order.
        let registers = if cfg!(target_endian = "little") { to | from << 4 } else { to << 4 | from };
        self.code.push(Instruction { code, registers, offset, immediate });
    }
}

#[cfg(test)]
mod tests {
    use super::Condition::*;
    use super::Register::*;
    use super::*;

    fn assemble(write: impl FnOnce(&mut Assembler)) -> Vec<Instruction> {
        let mut assembler = Assembler::default();
        write(&mut assembler);
        assembler.finish()
    }

    /// (code, destination, source, offset, constant) of each slot.
    fn fields(code: &[Instruction]) -> Vec<(u8, u8, u8, i16, i32)> {
        let split = |registers: u8| {
            let (low, high) = (registers & 0x0f, registers >> 4);
            if cfg!(target_endian = "little") { (low, high) } else { (high, low) }
        };
        let all = |i: &Instruction| {
            let (to, from) = split(i.registers);
            (i.code, to, from, i.offset, i.immediate)
        };
        code.iter().map(all).collect()
    }

    #[test]
    fn instructions_are_encoded_as_the_standard_says() {
        let code = assemble(|a| {
            a.load(Size::Byte, R4, R2, 23);
            a.load(Size::Half, R4, R2, 12);
            a.load(Size::Word, R2, R1, 0);
            a.store(Size::Word, Frame, -4, R0);
            a.add_to_memory(R0, 8, R1);
            a.copy(R5, R2);
            a.set(R3, 2);
            a.add(R2, -4);
            a.and(R4, 0xffff_0000);
            a.load(Size::Double, R6, R7, 8);
            a.add_register(R4, R8);
            a.multiply(R4, 5);
            a.shift_right(R4, 3);
            a.xor(R4, R3);
            a.from_big_endian(R4);
            a.load_map(R1, 7);
            a.call(51);
            a.exit();
        });
        let expected = [
            (0x71, 4, 2, 23, 0),
            (0x69, 4, 2, 12, 0),
            (0x61, 2, 1, 0, 0),
            (0x63, 10, 0, -4, 0),
            (0xdb, 0, 1, 8, 0),
            (0xbf, 5, 2, 0, 0),
            (0xb7, 3, 0, 0, 2),
            (0x07, 2, 0, 0, -4),
            (0x54, 4, 0, 0, 0xffff_0000_u32.cast_signed()),
            (0x79, 6, 7, 8, 0),
            (0x0c, 4, 8, 0, 0),
            (0x24, 4, 0, 0, 5),
            (0x74, 4, 0, 0, 3),
            (0xac, 4, 3, 0, 0),
            (0xdc, 4, 0, 0, 32),
            (0x18, 1, 1, 0, 7),
            (0x00, 0, 0, 0, 0),
            (0x85, 0, 0, 0, 51),
            (0x95, 0, 0, 0, 0),
        ];
        assert_eq!(fields(&code), expected);
    }

    #[test]
    fn jumps_count_slots_from_the_next_instruction_both_ways() {
        let code = assemble(|a| {
            let (back, ahead, next) = (a.label(), a.label(), a.label());
            a.place(back);
            a.jump_if(R4, NotEqual, 0xffff_ffff, ahead);
            a.load_map(R1, 3);
            a.jump_if_register(R4, Greater, R3, back);
            a.jump(next);
            a.place(next);
            a.jump_if(R0, Equal, 0, back);
            a.jump_if_null(R0, ahead);
            a.place(ahead);
            a.exit();
        });
        let expected = [
            (0x56, 4, 0, 6, -1),
            (0x18, 1, 1, 0, 3),
            (0x00, 0, 0, 0, 0),
            (0x2d, 4, 3, -4, 0),
            (0x05, 0, 0, 0, 0),
            (0x16, 0, 0, -6, 0),
            (0x15, 0, 0, 0, 0),
            (0x95, 0, 0, 0, 0),
        ];
        assert_eq!(fields(&code), expected);
    }

    #[test]
    fn two_jumps_may_share_a_label() {
        let code = assemble(|a| {
            let end = a.label();
            a.jump(end);
            a.jump(end);
            a.place(end);
            a.exit();
        });
        assert_eq!([code[0].offset, code[1].offset], [1, 0]);
    }

    #[test]
    #[should_panic(expected = "every label that is jumped to is placed")]
    fn a_jump_to_nowhere_is_a_bug() {
        assemble(|a| {
            let nowhere = a.label();
            a.jump(nowhere);
        });
    }

    #[test]
    #[should_panic(expected = "a label is in one place")]
    fn a_label_in_two_places_is_a_bug() {
        assemble(|a| {
            let label = a.label();
            a.place(label);
            a.exit();
            a.place(label);
        });
    }
}
