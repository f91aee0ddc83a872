//! What a SET keeps of its users beyond their sessions: wallets, and the answers about money.

use super::index::Index;
use redpkt_proto::body::Status;
use redpkt_proto::{ANSWERS_KEPT, Op};

/// An answer about money, kept so that the same req gets it again. 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Of the request.
    pub req: u64,
    /// Which packet.
    pub packet: u64,
    fen: u64,
}

/// Bits of the fen in [`KeptAnswer`]; op and status lie above them.
const FEN_BITS: u32 = 48;

/// The most fen that one answer can tell of: 2.8 trillion yuan.
pub const ANSWER_FEN_MAX: u64 = (1 << FEN_BITS) - 1;

impl KeptAnswer {
    /// An answer of `fen` (at most [`ANSWER_FEN_MAX`]) about `packet`.
    pub fn new(req: u64, op: Op, status: Status, packet: u64, fen: u64) -> KeptAnswer {
        assert!(fen <= ANSWER_FEN_MAX, "amounts are checked when a packet is made");
        KeptAnswer { req, packet, fen: fen | (op as u64) << FEN_BITS | (status as u64) << (FEN_BITS + 8) }
    }

    /// How much, in fen.
    pub fn fen(&self) -> u64 {
        self.fen & ANSWER_FEN_MAX
    }

    /// Of which op.
    pub fn op(&self) -> u8 {
        (self.fen >> FEN_BITS) as u8
    }

    /// What became of it.
    pub fn status(&self) -> u8 {
        (self.fen >> (FEN_BITS + 8)) as u8
    }
}

/// One user's money: 416 bytes.
pub struct Account {
    user: u64,
    /// What the wallet holds, in fen.
    pub balance_fen: u64,
    answers_given: u64,
    /// The newest req whose answer had to go; 0 for none.
    forgotten_req: u64,
    answers: [KeptAnswer; ANSWERS_KEPT],
}

impl Account {
    /// Keeps an answer; the oldest of [`ANSWERS_KEPT`] goes.
    pub fn keep(&mut self, answer: KeptAnswer) {
        let oldest = &mut self.answers[self.answers_given as usize % ANSWERS_KEPT];
        self.forgotten_req = self.forgotten_req.max(oldest.req);
        *oldest = answer;
        self.answers_given += 1;
    }

    /// What the user took of `packet`, in fen, if an answer that says so is still kept.
    pub fn taken_fen(&self, packet: u64) -> Option<u64> {
        let took = |answer: &&KeptAnswer| {
            answer.packet == packet && answer.op() == Op::Open as u8 && answer.status() == Status::Ok as u8
        };
        self.answers.iter().find(took).map(KeptAnswer::fen)
    }

    /// What became of `req`, as far as money goes.
    pub fn known(&self, req: u64) -> Known {
        let kept = (self.answers_given as usize).min(ANSWERS_KEPT);
        match self.answers[..kept].iter().find(|answer| answer.req == req) {
            Some(answer) => Known::Answer(*answer),
            None if req <= self.forgotten_req => Known::Forgotten,
            None => Known::Never,
        }
    }
}

/// What an account knows of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It got this answer.
    Answer(KeptAnswer),
    /// It may have got an answer that is no longer kept.
    Forgotten,
    /// It never got an answer about money.
    Never,
}

/// The accounts of one SET. They are never removed.
pub struct Accounts {
    records: Vec<Account>,
    index: Index,
    capacity: usize,
}

impl Accounts {
    /// Room for `capacity` accounts. The memory is touched only when an account comes to be.
    pub fn new(capacity: usize, seed: u64) -> Accounts {
        Accounts { records: Vec::with_capacity(capacity), index: Index::new(1, capacity, seed), capacity }
    }

    /// Bytes that `capacity` accounts take.
    pub fn bytes(capacity: usize) -> usize {
        capacity * size_of::<Account>() + Index::bytes(1, capacity)
    }

    /// The account of `user`, if there is one.
    pub fn get(&self, user: u64) -> Option<&Account> {
        self.find(user).map(|at| &self.records[at as usize])
    }

    /// The account of `user`, made if there is none; `None` when the table is full.
    pub fn get_or_add(&mut self, user: u64) -> Option<&mut Account> {
        let at = match self.find(user) {
            Some(at) => at,
            None if self.records.len() < self.capacity => {
                let at = self.records.len() as u32;
                let none = KeptAnswer { req: 0, packet: 0, fen: 0 };
                self.records.push(Account {
                    user,
                    balance_fen: 0,
                    answers_given: 0,
                    forgotten_req: 0,
                    answers: [none; ANSWERS_KEPT],
                });
                self.index.insert(0, user, at);
                at
            }
            None => return None,
        };
        Some(&mut self.records[at as usize])
    }

    /// Accounts in use.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    fn find(&self, user: u64) -> Option<u32> {
        self.index.find(0, user, |at| self.records[at as usize].user == user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sixteen_answers_are_kept() {
        let mut accounts = Accounts::new(1, 0);
        let account = accounts.get_or_add(7).unwrap();
        for req in 1..=20 {
            account.keep(KeptAnswer::new(req, Op::Open, Status::Ok, req + 100, ANSWER_FEN_MAX));
        }
        assert_eq!((account.known(4), account.known(21)), (Known::Forgotten, Known::Never));
        let Known::Answer(kept) = account.known(5) else { panic!("the fifth is kept") };
        assert_eq!((kept.packet, kept.fen()), (105, ANSWER_FEN_MAX));
        assert_eq!((kept.op(), kept.status()), (Op::Open as u8, Status::Ok as u8));
    }

    #[test]
    fn a_full_table_takes_nobody_new_and_keeps_who_is_there() {
        let mut accounts = Accounts::new(2, 0);
        assert!(accounts.get_or_add(1).is_some() && accounts.get_or_add(2).is_some());
        assert!(accounts.get_or_add(3).is_none() && accounts.get_or_add(1).is_some());
        assert_eq!(accounts.count(), 2);
    }
}
