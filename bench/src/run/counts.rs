//! What one thread counts during a run.

use super::outcomes::{Invites, Opens, Requests, Shakes};

/// Numbers that only grow during a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub shake: Shakes,
    pub open: Opens,
    pub send: Requests,
    pub share: Requests,
    pub grab: Requests,
    pub balance: Requests,
    pub history: Requests,
    pub invites: Invites,
    pub shots_fired: u64,
    pub late_sends: u64,
    pub window_full: u64,
    pub not_joined: u64,
    /// Requests of shots that no session could ever take.
    pub not_made: u64,
    pub first_try_in_time: u64,
    pub retransmits: u64,
    pub rejoins: u64,
    pub frames_sent: u64,
    pub frames_received: u64,
    /// Datagrams that are no whole frames, or for no user of this thread.
    pub foreign: u64,
}

impl Counts {
    /// What was counted of all requests but shakes and opens.
    fn others(&self) -> [&Requests; 5] {
        [&self.send, &self.share, &self.grab, &self.balance, &self.history]
    }

    fn sum(&self, field: fn(&Requests) -> u64) -> u64 {
        self.others().into_iter().map(field).sum()
    }

    /// Requests made.
    pub fn offered(&self) -> u64 {
        self.shake.sent + self.open.sent + self.sum(|request| request.sent)
    }

    /// Requests made at shots.
    pub fn shot(&self) -> u64 {
        self.shake.sent + self.send.sent + self.balance.sent + self.history.sent
    }

    /// Of these, those with the server's final word on them, other than BUSY.
    pub fn shot_and_answered(&self) -> u64 {
        let others = [&self.send, &self.balance, &self.history];
        self.shake.miss
            + self.shake.win
            + others.map(|request| request.ok + request.refused).iter().sum::<u64>()
    }

    /// Requests whose deadline passed.
    pub fn timeouts(&self) -> u64 {
        self.shake.unknown + self.open.unknown + self.sum(|request| request.unknown)
    }

    /// Requests with the server's BUSY as its last word.
    pub fn busy(&self) -> u64 {
        self.shake.busy + self.open.busy + self.sum(|request| request.busy)
    }

    /// Requests with the server's final word on them, other than BUSY.
    pub fn answers(&self) -> u64 {
        let Counts { shake, open, .. } = self;
        shake.miss
            + shake.win
            + shake.other
            + open.ok
            + open.empty
            + open.other
            + self.sum(|request| request.ok + request.refused + request.not_done + request.other)
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Counts) {
        *self = self.with(other, |ours, theirs| ours + theirs);
    }

    /// What was counted since `before`.
    pub fn since(&self, before: &Counts) -> Counts {
        self.with(before, |now, before| now - before)
    }

    fn with(&self, other: &Counts, of: fn(u64, u64) -> u64) -> Counts {
        Counts {
            shake: self.shake.with(&other.shake, of),
            open: self.open.with(&other.open, of),
            send: self.send.with(&other.send, of),
            share: self.share.with(&other.share, of),
            grab: self.grab.with(&other.grab, of),
            balance: self.balance.with(&other.balance, of),
            history: self.history.with(&other.history, of),
            invites: self.invites.with(&other.invites, of),
            shots_fired: of(self.shots_fired, other.shots_fired),
            late_sends: of(self.late_sends, other.late_sends),
            window_full: of(self.window_full, other.window_full),
            not_joined: of(self.not_joined, other.not_joined),
            not_made: of(self.not_made, other.not_made),
            first_try_in_time: of(self.first_try_in_time, other.first_try_in_time),
            retransmits: of(self.retransmits, other.retransmits),
            rejoins: of(self.rejoins, other.rejoins),
            frames_sent: of(self.frames_sent, other.frames_sent),
            frames_received: of(self.frames_received, other.frames_received),
            foreign: of(self.foreign, other.foreign),
        }
    }
}
