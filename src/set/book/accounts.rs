//! What a SET keeps of its users beyond their sessions: wallets, and the answers about money.

use crate::set::index::Index;
use arrayvec::ArrayVec;
use redpkt_proto::body::{EntryKind, Status};
use redpkt_proto::{ANSWERS_KEPT, Op};

/// An answer about money, kept so that the same req gets it again. 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Of the request; 0 where none is.
    pub req: u64,
    /// Which packet.
    pub packet: u64,
    fen: u64,
    /// When, in seconds since 1970.
    pub when_s: u32,
    /// Fingerprint of what was asked for, where op and packet do not say all of it; else 0.
    pub asked_for: u32,
}

/// The fen of an undecided request while its question is out.
const ASKED: u64 = 1;

/// Bits of the fen in [`KeptAnswer`]; op and status lie above them.
const FEN_BITS: u32 = 48;

/// The most fen that one answer can tell of: 2.8 trillion yuan.
pub const ANSWER_FEN_MAX: u64 = (1 << FEN_BITS) - 1;

impl KeptAnswer {
    const NONE: KeptAnswer = KeptAnswer { req: 0, packet: 0, fen: 0, when_s: 0, asked_for: 0 };

    /// An answer of `fen` (at most [`ANSWER_FEN_MAX`]) about `packet`.
    pub fn new(req: u64, op: Op, status: Status, packet: u64, fen: u64) -> KeptAnswer {
        assert!(fen <= ANSWER_FEN_MAX, "amounts are checked when a packet is made");
        let fen = fen | (op as u64) << FEN_BITS | (status as u64) << (FEN_BITS + 8);
        KeptAnswer { req, packet, fen, ..KeptAnswer::NONE }
    }

    /// The same, with when it was given and what was asked for.
    pub fn of(self, when_s: u32, asked_for: u32) -> KeptAnswer {
        KeptAnswer { when_s, asked_for, ..self }
    }

    /// A request that another group was asked to decide: its outcome is unknown.
    pub fn undecided(req: u64, op: Op, packet: u64, asked_for: u32) -> KeptAnswer {
        KeptAnswer { asked_for, ..KeptAnswer::new(req, op, Status::OutcomeUnknown, packet, ASKED) }
    }

    /// Whether the question of an undecided request is out.
    pub fn is_asked(&self) -> bool {
        self.fen() == ASKED
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

    /// Whether another group has to decide it still.
    pub fn is_undecided(&self) -> bool {
        self.status() == Status::OutcomeUnknown as u8
    }
}

/// Money that moved without a request of the user: returned, paid in, paid out.
#[derive(Clone, Copy, Debug)]
struct Payment {
    packet: u64,
    fen: u64,
    when_s: u32,
    kind: Option<EntryKind>,
}

/// Payments that an account tells of.
const PAYMENTS_KEPT: usize = 4;

/// One entry of a user's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// What happened.
    pub kind: EntryKind,
    /// When, in seconds since 1970.
    pub when_s: u32,
    /// Which packet; 0 for payments.
    pub packet: u64,
    /// How much, in fen.
    pub fen: u64,
}

/// One user's money.
pub struct Account {
    user: u64,
    /// What the wallet holds, in fen.
    pub balance_fen: u64,
    /// The newest req whose answer had to go; 0 for none.
    forgotten_req: u64,
    answers_given: u32,
    payments_made: u32,
    /// Packets won by shaking.
    pub wins: u32,
    answers: [KeptAnswer; ANSWERS_KEPT],
    payments: [Payment; PAYMENTS_KEPT],
}

impl Account {
    fn new(user: u64) -> Account {
        Account {
            user,
            balance_fen: 0,
            forgotten_req: 0,
            answers_given: 0,
            payments_made: 0,
            wins: 0,
            answers: [KeptAnswer::NONE; ANSWERS_KEPT],
            payments: [Payment { packet: 0, fen: 0, when_s: 0, kind: None }; PAYMENTS_KEPT],
        }
    }

    /// Keeps an answer; the oldest of [`ANSWERS_KEPT`] goes.
    pub fn keep(&mut self, answer: KeptAnswer) {
        let oldest = &mut self.answers[self.answers_given as usize % ANSWERS_KEPT];
        self.forgotten_req = self.forgotten_req.max(oldest.req);
        *oldest = answer;
        self.answers_given = self.answers_given.wrapping_add(1);
    }

    /// Keeps an answer in place of the undecided one to the same req, if that is still there.
    pub fn keep_decided(&mut self, answer: KeptAnswer) {
        match self.answers.iter_mut().find(|kept| kept.req == answer.req) {
            Some(kept) => *kept = answer,
            None => self.keep(answer),
        }
    }

    /// Notes whether the question of an undecided request is out.
    pub fn set_asked(&mut self, req: u64, is_asked: bool) {
        if let Some(kept) = self.undecided(req) {
            kept.fen = (kept.fen & !ANSWER_FEN_MAX) | if is_asked { ASKED } else { 0 };
        }
    }

    fn undecided(&mut self, req: u64) -> Option<&mut KeptAnswer> {
        self.answers.iter_mut().find(|kept| kept.req == req && kept.is_undecided())
    }

    /// Whether there is nothing in it that a row has brought.
    fn is_blank(&self) -> bool {
        self.balance_fen == 0
            && self.wins == 0
            && self.payments_made == 0
            && self.forgotten_req == 0
            && self.answers.iter().all(|kept| kept.req == 0)
    }

    /// Keeps a payment; the oldest of [`PAYMENTS_KEPT`] goes.
    pub fn note_payment(&mut self, kind: EntryKind, packet: u64, fen: u64, when_s: u32) {
        self.payments[self.payments_made as usize % PAYMENTS_KEPT] =
            Payment { packet, fen, when_s, kind: Some(kind) };
        self.payments_made = self.payments_made.wrapping_add(1);
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
        match self.answers.iter().find(|answer| answer.req == req && req != 0) {
            Some(answer) => Known::Answer(*answer),
            None if req <= self.forgotten_req => Known::Forgotten,
            None => Known::Never,
        }
    }

    /// Entry `at` of what is still kept, the newest first; an open counts once.
    pub fn history(&self, at: u64) -> Option<HistoryEntry> {
        const KEPT: usize = ANSWERS_KEPT + PAYMENTS_KEPT;
        let mut entries: ArrayVec<HistoryEntry, KEPT> = ArrayVec::new();
        let newest_first = |given: u32, kept: usize| {
            (1..=kept as u32).map(move |back| given.wrapping_sub(back) as usize % kept)
        };
        for answer in newest_first(self.answers_given, ANSWERS_KEPT).map(|at| &self.answers[at]) {
            let kind = match Op::from_wire(answer.op()) {
                Some(Op::Shake | Op::Grab) => EntryKind::Won,
                Some(Op::Open) => EntryKind::Opened,
                Some(Op::Send) => EntryKind::Sent,
                _ => continue,
            };
            let told = entries.iter().any(|entry| (entry.kind, entry.packet) == (kind, answer.packet));
            if answer.req != 0 && !answer.is_undecided() && !told {
                let (when_s, packet, fen) = (answer.when_s, answer.packet, answer.fen());
                entries.push(HistoryEntry { kind, when_s, packet, fen });
            }
        }
        for payment in newest_first(self.payments_made, PAYMENTS_KEPT).map(|at| &self.payments[at]) {
            let Payment { packet, fen, when_s, kind: Some(kind) } = *payment else { continue };
            entries.push(HistoryEntry { kind, when_s, packet, fen });
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.when_s));
        entries.get(usize::try_from(at).ok()?).copied()
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

/// The accounts of one SET. One that money has come to, or an answer about money, is never removed.
pub struct Accounts {
    records: Vec<Account>,
    index: Index,
    capacity: usize,
    /// Records that are nobody's.
    free: Vec<u32>,
}

impl Accounts {
    /// Room for `capacity` accounts. The memory is touched only when an account comes to be.
    pub fn new(capacity: usize, seed: u64) -> Accounts {
        Accounts {
            records: Vec::with_capacity(capacity),
            index: Index::new(1, capacity, seed),
            capacity,
            free: Vec::with_capacity(capacity),
        }
    }

    /// Bytes that `capacity` accounts take.
    pub fn bytes(capacity: usize) -> usize {
        capacity * (size_of::<Account>() + size_of::<u32>()) + Index::bytes(1, capacity)
    }

    /// The account of `user`, if there is one.
    pub fn get(&self, user: u64) -> Option<&Account> {
        self.find(user).map(|at| &self.records[at as usize])
    }

    /// The account of `user`, to be changed, if there is one.
    pub fn get_mut(&mut self, user: u64) -> Option<&mut Account> {
        self.find(user).map(|at| &mut self.records[at as usize])
    }

    /// Whether `user` has an account or can be given one.
    pub fn has_room_for(&self, user: u64) -> bool {
        self.count() < self.capacity || self.find(user).is_some()
    }

    /// The account of `user`, made if there is none; `None` when the table is full.
    pub fn get_or_add(&mut self, user: u64) -> Option<&mut Account> {
        let at = match self.find(user) {
            Some(at) => at,
            None => {
                let at = match self.free.pop() {
                    Some(at) => {
                        self.records[at as usize] = Account::new(user);
                        at
                    }
                    None if self.records.len() < self.capacity => {
                        self.records.push(Account::new(user));
                        self.records.len() as u32 - 1
                    }
                    None => return None,
                };
                self.index.insert(0, user, at);
                at
            }
        };
        Some(&mut self.records[at as usize])
    }

    /// An undecided request of `user` turned out to move nothing. An account that was made for it alone goes: no row
    /// knows of it, and whoever only guesses at packets keeps none.
    pub fn drop_undecided(&mut self, user: u64, req: u64) {
        let Some(at) = self.find(user) else { return };
        let account = &mut self.records[at as usize];
        if let Some(kept) = account.undecided(req) {
            *kept = KeptAnswer::NONE;
        }
        if account.is_blank() {
            let records = &self.records;
            self.index.remove(0, user, at, |at| records[at as usize].user);
            // 0 is no user.
            self.records[at as usize].user = 0;
            self.free.push(at);
        }
    }

    /// What all wallets hold, in fen, counted one by one.
    pub fn held_fen(&self) -> u64 {
        self.records.iter().map(|account| account.balance_fen).sum()
    }

    /// Accounts in use.
    pub fn count(&self) -> usize {
        self.records.len() - self.free.len()
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
        assert!(accounts.has_room_for(2) && !accounts.has_room_for(3));
        assert_eq!(accounts.count(), 2);
    }

    /// Expect: what was decided elsewhere takes the place of the question, and a refusal leaves no trace.
    #[test]
    fn an_undecided_request_is_known_as_such_until_it_is_decided() {
        let mut accounts = Accounts::new(1, 0);
        let account = accounts.get_or_add(7).unwrap();
        account.keep(KeptAnswer::undecided(1, Op::Open, 50, 0));
        account.keep(KeptAnswer::undecided(2, Op::Open, 51, 0));
        let Known::Answer(kept) = account.known(1) else { panic!("it is known") };
        assert!(kept.is_undecided() && kept.is_asked());
        account.set_asked(1, false);
        let Known::Answer(kept) = account.known(1) else { panic!("it is known") };
        assert!(kept.is_undecided() && !kept.is_asked() && kept.op() == Op::Open as u8);
        account.keep_decided(KeptAnswer::new(1, Op::Open, Status::Ok, 50, 9));
        accounts.drop_undecided(7, 2);
        accounts.drop_undecided(7, 1);
        let account = accounts.get(7).unwrap();
        assert_eq!((account.taken_fen(50), account.known(2)), (Some(9), Known::Never));
    }

    /// Expect: who was refused and has nothing leaves room for others.
    #[test]
    fn an_account_for_nothing_does_not_stay() {
        let mut accounts = Accounts::new(1, 0);
        accounts.get_or_add(7).unwrap().keep(KeptAnswer::undecided(1, Op::Open, 50, 0));
        assert!(!accounts.has_room_for(8));
        accounts.drop_undecided(7, 1);
        assert!(accounts.get(7).is_none() && accounts.has_room_for(8) && accounts.count() == 0);
        accounts.get_or_add(8).unwrap().balance_fen = 1;
        accounts.drop_undecided(8, 1);
        assert_eq!((accounts.count(), accounts.get(8).unwrap().balance_fen), (1, 1));
    }

    #[test]
    fn the_history_is_what_is_kept_newest_first_and_each_open_once() {
        let mut accounts = Accounts::new(1, 0);
        let account = accounts.get_or_add(7).unwrap();
        let at = |when_s, answer| KeptAnswer { when_s, ..answer };
        account.keep(at(10, KeptAnswer::new(1, Op::Shake, Status::Ok, 50, 0)));
        account.keep(at(12, KeptAnswer::new(2, Op::Open, Status::Ok, 50, 8)));
        account.keep(at(13, KeptAnswer::new(3, Op::Open, Status::Ok, 50, 8)));
        account.keep(at(14, KeptAnswer::new(4, Op::Share, Status::Ok, 51, 0)));
        account.note_payment(EntryKind::PaidIn, 0, 700, 11);
        let entries: Vec<_> = (0..).map_while(|at| account.history(at)).collect();
        let told: Vec<_> = entries.iter().map(|entry| (entry.kind, entry.packet, entry.fen)).collect();
        let (won, opened, paid) = (EntryKind::Won, EntryKind::Opened, EntryKind::PaidIn);
        assert_eq!(told, [(opened, 50, 8), (paid, 0, 700), (won, 50, 0)]);
        assert_eq!(account.history(u64::MAX), None);
    }
}
