//! What SETs of different groups say to each other, and the rings between the workers that own them.
//!
//! A worker asks another only while it holds a credit, and each question is answered by exactly one
//! answer. So a ring never holds more than [`CREDITS`] questions and [`CREDITS`] answers; everything else
//! is pushed only while room for all of those is left. No push ever waits, and none fails that had to be made.

use super::invites::Invitation;
use super::sessions::SlotId;
use redpkt_proto::body::Status;
use redpkt_proto::{Op, Path};
use rtrb::{Consumer, Producer, RingBuffer};

/// Questions that a worker may have open at another one.
pub const CREDITS: usize = 2_048;

/// Places of a ring beyond those for questions and answers.
const NEWS: usize = 2_048;

/// Whose request a question is, to be sent back with the answer.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Who.
    pub user: u64,
    /// Where the session is.
    pub id: SlotId,
    /// Which session: an answer is not sent into a later one, whose client asks again by itself.
    pub session_number: u32,
    /// Where the request came from.
    pub path: Path,
    /// Header flags of the answer.
    pub flags: u8,
    /// Of the transmission that is answered.
    pub attempt: u8,
    /// Which request.
    pub req: u64,
}

/// A request about a packet that lives in another group.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Whose.
    pub asker: Asker,
    /// Open, grab or share.
    pub op: Op,
    /// Which packet.
    pub packet: u64,
    /// Share: who is to be invited.
    pub other: u64,
    /// Which worker asks.
    pub worker: u32,
}

/// What the packet's group has decided, and made durable.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// What was asked.
    pub question: Question,
    /// What became of it.
    pub status: Status,
    /// Busy: when to ask again.
    pub retry_after_ms: u32,
    /// How much the user has of the packet, by this or an earlier open.
    pub fen: u64,
    /// The group that has decided.
    pub group: u32,
    /// Number of the row by which money left that group; 0 if none did by this question.
    pub row: u64,
}

/// Money on its way from one group's packet to a wallet of another group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose it is.
    pub user: u64,
    /// By which request.
    pub req: u64,
    /// Of which packet.
    pub packet: u64,
    /// How much, in fen.
    pub fen: u64,
    /// Which group it comes from.
    pub group: u32,
    /// Number of the row by which it left that group.
    pub row: u64,
}

/// One message between workers.
#[derive(Clone, Copy, Debug)]
pub enum Message {
    /// Decide this.
    Question(Question),
    /// It was decided.
    Decided(Decided),
    /// One of your users is invited.
    Invited(Invitation),
    /// This is for one of your users, and may have come before.
    Delivery(Delivery),
}

/// The two rings between this worker and another.
struct Link {
    to: Producer<Message>,
    from: Consumer<Message>,
    /// Questions that may be asked now.
    credits: usize,
    /// Whether something was pushed since the last wake.
    pushed: bool,
}

/// One worker's ends of the rings to and from all others.
#[derive(Default)]
pub struct Links {
    /// By worker; none to itself.
    links: Vec<Option<Link>>,
}

/// Rings between each two of `workers` workers.
pub fn mesh(workers: usize) -> Vec<Links> {
    let mut all: Vec<Links> =
        (0..workers).map(|_| Links { links: (0..workers).map(|_| None).collect() }).collect();
    for one in 0..workers {
        for other in one + 1..workers {
            let (to_other, from_one) = RingBuffer::new(2 * CREDITS + NEWS);
            let (to_one, from_other) = RingBuffer::new(2 * CREDITS + NEWS);
            let link = |to, from| Some(Link { to, from, credits: CREDITS, pushed: false });
            all[one].links[other] = link(to_other, from_other);
            all[other].links[one] = link(to_one, from_one);
        }
    }
    all
}

impl Links {
    /// Takes a credit for a question to a worker; `false` if none is left, or the worker is gone.
    pub fn take_credit(&mut self, worker: u32) -> bool {
        let link = self.link(worker);
        let has_one = link.credits > 0 && !link.to.is_abandoned();
        link.credits -= usize::from(has_one);
        has_one
    }

    /// Asks a question, for which a credit was taken.
    pub fn ask(&mut self, worker: u32, question: Question) {
        self.push(worker, Message::Question(question));
    }

    /// Answers a question of a worker.
    pub fn answer(&mut self, worker: u32, decided: Decided) {
        self.push(worker, Message::Decided(decided));
    }

    /// Tells a worker something that is no question and no answer; `false` if it has to be told later. A worker that
    /// is gone is told nothing.
    pub fn tell(&mut self, worker: u32, news: Message) -> bool {
        let link = self.link(worker);
        if link.to.is_abandoned() {
            return true;
        }
        if link.to.slots() <= 2 * CREDITS {
            return false;
        }
        self.push(worker, news);
        true
    }

    /// The next message of a worker, which stays until it is taken.
    pub fn peek(&mut self, worker: u32) -> Option<Message> {
        self.links.get_mut(worker as usize)?.as_mut()?.from.peek().ok().copied()
    }

    /// Takes the message that was peeked at. An answer gives its question's credit back.
    pub fn take(&mut self, worker: u32) {
        let link = self.link(worker);
        if let Ok(Message::Decided(_)) = link.from.pop() {
            link.credits += 1;
        }
    }

    /// How many workers there are.
    pub fn workers(&self) -> u32 {
        self.links.len() as u32
    }

    /// The workers that something was pushed to since the last call: they are to be waked.
    pub fn take_pushed(&mut self) -> impl Iterator<Item = u32> {
        let pushed = |(worker, link): (u32, &mut Option<Link>)| {
            link.as_mut().is_some_and(|link| std::mem::take(&mut link.pushed)).then_some(worker)
        };
        (0..).zip(&mut self.links).filter_map(pushed)
    }

    fn push(&mut self, worker: u32, message: Message) {
        let link = self.link(worker);
        // A worker that is gone reads nothing, and its ring may be full for ever.
        if !link.to.is_abandoned() {
            link.to.push(message).expect("a ring has room for all questions and answers");
            link.pushed = true;
        }
    }

    fn link(&mut self, worker: u32) -> &mut Link {
        self.links[worker as usize].as_mut().expect("a worker has no link to itself")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        let asker = Asker {
            user: 1,
            id: SlotId { set: 0, slot: 0 },
            session_number: 1,
            path: Path::NONE,
            flags: 0,
            attempt: 0,
            req: 1,
        };
        Question { asker, op: Op::Open, packet: 2, other: 0, worker: 0 }
    }

    fn decided() -> Decided {
        Decided { question: question(), status: Status::Ok, retry_after_ms: 0, fen: 5, group: 1, row: 9 }
    }

    const INVITATION: Invitation =
        Invitation { user: 1, packet: 2, from: 3, total_fen: 4, expiry_s: 5, shares: 6 };

    /// Expect: invitations fill what is theirs, and all questions and answers still find room.
    #[test]
    fn a_ring_full_of_news_has_room_for_every_question_and_answer() {
        let mut mesh = mesh(2);
        let [one, other] = &mut mesh[..] else { panic!() };
        let told = (0..).take_while(|_| one.tell(1, Message::Invited(INVITATION))).count();
        assert_eq!(told, NEWS);
        for _ in 0..CREDITS {
            assert!(one.take_credit(1));
            one.ask(1, question());
            one.answer(1, decided());
        }
        assert!(!one.take_credit(1) && !one.tell(1, Message::Invited(INVITATION)));
        assert_eq!(one.take_pushed().collect::<Vec<_>>(), [1]);
        assert_eq!(one.take_pushed().count(), 0);
        let mut taken = 0;
        while other.peek(0).is_some() {
            other.take(0);
            taken += 1;
        }
        assert_eq!(taken, NEWS + 2 * CREDITS);
        other.answer(0, decided());
        assert!(matches!(one.peek(1), Some(Message::Decided(Decided { fen: 5, .. }))));
        one.take(1);
        assert!(one.take_credit(1) && !one.take_credit(1), "an answer gives its credit back");
    }

    #[test]
    fn a_worker_that_is_gone_is_asked_nothing_and_holds_nobody_up() {
        let mut mesh = mesh(2);
        drop(mesh.pop());
        assert!(!mesh[0].take_credit(1));
        assert!((0..10_000).all(|_| mesh[0].tell(1, Message::Invited(INVITATION))));
        (0..10_000).for_each(|_| mesh[0].answer(1, decided()));
    }
}
