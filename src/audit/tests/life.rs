//! Rules on the life of a packet.

use super::super::Rule;
use super::book::{Book, EXPIRY_S, START_S, terms, user};
use super::rows::good;
use crate::ledger::{Account, Kind, Terms};

#[track_caller]
fn breaks(rule: Rule, book: &Book) {
    assert_eq!(book.broken(), [(rule.name(), 1)], "{:#?}", book.audit().differences);
}

/// A ledger in which Anna, of SET 0, has sent 30 fen in 3 shares to four users of her own group.
fn sent(equal: bool) -> (Book, u64, u64, [u64; 4]) {
    let anna = user(0, 0);
    let others = [user(0, 1), user(0, 2), user(2, 0), user(2, 1)];
    let mut book = Book::new();
    book.deposit(anna, 100, "d");
    let packet = book.send(anna, 30, terms(3, equal), &others);
    (book, anna, packet, others)
}

#[test]
fn won() {
    let later = Terms { expiry_s: u32::MAX, ..terms(1, false) };
    let mut book = good();
    let minted = book.mint(0, 9, later);
    book.win(user(0, 0), minted);
    book.win(user(0, 1), minted);
    breaks(Rule::Won, &book);
    let (mut book, _, packet, others) = sent(false);
    book.win(others[0], packet);
    breaks(Rule::Won, &book);
}

/// Expect: strangers neither share, nor grab, nor open; the sender is one, unless invited.
#[test]
fn member() {
    for stranger in [user(0, 5), user(0, 0)] {
        let (mut book, ..) = sent(false);
        let (mut shared, mut grabbed) = (book.clone(), book.clone());
        let packet = book.journals[0][1].0.packet;
        book.open(stranger, packet, 5);
        breaks(Rule::Member, &book);
        grabbed.grab(stranger, packet);
        breaks(Rule::Member, &grabbed);
        shared.share(stranger, packet, user(0, 6));
        breaks(Rule::Member, &shared);
    }
    // A minted packet is nobody's before it is won.
    let mut book = Book::new();
    let minted = book.mint(0, 5, terms(1, false));
    book.open(user(0, 0), minted, 5);
    breaks(Rule::Member, &book);
    // Invited by somebody else than the sender, or by another request; nobody; oneself.
    let (book, anna, packet, others) = sent(false);
    let req = book.journals[0][1].0.req;
    for (from, req, other) in [(others[0], req, 9), (anna, req + 1, 9), (anna, req, 0), (anna, req, anna)] {
        let mut book = book.clone();
        book.about(Kind::Invite, from, req, packet, other);
        breaks(Rule::Member, &book);
    }
}

/// Expect: who was invited by a member is one.
#[test]
fn a_share_invites() {
    let (mut book, _, packet, others) = sent(false);
    book.share(others[0], packet, user(1, 3));
    book.grab(user(1, 3), packet);
    assert!(book.audit().ok);
}

#[test]
fn once() {
    let (mut book, _, packet, [one, ..]) = sent(false);
    book.grab(one, packet);
    let mut twice = book.clone();
    twice.grab(one, packet);
    breaks(Rule::Once, &twice);
    book.open(one, packet, 5);
    let (mut again, mut grabbed) = (book.clone(), book);
    again.open(one, packet, 5);
    breaks(Rule::Once, &again);
    grabbed.grab(one, packet);
    breaks(Rule::Once, &grabbed);
}

/// Expect: three shares are three; those who hold one always find it.
#[test]
fn share() {
    let (mut book, _, packet, others) = sent(true);
    others[..3].iter().for_each(|user| {
        book.grab(*user, packet);
    });
    let mut fourth = book.clone();
    fourth.grab(others[3], packet);
    breaks(Rule::Share, &fourth);
    // The fourth takes what the third holds.
    let mut taken = book.clone();
    taken.open(others[0], packet, 10);
    taken.open(others[3], packet, 10);
    taken.open(others[1], packet, 10);
    breaks(Rule::Share, &taken);
    others[..3].iter().for_each(|user| {
        book.open(*user, packet, 10);
    });
    assert!(book.audit().ok);
    // A share of what was won is the winner's, whoever he invites.
    let mut book = Book::new();
    let minted = book.mint(0, 5, terms(1, false));
    book.win(user(0, 0), minted);
    book.share(user(0, 0), minted, user(0, 1));
    let mut late = book.clone();
    book.open(user(0, 0), minted, 5);
    assert!(book.audit().ok);
    late.open(user(0, 1), minted, 5);
    breaks(Rule::Share, &late);
}

#[test]
fn split() {
    // 30 fen, 3 shares: (60 - 3) ÷ 3 = 19; then 29 fen, 2 shares: 28; the last takes the rest.
    for (amounts, fits) in [
        (&[19][..], true),
        (&[20], false),
        (&[1, 28], true),
        (&[1, 29], false),
        (&[10, 10, 10], true),
        (&[10, 10, 9], false),
    ] {
        let (mut book, _, packet, others) = sent(false);
        amounts.iter().zip(others).for_each(|(fen, user)| {
            book.open(user, packet, *fen);
        });
        assert_eq!(book.broken(), if fits { vec![] } else { vec![("split", 1)] }, "{amounts:?}");
    }
    let (mut book, _, packet, others) = sent(true);
    book.open(others[0], packet, 11);
    breaks(Rule::Split, &book);
    // The first of 10 fen in 3 equal shares is 4.
    let mut book = good();
    book.journals[0].iter_mut().filter(|(row, _)| row.kind == Kind::Open).for_each(|(row, _)| {
        row.fen = if row.fen == 4 { 3 } else { row.fen };
    });
    assert!(book.broken().contains(&("split", 1)));
}

#[test]
fn expiry() {
    for (kind, fen) in [(Kind::Grab, 0), (Kind::Open, 5)] {
        let (mut book, _, packet, others) = sent(false);
        book.wall_ms = u64::from(EXPIRY_S) * 1_000 - 1;
        let last = |book: &mut Book, user| match kind {
            Kind::Grab => book.grab(user, packet),
            _ => book.open(user, packet, fen),
        };
        last(&mut book, others[0]);
        assert!(book.audit().ok, "the last ms is in time");
        last(&mut book, others[1]);
        breaks(Rule::Expiry, &book);
    }
    let (mut book, anna, packet, _) = sent(false);
    book.wall_ms = u64::from(EXPIRY_S) * 1_000 - 1;
    book.refund(packet, anna, 30);
    breaks(Rule::Expiry, &book);
}

/// Expect: all that is left goes back to who made it, once, and then nothing happens any more.
#[test]
fn refund() {
    let (mut book, anna, packet, others) = sent(false);
    book.open(others[0], packet, 5);
    book.expire(0);
    for (maker, fen) in [(anna, 24), (0, 25), (others[0], 25)] {
        let mut book = book.clone();
        book.refund(packet, maker, fen);
        breaks(Rule::Refund, &book);
    }
    book.refund(packet, anna, 25);
    assert!(book.audit().ok);
    book.wall_ms = u64::from(START_S) * 1_000 + 900_000;
    let mut again = book.clone();
    again.wall_ms = u64::from(EXPIRY_S) * 1_000 + 5;
    again.refund(packet, anna, 1);
    assert!(again.broken().contains(&("refund", 1)));
    for kind in [Kind::Share, Kind::Grab] {
        let mut book = book.clone();
        book.wall_ms = u64::from(EXPIRY_S) * 1_000 + 5;
        let req = book.req();
        book.about(kind, others[1], req, packet, user(0, 8));
        breaks(Rule::Refund, &book);
    }
    // A packet of the house goes back to the house.
    let mut book = Book::new();
    let minted = book.mint(0, 5, terms(1, false));
    book.win(user(0, 0), minted);
    book.expire(1);
    book.refund(minted, user(0, 0), 5);
    breaks(Rule::Refund, &book);
    book.last(0).credit = Account::House;
    assert!(book.audit().ok);
}
