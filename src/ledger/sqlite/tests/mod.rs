//! The ledger on disk: real files, real failures.

use crate::ledger::{Account, Kind, Row};
use proptest::prelude::*;

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

mod journals;

use super::{Directory, Identity, Tip};
use std::path::Path;

pub const TWO_GROUPS: Identity = Identity { machine: 7, sets: 4, groups: 2 };

pub fn open(dir: &Path) -> Directory {
    Directory::open(dir, TWO_GROUPS, 1_700_000_000_000).unwrap()
}

/// All rows of a group, and the end of its journal.
pub fn read(dir: &Path, group: u32) -> (Vec<(Row, Option<String>)>, Tip) {
    let mut rows = Vec::new();
    let tip = super::Reader::open(dir, group)
        .and_then(|mut reader| {
            reader.read(|number, row, note| {
                assert_eq!(number, rows.len() as u64 + 1);
                rows.push((*row, note.map(str::to_owned)));
                Ok::<_, super::LedgerError>(())
            })
        })
        .unwrap();
    (rows, tip)
}
