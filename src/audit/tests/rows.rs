//! Rules on a row, on accounts, on orders: a ledger in order, and one thing wrong in it.

use super::super::Rule;
use super::book::{Book, EXPIRY_S, row, terms, user};
use crate::ledger::{Account, Kind, Terms};

/// A bit of everything, and all of it right. Users 1 and 2 of the test are of SETs 0 and 1: two groups.
pub fn good() -> Book {
    let (anna, bert, cleo) = (user(0, 0), user(1, 0), user(0, 1));
    let mut book = Book::new();
    book.order(1, r#"{"taken":{"id":"start","what":"mint","rate_per_s":200,"total":10,"fen_min":1,"fen_max":200,"shares":1,"equal":false,"at_wall_ms":0,"budget_fen":400}}"#);
    book.order(2, r#"{"taken":{"id":"house","what":{"send":{"recipients":2}},"rate_per_s":1,"total":4000,"fen_min":30,"fen_max":90,"shares":2,"equal":false,"at_wall_ms":0,"budget_fen":0}}"#);
    book.deposit(anna, 1_000, "d1");
    let won = book.mint(0, 10, terms(1, false));
    book.win(anna, won);
    book.open(anna, won, 10);
    let sent = book.send(anna, 10, terms(3, true), &[bert, cleo]);
    book.grab(bert, sent);
    let open = book.open(bert, sent, 4);
    book.deliver(0, open);
    let req = book.journals[0][open as usize - 1].0.req;
    book.told(17, bert, req, sent, 4);
    book.open(cleo, sent, 3);
    let house = book.house_send(1, 60, terms(2, false), &[anna, bert]);
    book.open(bert, house, 35);
    book.open(anna, house, 25);
    book.order(1, r#"{"state":"paused"}"#);
    book.withdraw(anna, 500, "w1");
    book.mint(3, 7, terms(1, false));
    book.expire(0);
    book.refund(sent, anna, 3);
    book
}

/// Expect: nothing is wrong, and all sums are right: 25 fen of a house packet are owed to a user of group 0.
#[test]
fn a_ledger_in_order_has_no_differences() {
    let report = good().audit();
    assert_eq!(report.lines().last().unwrap(), "every rule on money holds", "{:#?}", report.differences);
    assert!(report.ok);
    assert_eq!((report.house_fen, report.packets_fen, report.wallets_fen), (-577, 7, 545));
    assert_eq!((report.on_its_way_fen, report.on_its_way_rows, report.later_rows), (25, 1, 0));
    let packets = report.packets;
    assert_eq!((packets.made, packets.opened, packets.refunded, packets.open), (4, 2, 1, 1));
    assert_eq!((report.users_with_money, report.rows), (3, 26));
}

#[track_caller]
fn breaks(rule: Rule, book: &Book) {
    assert_eq!(book.broken(), [(rule.name(), 1)], "{:#?}", book.audit().differences);
}

#[test]
fn entry() {
    // A grab that moves money between an account and itself.
    let mut book = good();
    book.journals[0].iter_mut().find(|(row, _)| row.kind == Kind::Grab).unwrap().0.fen = 1;
    breaks(Rule::Entry, &book);
    // A deposit that comes from nowhere the house knows.
    let mut book = good();
    book.journals[0][2].0.debit = Account::Wallet(user(0, 1));
    assert_eq!(book.broken()[0], ("entry", 1));
    // An open of nothing, a mint of a user, a win of nobody.
    let mut book = good();
    book.deposit(user(0, 0), 0, "d2");
    breaks(Rule::Entry, &book);
    let mut book = good();
    book.mint(0, 1, terms(1, false));
    book.last(0).user = 5;
    breaks(Rule::Entry, &book);
    let mut book = good();
    let minted = book.mint(0, 1, Terms { expiry_s: u32::MAX, ..terms(1, false) });
    book.win(0, minted);
    breaks(Rule::Entry, &book);
    // More than an answer can tell.
    let mut book = good();
    book.deposit(user(0, 0), 1 << 57, "d3");
    assert!(book.broken().contains(&("entry", 1)));
}

#[test]
fn place() {
    // A packet of another machine, one of another group, and one without a number.
    let foreign = |packet: u64| {
        let mut book = good();
        book.mint(0, 5, terms(1, false));
        let last = book.last(0);
        (last.packet, last.credit) = (packet, Account::Packet(packet));
        book
    };
    breaks(Rule::Place, &foreign(8 << 48 | 1));
    breaks(Rule::Place, &foreign(7 << 48 | 1 << 32 | 9));
    breaks(Rule::Place, &foreign(7 << 48 | 4 << 32 | 9));
    breaks(Rule::Place, &foreign(7 << 48));
    // A deposit to a user of another group.
    let mut book = good();
    let elsewhere = row(Kind::Deposit, Account::House);
    let to = user(1, 0);
    let (credit, user, fen) = (Account::Wallet(to), to, 5);
    book.row(0, crate::ledger::Row { credit, user, fen, ..elsewhere }, Some("d2"));
    breaks(Rule::Place, &book);
}

/// Expect: a win in another SET than the user's is out of place, though it is the same group.
#[test]
fn users_win_and_send_in_their_own_set() {
    let mut book = good();
    let minted = book.mint(2, 5, Terms { expiry_s: u32::MAX, ..terms(1, false) });
    book.win(user(0, 0), minted);
    breaks(Rule::Place, &book);
}

#[test]
fn time() {
    let mut book = good();
    book.last(0).wall_ms = 1;
    book.journals[0].pop();
    book.journals[0][4].0.wall_ms = 1;
    breaks(Rule::Time, &book);
}

#[test]
fn balance() {
    let mut book = good();
    book.withdraw(user(0, 1), 4, "w2");
    breaks(Rule::Balance, &book);
    let mut book = good();
    book.send(user(0, 1), 4, Terms { expiry_s: u32::MAX, ..terms(1, false) }, &[user(1, 0)]);
    breaks(Rule::Balance, &book);
}

#[test]
fn made_and_terms() {
    // The same number again, and a lower one.
    for back in [0, 1] {
        let mut book = good();
        let other = book.id(0);
        book.mint(0, 5, terms(1, false));
        let last = book.last(0);
        last.packet = other - back;
        last.credit = Account::Packet(other - back);
        if back == 0 {
            assert!(book.audit().ok, "a number may be left out");
        } else {
            breaks(Rule::Made, &book);
        }
    }
    // What was never made is not opened.
    let mut book = good();
    let none = book.id(0);
    book.win(user(0, 0), none);
    breaks(Rule::Made, &book);
    for (shares, fen) in [(0, 5), (501, 1_000), (6, 5)] {
        let mut book = good();
        book.mint(0, fen, terms(shares, false));
        // Of an order that nobody has heard of.
        book.last(0).req = 9;
        breaks(Rule::Terms, &book);
    }
}

/// Expect: a packet of an order is made once, also by two groups; never more than were ordered; and it holds
/// what was ordered.
#[test]
fn orders() {
    for group in [0, 1] {
        let mut book = good();
        book.mint(group, 5, terms(1, false));
        book.last(group).other = 0;
        breaks(Rule::Order, &book);
    }
    for (place, fen) in [(10, 5), (9, 201)] {
        let mut book = good();
        book.mint(1, fen, terms(1, false));
        book.last(1).other = place;
        breaks(Rule::Order, &book);
    }
    // Other shares than were ordered, and more than the budget in all groups together.
    for cut in [terms(2, false), terms(1, true)] {
        let mut book = good();
        book.mint(1, 5, cut);
        breaks(Rule::Order, &book);
    }
    for (more, fits) in [(183, true), (184, false)] {
        let mut book = good();
        book.mint(0, 200, terms(1, false));
        book.mint(1, more, terms(1, false));
        assert_eq!(book.broken(), if fits { vec![] } else { vec![("order", 1)] });
    }
    let mut book = good();
    book.row(0, row(Kind::Order, Account::House), None);
    breaks(Rule::Order, &book);
    // What cannot be read is not checked.
    let mut book = Book::new();
    book.order(1, "no JSON");
    book.order(1, r#"{"taken":{"total":"many"}}"#);
    book.mint(0, 5, terms(1, false));
    assert!(book.audit().ok);
}

/// Expect: an order is paid once over all groups, and its id is there.
#[test]
fn paid() {
    let mut book = good();
    book.deposit(user(1, 0), 1, "d1");
    breaks(Rule::Paid, &book);
    let mut book = good();
    book.withdraw(user(0, 0), 1, "d1");
    breaks(Rule::Paid, &book);
    let mut book = good();
    book.deposit(user(1, 0), 1, "");
    breaks(Rule::Paid, &book);
}

/// Expect: numbers of rows have no gap, and what a reader finds wrong with a journal is a difference.
#[test]
fn chain() {
    let book = good();
    let mut groups = book.groups();
    let (row, _) = book.journals[0][2];
    let after = groups[0].rows + 2;
    let late = crate::ledger::Row { wall_ms: u64::from(EXPIRY_S) * 2_000, kind: Kind::Deposit, ..row };
    groups[0].take(after, &late, Some("new"));
    groups[1].broken("commit 3: the hash does not match".into());
    let report = super::super::judge(groups, None, |_| 0);
    assert_eq!(report.by_rule.into_iter().collect::<Vec<_>>(), [("chain", 2)]);
}
