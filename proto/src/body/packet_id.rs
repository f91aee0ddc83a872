//! The id of a red packet.

/// The id of a red packet: where it lives, and which it is there. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacketId {
    /// The machine that made it.
    pub machine: u16,
    /// The SET it lives in.
    pub set: u16,
    /// Its number there, from 1.
    pub number: u32,
}

impl PacketId {
    /// As one number: machine in the top 16 bits, SET in the next 16, number in the low 32.
    pub fn to_u64(self) -> u64 {
        u64::from(self.machine) << 48 | u64::from(self.set) << 32 | u64::from(self.number)
    }

    /// From one number. Every number is an id, of a packet that may not exist.
    pub fn from_u64(id: u64) -> PacketId {
        PacketId { machine: (id >> 48) as u16, set: (id >> 32) as u16, number: id as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_id_is_its_three_numbers() {
        let id = PacketId { machine: 0x0102, set: 0x0304, number: 0x0506_0708 };
        assert_eq!(id.to_u64(), 0x0102_0304_0506_0708);
        assert_eq!(PacketId::from_u64(id.to_u64()), id);
    }
}
