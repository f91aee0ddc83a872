//! The ledger on disk: real files, real failures.

mod broken;
mod failing;
mod journals;
mod killed;
mod places;
mod torn;
mod views;

use super::{Directory, Identity, Journal, LedgerError, Reader, Tip, Writer};
use crate::ledger::{Account, Kind, Ledger as _, Row};
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};

/// Any row there can be.
pub fn any_row() -> impl Strategy<Value = Row> {
    let account = || {
        prop_oneof![
            Just(Account::House),
            any::<u64>().prop_map(Account::Packet),
            any::<u64>().prop_map(Account::Wallet),
            any::<u32>().prop_map(Account::Clearing),
        ]
    };
    let kind = (0..Kind::ALL.len()).prop_map(|at| Kind::ALL[at]);
    let signed = 0..u64::MAX >> 1;
    (kind, account(), account(), [signed.clone(), signed], any::<[u64; 5]>()).prop_map(
        |(kind, debit, credit, [fen, wall_ms], [user, req, packet, other, detail])| Row {
            kind,
            debit,
            credit,
            fen,
            user,
            req,
            packet,
            wall_ms,
            other,
            detail,
        },
    )
}

/// A packet of so many fen.
pub fn mint(packet: u64, fen: u64) -> Row {
    Row {
        kind: Kind::Mint,
        debit: Account::House,
        credit: Account::Packet(packet),
        fen,
        user: 0,
        req: 1,
        packet,
        wall_ms: 1_700_000_000_000 + packet,
        other: packet,
        detail: 1,
    }
}

pub const CREATED_WALL_MS: u64 = 1_700_000_000_000;
pub const TWO_GROUPS: Identity = Identity { machine: 7, sets: 4, groups: 2 };

/// Opens or makes a ledger of two groups.
pub fn open(dir: &Path) -> Directory {
    Directory::open(dir, TWO_GROUPS, CREATED_WALL_MS).unwrap()
}

/// Rows with their notes.
pub type Rows = Vec<(Row, Option<String>)>;

/// What a reader finds: all rows of a group, and the end of its journal.
pub fn try_read(dir: &Path, group: u32) -> Result<(Rows, Tip), LedgerError> {
    let mut rows = Vec::new();
    let tip = Reader::open(dir, group)?.read(|number, row, note| {
        assert_eq!(number, rows.len() as u64 + 1);
        rows.push((*row, note.map(str::to_owned)));
        Ok::<_, LedgerError>(())
    })?;
    Ok((rows, tip))
}

pub fn read(dir: &Path, group: u32) -> (Rows, Tip) {
    try_read(dir, group).unwrap()
}

/// A writer that goes on where the journal ends.
pub fn writer(ledger: &Directory, group: u32) -> Writer {
    let tip = ledger.reader(group).unwrap().read(|_, _, _| Ok::<_, LedgerError>(())).unwrap();
    ledger.writer(group, tip).unwrap()
}

/// Commits packets with these numbers, all at once.
pub fn commit(writer: &mut Writer, packets: std::ops::Range<u64>) -> Tip {
    let rows: Vec<_> = packets.map(|packet| mint(packet, 5)).collect();
    writer.commit(rows.iter().map(|row| (row, None))).unwrap()
}

/// Waits until so many rows are durable, or the journal fails.
pub fn wait_for(journal: &mut Journal, row: u64) {
    let end = Instant::now() + Duration::from_secs(60);
    while journal.durable_row() < row && !journal.has_failed() {
        assert!(Instant::now() < end, "row {row} is not durable; {} are", journal.durable_row());
        std::thread::yield_now();
    }
}
