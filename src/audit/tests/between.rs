//! Rules that hold over all groups: requests, what was told, money on its way.

use super::super::{Rule, judge};
use super::book::{Book, terms, user};
use crate::ledger::{Account, Kind};

#[track_caller]
fn breaks(rule: Rule, book: &Book) {
    assert_eq!(book.broken(), [(rule.name(), 1)], "{:#?}", book.audit().differences);
}

/// A ledger in which the house has sent 90 fen in 9 equal shares, from SET 0 to users of SET 1: three of them
/// have opened, and two have had their money. With the rows of the opens.
fn owing() -> (Book, u64, [u64; 3]) {
    let others = [user(1, 0), user(1, 1), user(1, 2), user(1, 3)];
    let mut book = Book::new();
    let packet = book.house_send(0, 90, terms(9, true), &others);
    let opens = [0, 1, 2].map(|at| book.open(others[at], packet, 10));
    book.deliver(0, opens[0]);
    book.deliver(0, opens[1]);
    (book, packet, opens)
}

#[test]
fn clearing() {
    let (book, _, [first, second, third]) = owing();
    let report = book.audit();
    assert!(report.ok);
    assert_eq!((report.on_its_way_fen, report.on_its_way_rows), (10, 1));
    // Delivered twice.
    for open in [first, second] {
        let mut book = book.clone();
        book.deliver(0, open);
        breaks(Rule::Clearing, &book);
    }
    // Another amount, user, request or packet than what is owed.
    for change in 0..3 {
        let mut book = book.clone();
        book.deliver(0, third);
        let last = book.last(1);
        match change {
            0 => last.fen = 11,
            1 => last.req += 1,
            _ => (last.user, last.credit) = (user(1, 3), Account::Wallet(user(1, 3))),
        }
        breaks(Rule::Clearing, &book);
    }
    // A row that owes nothing, one that is not there, and a gap.
    for other in [1, third + 1] {
        let mut book = book.clone();
        book.deliver(0, third);
        book.last(1).other = other;
        breaks(Rule::Clearing, &book);
    }
    let mut gap = book.clone();
    let fourth = gap.open(user(1, 3), book.journals[0][0].0.packet, 10);
    gap.deliver(0, fourth);
    breaks(Rule::Clearing, &gap);
}

/// Expect: what a running server delivered after the owing group was read is no difference, and is counted.
/// On a ledger that nobody writes to it is one.
#[test]
fn snapshots_are_not_of_one_instant() {
    let (mut book, packet, [_, _, third]) = owing();
    book.deliver(0, third);
    let req = book.journals[0][third as usize - 1].0.req;
    book.told(17, user(1, 2), req, packet, 10);
    let all = book.journals[0].len() as u64;
    book.journals[0].truncate(third as usize - 1);
    let report = judge(book.groups(), None, |_| all);
    assert!(report.ok, "{:#?}", report.differences);
    assert_eq!((report.later_rows, report.later_fen, report.on_its_way_fen), (2, 10, 0));
    assert_eq!(book.broken(), [("clearing", 1), ("told", 1)]);
}

/// Expect: a req of a user is executed once, whatever it asks for and wherever.
#[test]
fn request() {
    let (mut book, packet, [first, ..]) = owing();
    let req = book.journals[0][first as usize - 1].0.req;
    let here = book.mint(1, 5, terms(1, false));
    book.about(Kind::Win, user(1, 0), req, here, 0);
    breaks(Rule::Request, &book);
    book.last(1).req += 1_000;
    assert!(book.audit().ok);
    book.about(Kind::Share, user(1, 0), req, packet, user(2, 2));
    breaks(Rule::Request, &book);
}

#[test]
fn told() {
    let (book, packet, [first, ..]) = owing();
    let req = book.journals[0][first as usize - 1].0.req;
    let one = user(1, 0);
    for (op, user, req, fen, right) in [
        (17, one, req, 10, true),
        (17, one, 9_999, 10, true),
        (17, one, 9_999, 0, true),
        (17, one, req, 9, false),
        (17, one, req, 0, false),
        (17, one, 9_999, 11, false),
        (21, one, req, 0, false),
        (21, one, 9_999, 0, true),
        (21, user(1, 3), 9_999, 0, false),
        (20, one, 9_999, 0, true),
        (20, user(1, 7), 9_999, 0, false),
        (17, user(1, 3), 9_999, 1, false),
        (22, one, 9_999, 10, false),
    ] {
        let mut book = book.clone();
        book.told(op, user, req, packet, fen);
        let named = book.broken().iter().any(|(rule, _)| *rule == "told");
        assert_eq!((book.audit().ok, named), (right, !right), "{op} {user} {req} {fen}: {:?}", book.broken());
    }
    // Two that contradict each other, of a request that was executed nowhere.
    let mut book = book.clone();
    book.grab(user(1, 3), packet);
    book.told(21, user(1, 3), 9_999, packet, 0);
    assert!(book.audit().ok);
    book.told(17, user(1, 3), 9_999, packet, 0);
    breaks(Rule::Told, &book);
}

/// Expect: what is told of a packet of the same group is compared with the rows before it, not after.
#[test]
fn nothing_is_told_before_it_is_decided() {
    let (mut book, packet, _) = owing();
    let here = user(0, 3);
    let invited = book.journals[0][0].0.req;
    book.about(Kind::Invite, 0, invited, packet, here);
    book.told(17, here, 9_999, packet, 10);
    book.open(here, packet, 10);
    breaks(Rule::Told, &book);
}
