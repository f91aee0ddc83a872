//! Why a record, or a frame in it, is not redpkt's. Where the server drops for the same, the name is the server's.

/// Why a record, or a frame of it, is not redpkt's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Reason {
    /// Not 1 to 18 times 64 bytes.
    Length,
    /// Longer than the longest datagram. Where the kernel joins or cuts datagrams (GSO, GRO), a record is a run of them.
    Truncated,
    /// A frame of another version.
    Version,
    /// Frames whose direction bit contradicts the ports.
    Direction,
    /// Frames of several users.
    MixedUsers,
    /// From port 0.
    Source,
    /// A frame of no op, or of one that does not go that way; a handshake beside other frames.
    Op,
    /// A fragment of an IP datagram: redpkt sends none. Of all but the first the ports are not known.
    Fragment,
    /// Kept in part only.
    Snapped,
    /// Headers that contradict each other.
    Malformed,
    /// Another protocol than UDP.
    NotUdp,
    /// UDP of other ports.
    OtherPort,
    /// A link type that is not read.
    LinkType,
}

impl Reason {
    /// Every reason, in the order of its number.
    pub const ALL: [Reason; 13] = [
        Reason::Length,
        Reason::Truncated,
        Reason::Version,
        Reason::Direction,
        Reason::MixedUsers,
        Reason::Source,
        Reason::Op,
        Reason::Fragment,
        Reason::Snapped,
        Reason::Malformed,
        Reason::NotUdp,
        Reason::OtherPort,
        Reason::LinkType,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Length => "length",
            Reason::Truncated => "truncated",
            Reason::Version => "version",
            Reason::Direction => "direction",
            Reason::MixedUsers => "mixed_users",
            Reason::Source => "source",
            Reason::Op => "op",
            Reason::Fragment => "fragment",
            Reason::Snapped => "snapped",
            Reason::Malformed => "malformed",
            Reason::NotUdp => "not_udp",
            Reason::OtherPort => "other_port",
            Reason::LinkType => "link_type",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_number_under_its_own_name() {
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
            assert_eq!(Reason::ALL.iter().filter(|other| other.name() == reason.name()).count(), 1);
        }
    }
}
