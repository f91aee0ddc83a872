//! Users who come late, and users who leave and come again while a run goes on.

use super::{Crowd, State};
use redpkt::net::client::Peers;
use redpkt_proto::Now;
use redpkt_proto::client::Session;

/// Users looked at in search of one who waits for nothing.
const LOOKS: usize = 64;

impl Crowd {
    /// Lets the next of those who come late join; false if all are on their way.
    pub fn late_joins(&mut self, now: Now, sockets: &mut Peers) -> bool {
        self.late = self.late.saturating_sub(1);
        self.join_next(now, sockets)
    }

    /// The next user who waits for nothing leaves without a word, as phones do, and joins anew. Nothing is in flight,
    /// so nothing of it is lost. Users take turns; false if of those whose turn it is nobody can leave.
    pub fn reconnect_next(&mut self, now: Now, sockets: &mut Peers) -> bool {
        for _ in 0..LOOKS.min(self.users.len()) {
            let local = self.leaves_next;
            self.leaves_next = (local + 1) % self.users.len() as u32;
            let user = &self.users[local as usize];
            if user.state != State::Joined || user.session.in_flight() > 0 {
                continue;
            }
            let ticket = self.ticket(local);
            let session = Session::new(ticket, std::sync::Arc::clone(&self.config), now, &mut self.rng);
            let user = &mut self.users[local as usize];
            let left = std::mem::replace(&mut user.session, session);
            (user.state, user.open) = (State::Returning, 0);
            self.left.add(left.counters());
            self.joins.joined -= 1;
            self.transmit(local, now, sockets);
            return true;
        }
        false
    }
}
