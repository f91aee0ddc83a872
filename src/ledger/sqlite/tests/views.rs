//! The views that a person reads.

use super::{mint, open, writer};
use crate::ledger::{Account, Kind, Row, Terms};
use rusqlite::Connection;

const USER: u64 = u64::MAX - 1;
const PACKET: u64 = 0xffff_0001_0000_0002;

/// A little history: a house packet that is won and opened, and one sent from a wallet that comes back.
fn history() -> Vec<(Row, Option<&'static str>)> {
    let at = |row, seconds: u64| Row { wall_ms: 1_700_000_000_000 + seconds * 1_000, ..row };
    let nothing = Row { fen: 0, debit: Account::House, credit: Account::House, ..mint(0, 0) };
    let terms = Terms { shares: 2, equal: true, expiry_s: 1_700_086_400 }.to_detail();
    let wallet = Account::Wallet;
    vec![
        (at(Row { kind: Kind::Order, packet: 0, ..nothing }, 0), Some("start")),
        (at(Row { detail: terms | 1 << 62, ..mint(PACKET, 100) }, 1), None),
        (at(Row { kind: Kind::Win, user: USER, packet: PACKET, req: 1 << 63, ..nothing }, 2), None),
        (
            at(
                Row {
                    kind: Kind::Open,
                    debit: Account::Packet(PACKET),
                    credit: wallet(USER),
                    fen: 60,
                    user: USER,
                    packet: PACKET,
                    ..nothing
                },
                3,
            ),
            None,
        ),
        (
            at(Row { kind: Kind::Deposit, credit: wallet(42), fen: 10, user: 42, ..nothing }, 4),
            Some("bank-1"),
        ),
        (
            at(
                Row {
                    kind: Kind::Send,
                    debit: wallet(42),
                    credit: Account::Packet(3),
                    fen: 7,
                    user: 42,
                    packet: 3,
                    detail: terms,
                    ..nothing
                },
                5,
            ),
            None,
        ),
        (
            at(
                Row {
                    kind: Kind::Refund,
                    debit: Account::Packet(3),
                    credit: wallet(42),
                    fen: 7,
                    user: 42,
                    packet: 3,
                    ..nothing
                },
                6,
            ),
            None,
        ),
    ]
}

/// Every cell of a query as text, `|` between cells.
fn lines(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let line = |row: &rusqlite::Row<'_>| {
        let cell = |at| match row.get_ref(at).unwrap() {
            rusqlite::types::ValueRef::Null => String::new(),
            rusqlite::types::ValueRef::Integer(value) => value.to_string(),
            rusqlite::types::ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        Ok((0..columns).map(cell).collect::<Vec<_>>().join("|"))
    };
    statement.query_map((), line).unwrap().map(Result::unwrap).collect()
}

/// Expect: the views say what happened, with ids of 64 bits unsigned, times of day, and ids that compare as numbers.
#[test]
fn a_person_can_read_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    writer(&ledger, 0).commit(history().iter().map(|(row, note)| (row, *note))).unwrap();
    let connection = Connection::open(dir.path().join("group-0.sqlite")).unwrap();
    assert_eq!(
        lines(&connection, "SELECT * FROM balances"),
        [
            "house|0|-110",
            &format!("packet|{PACKET}|40"),
            "packet|3|0",
            &format!("wallet|{USER}|60"),
            "wallet|42|10"
        ]
    );
    let expiry = "2023-11-15 22:13:20.000";
    assert_eq!(
        lines(
            &connection,
            "SELECT id, sender, total, taken, \"left\", shares, opened, state FROM packets ORDER BY total"
        ),
        ["3|42|7|0|0|2|0|expired".to_owned(), format!("{PACKET}|0|100|60|40|2|1|open")]
    );
    assert_eq!(lines(&connection, "SELECT equal, expiry FROM packets WHERE id = 3"), [format!("1|{expiry}")]);
    assert_eq!(
        lines(&connection, "SELECT * FROM winners"),
        [format!("{PACKET}|{USER}|2023-11-14 22:13:22.000||2023-11-14 22:13:23.000|60")]
    );
    let statement = lines(&connection, "SELECT * FROM statement");
    assert_eq!(statement[0], "1|2023-11-14 22:13:20.000|order|house|house|0|0|1|0|0|1|start");
    assert_eq!(
        statement[3],
        format!("4|2023-11-14 22:13:23.000|open|packet {PACKET}|wallet {USER}|60|{USER}|1|{PACKET}|0|1|")
    );
    assert_eq!(lines(&connection, "SELECT count(*), sum(fen) FROM statement WHERE user = 42"), ["3|24"]);
    assert_eq!(lines(&connection, "SELECT max(length(req)) FROM statement"), ["19"]);
}
