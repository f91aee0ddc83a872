//! The tables and views of a journal's file, which a person can read with the `sqlite3` shell.
//!
//! `docs/LEDGER.md` explains every column.

use super::columns::NAMES;
use crate::ledger::Kind;
use rusqlite::Connection;
use std::sync::OnceLock;

/// `PRAGMA application_id` of a journal: `rpkt`.
pub const APPLICATION_ID: u32 = 0x7270_6b74;

/// `PRAGMA user_version` of a journal: the version of its tables.
pub const FORMAT: u32 = 1;

/// Sorts of accounts by their codes.
const ACCOUNTS: [&str; 4] = ["house", "packet", "wallet", "clearing"];

const TABLES: &str = "
CREATE TABLE meta(
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE journal(
    row INTEGER PRIMARY KEY,
    wall_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    debit INTEGER NOT NULL,
    debit_id INTEGER NOT NULL,
    credit INTEGER NOT NULL,
    credit_id INTEGER NOT NULL,
    fen INTEGER NOT NULL,
    user INTEGER NOT NULL,
    req INTEGER NOT NULL,
    packet INTEGER NOT NULL,
    other INTEGER NOT NULL,
    detail INTEGER NOT NULL,
    note TEXT
) STRICT;
CREATE TABLE commits(
    number INTEGER PRIMARY KEY,
    last_row INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TABLE kinds(number INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE accounts(number INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
";

/// Makes tables and views, and fills those that never change.
pub fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    connection.execute_batch(&views("row"))?;
    fill_names(connection)
}

/// Makes the tables and views of a file that holds the journals of all groups: like those of one group, with
/// the group in front of each row.
pub fn create_export(connection: &Connection) -> rusqlite::Result<()> {
    let row = "row INTEGER PRIMARY KEY,";
    let number = "number INTEGER PRIMARY KEY,\n    last_row";
    let tables = TABLES.replacen(row, "\"group\" INTEGER NOT NULL,\n    row INTEGER NOT NULL,", 1).replacen(
        number,
        "\"group\" INTEGER NOT NULL,\n    number INTEGER NOT NULL,\n    last_row",
        1,
    );
    connection.execute_batch(&tables)?;
    connection.execute_batch(&views("\"group\", row"))?;
    fill_names(connection)
}

/// Indexes for questions, on a file that holds the journals of all groups.
pub const EXPORT_INDEXES: &str = "
CREATE UNIQUE INDEX journal_row ON journal(\"group\", row);
CREATE INDEX journal_user ON journal(user, req);
CREATE INDEX journal_packet ON journal(packet);
CREATE INDEX journal_kind ON journal(kind);
CREATE UNIQUE INDEX commits_number ON commits(\"group\", number);
";

fn fill_names(connection: &Connection) -> rusqlite::Result<()> {
    for kind in Kind::ALL {
        connection.execute("INSERT INTO kinds VALUES (?1, ?2)", (kind as u8, kind.name()))?;
    }
    for (number, name) in (0u8..).zip(ACCOUNTS) {
        connection.execute("INSERT INTO accounts VALUES (?1, ?2)", (number, name))?;
    }
    Ok(())
}

/// The tables of a file as text, and whatever acts on them, in order: what two files must have in common.
pub fn tables_of(connection: &Connection) -> rusqlite::Result<String> {
    let list =
        "SELECT coalesce(group_concat(sql, ';' ORDER BY name), '') FROM sqlite_schema WHERE type <> 'view'";
    connection.query_row(list, (), |row| row.get(0))
}

/// What [`tables_of`] says of a file that was made by [`create`].
pub fn own_tables() -> rusqlite::Result<&'static str> {
    static OWN: OnceLock<String> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own);
    }
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(TABLES)?;
    let own = tables_of(&connection)?;
    Ok(OWN.get_or_init(|| own))
}

/// Adds one row to the journal.
pub fn insert_row() -> String {
    let names = NAMES.join(", ");
    let places = ["?"; NAMES.len() + 1].join(", ");
    format!("INSERT INTO journal({names}, note) VALUES ({places})")
}

/// An unsigned number of 64 bits, stored as a signed one: as it is where that is the same, else as text.
fn unsigned(column: &str) -> String {
    format!("CASE WHEN {column} >= 0 THEN {column} ELSE printf('%u', {column}) END")
}

/// A time for people, UTC.
fn time(wall_ms: &str) -> String {
    format!("strftime('%Y-%m-%d %H:%M:%f', {wall_ms} / 1000.0, 'unixepoch')")
}

/// An account as text: its sort, and which of it.
fn account(code: &str, id: &str) -> String {
    format!(
        "(SELECT name FROM accounts WHERE number = {code}) || CASE WHEN {code} = 0 THEN '' ELSE printf(' %u', {id}) END"
    )
}

/// The views; `place` names the columns that a row is found by.
fn views(place: &str) -> String {
    let (user, req, packet) = (unsigned("user"), unsigned("req"), unsigned("packet"));
    let (other, detail, id) = (unsigned("other"), unsigned("detail"), unsigned("id"));
    let (debit, credit) = (account("debit", "debit_id"), account("credit", "credit_id"));
    let (send, mint, open) = (Kind::Send as u8, Kind::Mint as u8, Kind::Open as u8);
    let (refund, win, grab) = (Kind::Refund as u8, Kind::Win as u8, Kind::Grab as u8);
    let at = time("wall_ms");
    let is_made = format!("kind IN ({mint}, {send})");
    let sender = unsigned("sender");
    let (expiry, won, grabbed, opened) =
        (time("expiry_s * 1000"), time("won_ms"), time("grabbed_ms"), time("opened_ms"));
    format!(
        "
CREATE VIEW statement AS
SELECT {place}, {at} AS time, (SELECT name FROM kinds WHERE number = kind) AS kind,
    {debit} AS debit, {credit} AS credit, fen,
    {user} AS user, {req} AS req, {packet} AS packet, {other} AS other, {detail} AS detail, note
FROM journal;
CREATE VIEW balances AS
SELECT (SELECT name FROM accounts WHERE number = code) AS account, {id} AS id, sum(fen) AS fen
FROM (
    SELECT credit AS code, credit_id AS id, fen FROM journal WHERE fen > 0
    UNION ALL
    SELECT debit, debit_id, -fen FROM journal WHERE fen > 0
)
GROUP BY code, id;
CREATE VIEW packets AS
SELECT {id} AS id, {sender} AS sender, total, taken, total - taken - refunded AS \"left\",
    shares, equal, opened, {expiry} AS expiry,
    CASE WHEN opened = shares THEN 'finished' WHEN is_refunded THEN 'expired' ELSE 'open' END AS state
FROM (
    SELECT packet AS id,
        max(CASE WHEN {is_made} THEN user END) AS sender,
        sum(CASE WHEN {is_made} THEN fen ELSE 0 END) AS total,
        sum(CASE WHEN kind = {open} THEN fen ELSE 0 END) AS taken,
        sum(CASE WHEN kind = {refund} THEN fen ELSE 0 END) AS refunded,
        max(CASE WHEN {is_made} THEN detail & 65535 END) AS shares,
        max(CASE WHEN {is_made} THEN detail >> 31 & 1 END) AS equal,
        sum(kind = {open}) AS opened,
        max(CASE WHEN {is_made} THEN detail >> 32 & 4294967295 END) AS expiry_s,
        max(kind = {refund}) AS is_refunded
    FROM journal WHERE kind IN ({mint}, {send}, {open}, {refund}) GROUP BY packet
);
CREATE VIEW winners AS
SELECT {packet} AS packet, {user} AS user, {won} AS won, {grabbed} AS grabbed, {opened} AS opened, fen
FROM (
    SELECT packet, user,
        min(CASE WHEN kind = {win} THEN wall_ms END) AS won_ms,
        min(CASE WHEN kind = {grab} THEN wall_ms END) AS grabbed_ms,
        min(CASE WHEN kind = {open} THEN wall_ms END) AS opened_ms,
        sum(CASE WHEN kind = {open} THEN fen END) AS fen
    FROM journal WHERE kind IN ({win}, {grab}, {open}) GROUP BY packet, user
);
"
    )
}
