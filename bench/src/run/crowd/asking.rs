//! What users ask for: at their shots, and what follows from what they are told.

use super::Crowd;
use redpkt::net::client::Peers;
use redpkt_proto::client::{Call, CallError};
use redpkt_proto::{Now, Op};

impl Crowd {
    /// A user's shot of `frames` requests, which was due at `due_ns`.
    pub fn fire(&mut self, local: u32, frames: usize, due_ns: u64, now: Now, sockets: &mut Peers) {
        self.book.fired(now.mono_ns.saturating_sub(due_ns));
        let id = self.user(local);
        if self.idle_set.is_some_and(|idle| idle.has(id)) {
            return;
        }
        let Some(user) = self.users.get_mut(local as usize) else {
            self.book.counts.not_joined += frames as u64;
            return;
        };
        let (mut first_req, mut made, mut shakes) = (0, 0, 0u32);
        while made < frames {
            let call = self.habits.wish(local, id, &mut self.rng);
            let (op, is_shake) = (call.op(), call == Call::Shake);
            let send = (op == Op::Send).then(|| call.clone());
            match user.session.call(now, call) {
                Ok(req) if made == 0 => first_req = req,
                Ok(_) => {}
                Err(error) => {
                    let left = (frames - made) as u64;
                    if let Some(send) = send {
                        self.habits.not_made(local, &send);
                    }
                    match error {
                        CallError::NotJoined | CallError::SeqsUsedUp => self.book.counts.not_joined += left,
                        CallError::WindowFull => self.book.counts.window_full += left,
                        // Terms are made to be good, and the options allow as many frames as they need.
                        CallError::BadTerms(_) | CallError::SendTooLong { .. } => {
                            self.book.counts.not_made += left;
                        }
                    }
                    break;
                }
            }
            self.book.made(id, op, now.mono_ns);
            shakes |= u32::from(is_shake) << made;
            made += 1;
        }
        if made == 0 {
            return;
        }
        while user.open != 0 {
            let bit = user.open.trailing_zeros();
            user.open &= user.open - 1;
            self.overtaken.insert((local, user.first_req + u64::from(bit)), user.due_ns);
        }
        (user.first_req, user.due_ns, user.open) = (first_req, due_ns, shakes);
        self.outstanding += made as u64;
        self.transmit(local, now, sockets);
    }

    /// When a shake that has ended was due.
    pub(super) fn due_ns(&mut self, local: u32, req: u64) -> Option<u64> {
        let user = &mut self.users[local as usize];
        let nth = req.wrapping_sub(user.first_req);
        if nth < 32 && user.open & (1 << nth) != 0 {
            user.open &= !(1 << nth);
            return Some(user.due_ns);
        }
        self.overtaken.remove(&(local, req))
    }

    /// A user is invited, perhaps again.
    pub(super) fn invited(&mut self, local: u32, packet: u64, total_fen: u64, now: Now) {
        let user = self.user(local);
        let Some(calls) = self.habits.invited(local, user, packet, &mut self.rng) else { return };
        self.stirred_ns = now.mono_ns;
        self.waiting.extend(calls.map(|call| (local, call)));
        self.book.invited(user, packet, total_fen);
        self.call_waiting(now);
    }

    /// Asks for something at once, or later.
    pub(super) fn call(&mut self, local: u32, call: Call, now: Now) {
        let op = call.op();
        match self.users[local as usize].session.call(now, call.clone()) {
            Ok(_) => {
                self.book.made(self.user(local), op, now.mono_ns);
                self.outstanding += 1;
            }
            Err(_) => self.waiting.push_back((local, call)),
        }
    }

    /// Tries again what sessions could not take, some at a time.
    pub(super) fn call_waiting(&mut self, now: Now) {
        for _ in 0..self.waiting.len().min(16) {
            let Some((local, call)) = self.waiting.pop_front() else { return };
            self.call(local, call, now);
            self.ready.push(local);
        }
    }
}
