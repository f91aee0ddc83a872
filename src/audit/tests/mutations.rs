//! Any valid history has no differences; and one in which a field of a row was changed has some, or the change
//! makes another valid history of it.

use super::book::Book;
use super::history::{History, has_ended, is_delivered};
use crate::ledger::{Account, Kind, Row};
use proptest::prelude::*;

/// A field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Debit,
    Credit,
    Fen,
    User,
    Req,
    Packet,
    Other,
    Detail,
}

use Field::{Credit, Debit, Detail, Fen, Other, Packet, Req, User};

const FIELDS: [Field; 8] = [Debit, Credit, Fen, User, Req, Packet, Other, Detail];

/// Changes one field: by a little, by a bit, or to what another row has there.
fn change(row: &mut Row, field: Field, how: u32, other: &Row) {
    let new = |old: u64, others: u64| match how % 4 {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => old ^ 1 << (how / 4 % 40),
        _ => others,
    };
    let account = |old: Account, others: Account| match how % 3 {
        0 => Account::from_parts(old.code(), new(old.id(), others.id())).unwrap_or(others),
        1 => Account::House,
        _ => others,
    };
    match field {
        Debit => row.debit = account(row.debit, other.debit),
        Credit => row.credit = account(row.credit, other.credit),
        Fen => row.fen = new(row.fen, other.fen),
        User => row.user = new(row.user, other.user),
        Req => row.req = new(row.req, other.req),
        Packet => row.packet = new(row.packet, other.packet),
        Other => row.other = new(row.other, other.other),
        Detail => row.detail = new(row.detail, other.detail),
    }
}

/// Whether a change of this field can make another valid history. Everything else must be found.
fn may_be_valid(before: &Book, group: usize, at: usize, field: Field) -> bool {
    let (row, _) = &before.journals[group][at];
    let crossing = matches!(row.credit, Account::Clearing(_));
    let delivered = crossing && is_delivered(before, group, at as u64 + 1);
    match (row.kind, field) {
        // No two accounts, and no other packet, than those that belong to the row.
        (_, Debit | Credit) => false,
        (Kind::Order, Fen) => false,
        // Whom an order is for, and of what, is in its note.
        (Kind::Order, _) => true,
        // Another amount is right as long as nothing depends on it.
        (Kind::Mint | Kind::Send, Fen) => !has_ended(before, row.packet),
        (Kind::Open, Fen) => !has_ended(before, row.packet) && !delivered,
        // How much an order pays is the operator's to say.
        (Kind::Deposit | Kind::Withdraw, Fen | Req | Packet) => true,
        (Kind::Deposit | Kind::Withdraw, User) => false,
        // Another member may have done it, by another request.
        (Kind::Share | Kind::Win | Kind::Grab, User | Req) => true,
        (Kind::Open, User) => crossing && !delivered,
        (Kind::Open, Req) => !delivered,
        (Kind::Send | Kind::Told | Kind::Mint | Kind::Refund, Req) => true,
        // He may hold that one, too.
        (Kind::Told, Packet) => true,
        // A refund is its maker's, or nobody's.
        (Kind::Refund, User) => true,
        (_, Fen | User | Packet | Req) => false,
        (Kind::Deliver, Other) => false,
        // Another place in an order; another one invited; and what a kind does not name.
        (_, Other) => true,
        // Other terms, until they are needed; nothing was told of nothing.
        (_, Detail) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_valid_history_has_no_differences(seed in any::<u64>()) {
        let book = History::of(seed, 300);
        let report = book.audit();
        prop_assert!(report.ok, "{:#?}", report.differences);
        prop_assert_eq!(report.later_rows, 0);
        let in_all = report.house_fen + report.packets_fen + report.wallets_fen + report.on_its_way_fen as i128;
        prop_assert_eq!(in_all, 0);
    }

    /// Expect: it is found, or this field is one that can have another value.
    #[test]
    fn a_field_that_was_changed_is_found(seed in any::<u64>(), changes in prop::collection::vec(any::<[u32; 4]>(), 40)) {
        let book = History::of(seed, 150);
        for [row, other, field, how] in changes {
            let all: Vec<_> = (0..book.journals.len()).flat_map(|group| {
                (0..book.journals[group].len()).map(move |at| (group, at))
            }).collect();
            let (group, at) = all[row as usize % all.len()];
            let (of, from) = all[other as usize % all.len()];
            let field = FIELDS[field as usize % FIELDS.len()];
            let mut changed = book.clone();
            let others = changed.journals[of][from].0;
            let row = &mut changed.journals[group][at].0;
            change(row, field, how, &others);
            if *row == book.journals[group][at].0 || may_be_valid(&book, group, at, field) {
                continue;
            }
            let row = *row;
            prop_assert!(!changed.audit().ok, "{field:?} of {:?} became {row:?}", book.journals[group][at].0);
        }
    }

    /// Expect: a row that is there twice is found, unless it moves nothing and grants nothing.
    #[test]
    fn a_row_that_is_there_twice_is_found(seed in any::<u64>(), rows in prop::collection::vec(any::<u32>(), 20)) {
        let book = History::of(seed, 150);
        for row in rows {
            let group = row as usize % book.journals.len();
            let at = row as usize / 8 % book.journals[group].len();
            let twice = book.journals[group][at].clone();
            if matches!(twice.0.kind, Kind::Order | Kind::Invite | Kind::Told) {
                continue;
            }
            let mut changed = book.clone();
            changed.journals[group].insert(at, twice.clone());
            prop_assert!(!changed.audit().ok, "{twice:?}");
        }
    }
}
