//! What a part's users do next: at a shot, when a request of theirs has ended, and when they are invited.
//! It knows no sessions: calls go in and come out.

use super::mix::{Dice, Mix, Wish};
use rand::{Rng as _, RngExt as _};
use redpkt_proto::body::Status;
use redpkt_proto::client::{Call, Outcome, Reply};
use redpkt_proto::{RECIPIENTS_MAX, Rng, Terms};
use serde::Serialize;
use std::collections::HashMap;

/// What users send.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SendHabit {
    /// Recipients of each packet: random users of the run, the sender not among them. 1 to 54, and fewer than
    /// users.
    pub recipients: u32,
    /// Shares of each packet, 1 to 255.
    pub shares: u8,
    /// The least in a packet, in fen.
    pub fen_min: u32,
    /// The most in a packet, in fen.
    pub fen_max: u32,
    /// Share of packets that have equal shares, 0 to 1.
    pub equal: f64,
}

impl Default for SendHabit {
    fn default() -> SendHabit {
        SendHabit { recipients: 3, shares: 3, fen_min: 10, fen_max: 200, equal: 0.5 }
    }
}

/// All that the users of a run have in common.
#[derive(Clone, Copy, Debug)]
pub struct HabitOptions {
    pub mix: Mix,
    pub send: SendHabit,
    /// What each user had at the beginning, in fen.
    pub deposit_fen: u64,
    /// Whether an open, or a grab, whose outcome is not known is made again until it is.
    pub persists: bool,
    /// Whether users act on an invitation at their next shot, and not at once.
    pub acts_at_shots: bool,
    /// The first of the run's users, and how many they are.
    pub users: (u64, u64),
}

/// What one user had to do with one packet.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    is_invited: bool,
    is_opened: bool,
}

/// How the users of a part behave.
pub struct Habits {
    options: HabitOptions,
    dice: Dice,
    /// What users know that they have beside [`HabitOptions::deposit_fen`], in fen.
    gains_fen: HashMap<u32, i64>,
    parts: HashMap<(u32, u64), Part>,
    /// Invitations that came while there was no run.
    early: Vec<(u32, u64)>,
    /// What users do at their next shots.
    later: HashMap<u32, Vec<Call>>,
    is_on: bool,
    next: Vec<Call>,
}

impl Habits {
    /// Of a part whose users do nothing until the run begins.
    pub fn new(options: HabitOptions) -> Habits {
        Habits {
            dice: Dice::new(&options.mix),
            options,
            gains_fen: HashMap::new(),
            parts: HashMap::new(),
            early: Vec::new(),
            later: HashMap::new(),
            is_on: false,
            next: Vec::new(),
        }
    }

    /// A run begins: those that were invited before, which are to be told to [`invited`](Self::invited) now.
    pub fn begin(&mut self, mix: &Mix) -> Vec<(u32, u64)> {
        self.options.mix = *mix;
        (self.dice, self.is_on) = (Dice::new(mix), true);
        std::mem::take(&mut self.early)
    }

    /// The run is over: nobody does anything of his own accord.
    pub fn end(&mut self) {
        self.is_on = false;
    }

    /// What `user`, who is `local` here, asks for at a shot.
    #[inline]
    pub fn wish(&mut self, local: u32, user: u64, rng: &mut Rng) -> Call {
        if !self.later.is_empty()
            && let Some(call) = self.later.get_mut(&local).and_then(Vec::pop)
        {
            return call;
        }
        match self.dice.wish(rng) {
            Wish::Shake => Call::Shake,
            Wish::Balance => Call::Balance,
            Wish::History => Call::History { entry: 0 },
            Wish::Send => self.send(local, user, rng).unwrap_or(Call::Shake),
        }
    }

    /// A send that the user can pay as far as he knows.
    fn send(&mut self, local: u32, user: u64, rng: &mut Rng) -> Option<Call> {
        let habit = self.options.send;
        let gains_fen = self.gains_fen.entry(local).or_default();
        let has_fen = u64::try_from(self.options.deposit_fen as i64 + *gains_fen).unwrap_or(0);
        let fen_max = u64::from(habit.fen_max).min(has_fen) as u32;
        if fen_max < habit.fen_min {
            return None;
        }
        let total_fen = rng.random_range(habit.fen_min..=fen_max);
        *gains_fen -= i64::from(total_fen);
        let equal = rng.random_bool(habit.equal);
        let recipients = self.others(user, habit.recipients as usize, rng);
        Some(Call::Send { terms: Box::new(Terms { total_fen, shares: habit.shares, equal, recipients }) })
    }

    /// So many different users of the run, `user` not among them.
    fn others(&self, user: u64, count: usize, rng: &mut Rng) -> Vec<u64> {
        debug_assert!(count <= RECIPIENTS_MAX && (count as u64) < self.options.users.1);
        let (first, users) = self.options.users;
        let mut others = Vec::with_capacity(count);
        while others.len() < count {
            let other = first + rng.next_u64() % users;
            if other != user && !others.contains(&other) {
                others.push(other);
            }
        }
        others
    }

    /// A user was invited; `None` if it is known, else what he does now.
    pub fn invited(
        &mut self,
        local: u32,
        user: u64,
        packet: u64,
        rng: &mut Rng,
    ) -> Option<std::vec::Drain<'_, Call>> {
        if !self.is_on {
            self.early.push((local, packet));
            return None;
        }
        let part = self.parts.entry((local, packet)).or_default();
        if std::mem::replace(&mut part.is_invited, true) {
            return None;
        }
        if self.options.users.1 > 1 && self.dice.shares(rng) {
            let other = self.others(user, 1, rng)[0];
            self.next.push(Call::Share { packet, user: other });
        }
        if self.dice.grabs(rng) {
            self.next.push(Call::Grab { packet });
        } else if self.dice.opens(rng) {
            self.next.push(Call::Open { packet });
        }
        if self.options.acts_at_shots {
            self.later.entry(local).or_default().extend(self.next.drain(..).rev());
        }
        Some(self.next.drain(..))
    }

    /// Whether a packet came to a user by an invitation, and he has not opened it yet.
    pub fn is_invited(&self, local: u32, packet: u64) -> bool {
        self.parts.get(&(local, packet)).is_some_and(|part| part.is_invited && !part.is_opened)
    }

    /// A request has ended; what the user does now.
    pub fn ended(&mut self, local: u32, call: &Call, outcome: &Outcome, rng: &mut Rng) -> Option<Call> {
        let reply = match outcome {
            Outcome::Known(reply) => *reply,
            Outcome::Unknown if self.options.persists => return opened_later(call),
            Outcome::Unknown | Outcome::NotNow => return None,
        };
        let next = match (call, reply) {
            (Call::Shake, Reply { status: Status::Ok, packet, .. }) => {
                self.dice.opens(rng).then_some(Call::Open { packet })
            }
            (Call::Grab { packet }, Reply { status: Status::Ok, .. }) => {
                self.dice.opens(rng).then_some(Call::Open { packet: *packet })
            }
            (Call::Open { packet }, Reply { status: Status::Ok, fen, .. }) => {
                self.opened(local, *packet, fen);
                self.dice.opens_again(rng).then_some(Call::Open { packet: *packet })
            }
            // It has moved no money and never will: a new request is to be made.
            (Call::Open { .. } | Call::Grab { .. }, Reply { status: Status::NotDone, .. }) => {
                Some(call.clone())
            }
            (Call::Open { .. } | Call::Grab { .. }, Reply { status: Status::Busy, .. })
                if self.options.persists =>
            {
                Some(call.clone())
            }
            (Call::Send { .. }, Reply { status, .. }) if status != Status::Ok => {
                self.not_made(local, call);
                None
            }
            _ => None,
        };
        next.filter(|_| self.is_on)
    }

    /// A send has come to nothing: the user still has its money.
    pub fn not_made(&mut self, local: u32, call: &Call) {
        if let Call::Send { terms } = call {
            *self.gains_fen.entry(local).or_default() += i64::from(terms.total_fen);
        }
    }

    fn opened(&mut self, local: u32, packet: u64, fen: u64) {
        let part = self.parts.entry((local, packet)).or_default();
        if !std::mem::replace(&mut part.is_opened, true) && self.options.mix.send > 0.0 {
            *self.gains_fen.entry(local).or_default() += fen as i64;
        }
    }
}

/// What finds out what became of a request about a packet that may have been executed: its open says how much the
/// user has of it, however often it was asked for.
fn opened_later(call: &Call) -> Option<Call> {
    match call {
        Call::Open { packet } | Call::Grab { packet } => Some(Call::Open { packet: *packet }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn habits(mix: Mix, deposit_fen: u64) -> Habits {
        let options = HabitOptions {
            mix,
            send: SendHabit { recipients: 3, shares: 2, fen_min: 10, fen_max: 40, equal: 1.0 },
            deposit_fen,
            persists: false,
            acts_at_shots: false,
            users: (100, 5),
        };
        let mut habits = Habits::new(options);
        habits.begin(&mix);
        habits
    }

    fn known(status: Status, packet: u64, fen: u64) -> Outcome {
        Outcome::Known(Reply { packet, fen, ..Reply::of(status) })
    }

    /// Expect: nothing is sent that was not there: from a deposit, or from what was opened, each packet once.
    #[test]
    fn users_send_what_they_know_to_have() {
        let mut rng = Rng::seed_from_u64(1);
        let mut habits = habits(Mix { shake: 0.0, send: 1.0, ..Mix::default() }, 0);
        assert_eq!(habits.wish(0, 100, &mut rng), Call::Shake);
        for fen in [25, 25] {
            habits.ended(0, &Call::Open { packet: 9 }, &known(Status::Ok, 9, fen), &mut rng);
        }
        let Call::Send { terms } = habits.wish(0, 100, &mut rng) else { panic!("it can be paid") };
        assert!((10..=25).contains(&terms.total_fen) && terms.equal && terms.check(100).is_ok(), "{terms:?}");
        assert!(terms.recipients.iter().all(|user| (101..105).contains(user)), "{terms:?}");
        while habits.wish(0, 100, &mut rng) != Call::Shake {}
        let refused = Call::Send { terms };
        habits.ended(0, &refused, &known(Status::TooLittleMoney, 0, 0), &mut rng);
        assert!(matches!(habits.wish(0, 100, &mut rng), Call::Send { .. }), "it was given back");
    }

    /// Expect: each invitation once, by a share and a grab, whose end is an open, whose end may be another one.
    #[test]
    fn invitations_are_acted_on_once() {
        let mut rng = Rng::seed_from_u64(1);
        let mut habits = habits(Mix { share: 1.0, grab: 1.0, ..Mix::default() }, 0);
        let calls: Vec<Call> = habits.invited(0, 100, 7, &mut rng).unwrap().collect();
        assert!(matches!(calls[..], [Call::Share { packet: 7, .. }, Call::Grab { packet: 7 }]), "{calls:?}");
        assert!(habits.invited(0, 100, 7, &mut rng).is_none() && habits.is_invited(0, 7));
        let next = habits.ended(0, &Call::Grab { packet: 7 }, &known(Status::Ok, 7, 0), &mut rng);
        assert_eq!(next, Some(Call::Open { packet: 7 }));
        let open = Call::Open { packet: 7 };
        assert_eq!(habits.ended(0, &open, &known(Status::NotDone, 7, 0), &mut rng), Some(open.clone()));
        assert_eq!(habits.ended(0, &open, &Outcome::Unknown, &mut rng), None);
        habits.options.persists = true;
        assert_eq!(habits.ended(0, &open, &Outcome::Unknown, &mut rng), Some(open));
    }

    /// Expect: what follows from an invitation waits for the user's shots, in its order.
    #[test]
    fn users_can_act_at_their_shots() {
        let mut rng = Rng::seed_from_u64(1);
        let mut habits = habits(Mix { share: 1.0, grab: 1.0, ..Mix::default() }, 0);
        habits.options.acts_at_shots = true;
        assert_eq!(habits.invited(0, 100, 7, &mut rng).unwrap().count(), 0);
        assert_eq!(habits.wish(1, 101, &mut rng), Call::Shake);
        assert!(matches!(habits.wish(0, 100, &mut rng), Call::Share { packet: 7, .. }));
        assert_eq!(habits.wish(0, 100, &mut rng), Call::Grab { packet: 7 });
        assert_eq!(habits.wish(0, 100, &mut rng), Call::Shake);
    }

    /// Expect: what came between two runs is acted on in the next one.
    #[test]
    fn nobody_acts_between_runs() {
        let mut rng = Rng::seed_from_u64(1);
        let mut habits = habits(Mix::default(), 0);
        habits.end();
        assert!(habits.invited(3, 103, 7, &mut rng).is_none());
        assert_eq!(habits.ended(3, &Call::Shake, &known(Status::Ok, 8, 0), &mut rng), None);
        assert_eq!(habits.begin(&Mix::default()), [(3, 7)]);
        assert_eq!(habits.invited(3, 103, 7, &mut rng).unwrap().count(), 1);
    }
}
