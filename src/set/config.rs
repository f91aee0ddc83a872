//! What a core is told at its start.

use super::book::{Accounts, Packets};
use super::invites::Invites;
use super::prefixes::{HandshakeRate, share};
use super::promises::Promises;
use super::pushes::Pushes;
use super::relay::Relay;
use super::sessions::Sessions;
use redpkt_proto::steer::Layout;

/// Settings of one worker's core, checked by whoever makes it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Top 16 bits of the ids of packets made here.
    pub machine: u16,
    /// How SETs are divided.
    pub layout: Layout,
    /// Which worker this is.
    pub worker: u32,
    /// Records of each table in each SET.
    pub capacity: Capacity,
    /// Sessions that one source prefix may hold in each SET; 0 means no limit.
    pub prefix_sessions: u32,
    /// Handshakes that one source prefix may have with this worker in a second; 0 means no limit.
    pub prefix_joins_per_s: u32,
    /// Questions to the backend that may be unanswered at once; 0 where there is no backend.
    pub relay_questions: usize,
    /// Shakes that a user gets answered in a second; 0 means no limit.
    pub shakes_per_s: u16,
    /// How often clients are told to send something, in seconds.
    pub keepalive_s: u16,
    /// After how much silence a session ends, in seconds.
    pub idle_s: u16,
    /// Answers that may wait for the disk in each group.
    pub promises: usize,
    /// Invitations that may be on their way to users of this worker at once.
    pub pushes: usize,
    /// Packets that a user can win by shaking; 0 means no limit.
    pub wins_per_user: u32,
    /// How long a packet can be taken from, in seconds.
    pub packet_life_s: u32,
}

/// Records of each table in one SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Sessions.
    pub sessions: usize,
    /// Accounts.
    pub accounts: usize,
    /// Packets.
    pub packets: usize,
    /// Users that packets are for: winners, and who was invited.
    pub members: usize,
    /// Invitations of users, until they are taken up.
    pub invites: usize,
}

/// A packet with the most shares finds room in every SET.
const MEMBERS_MIN: u64 = 1_024;

impl Capacity {
    /// Room in each of `sets` SETs so that `sessions` and `accounts` uniformly hashed users surely fit, see [`share`].
    /// Packets are dealt round-robin and need no room to spare.
    pub fn of_totals(sets: u32, sessions: u64, accounts: u64, packets: u64, members: u64) -> Capacity {
        let hashed = |total| share(total, sets) as usize;
        Capacity {
            sessions: hashed(sessions),
            accounts: hashed(accounts),
            packets: packets.div_ceil(u64::from(sets)) as usize,
            members: members.div_ceil(u64::from(sets)).max(MEMBERS_MIN) as usize,
            invites: hashed(members),
        }
    }

    /// Bytes that one SET's part of a book takes.
    fn book_bytes(&self) -> usize {
        Accounts::bytes(self.accounts)
            + Packets::bytes(self.packets, self.members)
            + Invites::bytes(self.invites)
    }

    /// Bytes that all tables of `sets` such SETs take.
    pub fn bytes(&self, sets: usize) -> usize {
        Sessions::bytes(sets, self.sessions) + sets * self.book_bytes()
    }
}

impl Config {
    /// The SETs that this worker owns, ascending.
    pub fn own_sets(&self) -> impl Iterator<Item = u32> {
        let (layout, worker) = (self.layout, self.worker);
        (0..layout.sets).filter(move |set| layout.worker_of(*set) == worker)
    }

    /// The groups that this worker owns, ascending.
    pub fn own_groups(&self) -> impl Iterator<Item = u32> {
        let (layout, worker) = (self.layout, self.worker);
        (0..layout.groups).filter(move |group| group % layout.workers == worker)
    }

    /// Bytes that the core takes.
    pub fn bytes(&self) -> usize {
        self.capacity.bytes(self.own_sets().count())
            + self.own_groups().count() * Promises::bytes(self.promises)
            + Pushes::bytes(self.pushes)
            + HandshakeRate::bytes()
            + Relay::bytes(self.relay_questions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_users_fit_into_their_sets() {
        let capacity = Capacity::of_totals(256, 1_000_000, 1_000, 1_000, 1_000);
        assert_eq!(capacity.sessions, 4_282); // 3,906.25 + 6 × 62.5
        assert_eq!(capacity.packets, 4);
        let layout = Layout { sets: 256, groups: 2, workers: 1 };
        let mut counts = [0; 256];
        (1..=1_000_000).for_each(|user| counts[layout.set_of(user) as usize] += 1);
        assert!(counts.iter().all(|count| *count <= capacity.sessions));
    }

    #[test]
    fn one_set_needs_no_room_to_spare() {
        assert_eq!(Capacity::of_totals(1, 1_000, 10, 10, 10).sessions, 1_000);
    }
}
