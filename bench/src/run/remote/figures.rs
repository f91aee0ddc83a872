//! What one thread of a load client tells while it runs: totals since its start.

use crate::run::counts::Counts;
use redpkt::net::client::ClientCounters;
use serde_json::{Value, json};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Totals of one thread, or of all together. 23 words.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Figures {
    sessions: u64,
    requests: u64,
    answers: u64,
    timeouts: u64,
    retransmits: u64,
    busy: u64,
    rejoins: u64,
    frames_sent: u64,
    frames_received: u64,
    datagrams_sent: u64,
    datagrams_received: u64,
    shake_sent: u64,
    shake_miss: u64,
    shake_win: u64,
    open_sent: u64,
    open_ok: u64,
    open_empty: u64,
    open_fen: u64,
    sends: u64,
    invited: u64,
    shots_fired: u64,
    late_sends: u64,
    not_joined: u64,
}

impl Figures {
    /// Of a thread with so many open sessions.
    pub fn of(counts: &Counts, sockets: &ClientCounters, sessions: u64) -> Figures {
        let Counts { shake, open, .. } = counts;
        Figures {
            sessions,
            requests: counts.offered(),
            answers: counts.answers(),
            timeouts: counts.timeouts(),
            retransmits: counts.retransmits,
            busy: counts.busy(),
            rejoins: counts.rejoins,
            frames_sent: counts.frames_sent,
            frames_received: counts.frames_received,
            datagrams_sent: sockets.datagrams_sent,
            datagrams_received: sockets.datagrams_received,
            shake_sent: shake.sent,
            shake_miss: shake.miss,
            shake_win: shake.win,
            open_sent: open.sent,
            open_ok: open.ok,
            open_empty: open.empty,
            open_fen: open.fen,
            sends: counts.send.sent,
            invited: counts.invites.received,
            shots_fired: counts.shots_fired,
            late_sends: counts.late_sends,
            not_joined: counts.not_joined,
        }
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Figures) {
        let words = other.as_bytes().as_chunks::<8>().0;
        for (ours, theirs) in self.as_mut_bytes().as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *ours = (u64::from_ne_bytes(*ours) + u64::from_ne_bytes(*theirs)).to_ne_bytes();
        }
    }

    /// As `/stats.json` has them.
    pub fn to_json(self) -> Value {
        json!({
            "sessions": self.sessions,
            "requests": self.requests,
            "answers": self.answers,
            "timeouts": self.timeouts,
            "retransmits": self.retransmits,
            "busy": self.busy,
            "rejoins": self.rejoins,
            "frames_sent": self.frames_sent,
            "frames_received": self.frames_received,
            "datagrams_sent": self.datagrams_sent,
            "datagrams_received": self.datagrams_received,
            "shake": {"sent": self.shake_sent, "miss": self.shake_miss, "win": self.shake_win},
            "open": {
                "sent": self.open_sent,
                "ok": self.open_ok,
                "empty": self.open_empty,
                "fen": self.open_fen,
            },
            "sends": self.sends,
            "invited": self.invited,
            "shots_fired": self.shots_fired,
            "late_sends": self.late_sends,
            "not_joined": self.not_joined,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_added_up() {
        let mut all = Figures { sessions: 3, shake_win: 2, not_joined: 1, ..Figures::default() };
        all.add(&Figures { sessions: 4, open_fen: 9, not_joined: 1, ..Figures::default() });
        assert_eq!((all.sessions, all.shake_win, all.open_fen, all.not_joined), (7, 2, 9, 2));
        assert_eq!(all.to_json()["open"]["fen"], 9);
    }
}
