//! A row as the integers of its table.
//!
//! SQLite's integers are signed: an unsigned number is stored as the signed one with the same 64 bits.

use crate::ledger::{Account, Kind, Row};

/// The integer columns of `journal`, in their order.
pub const NAMES: [&str; 13] = [
    "row",
    "wall_ms",
    "kind",
    "debit",
    "debit_id",
    "credit",
    "credit_id",
    "fen",
    "user",
    "req",
    "packet",
    "other",
    "detail",
];

/// A row as the values of these columns.
pub type Columns = [i64; NAMES.len()];

/// The columns of row `number`.
pub fn columns_of(number: u64, row: &Row) -> Columns {
    [
        number,
        row.wall_ms,
        row.kind as u64,
        row.debit.code().into(),
        row.debit.id(),
        row.credit.code().into(),
        row.credit.id(),
        row.fen,
        row.user,
        row.req,
        row.packet,
        row.other,
        row.detail,
    ]
    .map(u64::cast_signed)
}

/// The row of these columns; what is wrong with them if there is none.
pub fn row_of(columns: &Columns) -> Result<Row, String> {
    let [_, wall_ms, kind, debit, debit_id, credit, credit_id, fen, user, req, packet, other, detail] =
        *columns;
    let account = |what, code, id: i64| {
        u8::try_from(code)
            .ok()
            .and_then(|code| Account::from_parts(code, id.cast_unsigned()))
            .ok_or_else(|| format!("{what} {code} with id {} is no account", id.cast_unsigned()))
    };
    Ok(Row {
        kind: u8::try_from(kind)
            .ok()
            .and_then(Kind::from_number)
            .ok_or_else(|| format!("{kind} is no kind of row"))?,
        debit: account("debit", debit, debit_id)?,
        credit: account("credit", credit, credit_id)?,
        fen: u64::try_from(fen).map_err(|_| format!("{fen} fen are below zero"))?,
        user: user.cast_unsigned(),
        req: req.cast_unsigned(),
        packet: packet.cast_unsigned(),
        wall_ms: u64::try_from(wall_ms).map_err(|_| format!("its time {wall_ms} is below zero"))?,
        other: other.cast_unsigned(),
        detail: detail.cast_unsigned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Expect: a row comes back from its columns whatever 64 bits its numbers have.
        #[test]
        fn rows_and_columns_are_the_same(row in super::super::tests::any_row(), number in 1..u64::MAX >> 1) {
            let columns = columns_of(number, &row);
            prop_assert_eq!((columns[0].cast_unsigned(), row_of(&columns)), (number, Ok(row)));
        }
    }

    #[test]
    fn columns_that_are_no_row_say_which() {
        let row = super::super::tests::mint(1, 1);
        for (at, value, why) in [
            (1, -1, "its time -1 is below zero"),
            (2, 0, "0 is no kind of row"),
            (2, 256 + 8, "264 is no kind of row"),
            (3, 4, "debit 4 with id 0 is no account"),
            (5, -1, "credit -1 with id 1 is no account"),
            (7, -5, "-5 fen are below zero"),
        ] {
            let mut columns = columns_of(1, &row);
            columns[at] = value;
            assert_eq!(row_of(&columns), Err(why.to_owned()));
        }
    }
}
