//! Everything that only grows, under one list of names: how much of each came, or how much a second.

use serde::ser::{Serialize, SerializeMap, Serializer};
use std::ops::{Index, IndexMut};

macro_rules! counts {
    ($($(#[$doc:meta])+ $name:ident = $said:literal),+ $(,)?) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Count {
            $($(#[$doc])+ $name,)+
        }

        impl Count {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Count] = &[$(Count::$name),+];

            /// Its name in JSON.
            pub fn name(self) -> &'static str {
                match self {
                    $(Count::$name => $said,)+
                }
            }
        }
    };
}

counts! {
    /// Server: requests answered.
    Answers = "answers",
    /// Server: of which got the answer they had got before.
    Repeated = "repeated",
    /// Server: frames in.
    FramesIn = "frames_in",
    /// Server: frames out.
    FramesOut = "frames_out",
    /// Server: datagrams in.
    DatagramsIn = "datagrams_in",
    /// Server: datagrams out.
    DatagramsOut = "datagrams_out",
    /// Server: sessions that began.
    Joins = "joins",
    /// Server: shakes that won nothing.
    Misses = "misses",
    /// Server: shakes that won a packet.
    Wins = "wins",
    /// Server: opens that took money.
    Opens = "opens",
    /// Server: opens that found nothing.
    OpensEmpty = "opens_empty",
    /// Server: what opens took, in fen.
    OpenFen = "open_fen",
    /// Server: packets that users made.
    Sends = "sends",
    /// Server: shares that were claimed.
    Grabs = "grabs",
    /// Server: invitations pushed.
    Pushed = "invites_pushed",
    /// Server: packets made by orders.
    Minted = "minted",
    /// Server: packets whose time was over.
    Expired = "expired",
    /// Server: rows of the ledger.
    Rows = "ledger_rows",
    /// Server: commits of the ledger.
    Commits = "ledger_commits",
    /// Server: times that a worker stood still.
    Stalls = "stalls",
    /// Server: how long, in ns.
    StallNs = "stall_ns",
    /// Clients: requests made.
    Requests = "requests",
    /// Clients: requests answered.
    Answered = "answered",
    /// Clients: requests without an answer in time.
    Timeouts = "timeouts",
    /// Clients: requests sent once more.
    Retransmits = "retransmits",
    /// Clients: answers that said to come again later.
    Busy = "busy",
    /// Clients: sessions that began anew.
    Rejoins = "rejoins",
    /// Clients: frames out.
    FramesSent = "frames_sent",
    /// Clients: frames in.
    FramesReceived = "frames_received",
    /// Clients: datagrams out.
    DatagramsSent = "datagrams_sent",
    /// Clients: datagrams in.
    DatagramsReceived = "datagrams_received",
    /// Clients: shakes.
    ClientShakes = "client_shakes",
    /// Clients: packets won.
    ClientWins = "client_wins",
    /// Clients: opens that took money.
    ClientOpens = "client_opens",
    /// Clients: what opens took, in fen.
    ClientFen = "client_fen",
    /// Kernel: UDP datagrams delivered to sockets. With AF_XDP, which passes by the kernel, the engine's.
    UdpIn = "udp_in",
    /// Kernel: UDP datagrams sent. With AF_XDP the engine's.
    UdpOut = "udp_out",
    /// Interface: packets in.
    InterfaceIn = "interface_in",
    /// Interface: packets out.
    InterfaceOut = "interface_out",
    /// Lost at the card: no room in its queue, or damaged.
    LostNic = "lost_nic",
    /// Lost between driver and protocols.
    LostSoftnet = "lost_softnet",
    /// Lost at a socket: no room in its buffer, no memory, or damaged.
    LostSocket = "lost_socket",
    /// Dropped by the server, for a reason that it names.
    LostUs = "lost_us",
}

/// How much of each there was, or how much a second. Whole numbers are exact up to 2^53.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts([f64; Count::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Counts([0.0; Count::ALL.len()])
    }
}

impl Counts {
    /// Adds others, so many times.
    pub fn add(&mut self, other: &Counts, times: f64) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, each)| *sum += each * times);
    }

    /// Sets what is a whole number.
    pub fn set(&mut self, count: Count, value: u64) {
        self[count] = value as f64;
    }
}

impl Index<Count> for Counts {
    type Output = f64;

    fn index(&self, count: Count) -> &f64 {
        &self.0[count as usize]
    }
}

impl IndexMut<Count> for Counts {
    fn index_mut(&mut self, count: Count) -> &mut f64 {
        &mut self.0[count as usize]
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for count in Count::ALL {
            // Three digits behind the point are more than a rate has.
            map.serialize_entry(count.name(), &((self[*count] * 1e3).round() / 1e3))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_apart_and_values_add_up() {
        let mut names: Vec<_> = Count::ALL.iter().map(|count| count.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Count::ALL.len());
        let (mut sum, mut one) = (Counts::default(), Counts::default());
        one.set(Count::Wins, 6);
        sum.add(&one, 1.0);
        sum.add(&one, 0.5);
        assert_eq!((sum[Count::Wins], sum[Count::Opens]), (9.0, 0.0));
        assert_eq!(serde_json::to_value(&sum).unwrap()["wins"], 9.0);
    }
}
