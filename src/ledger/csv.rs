//! Rows as comma-separated values (RFC 4180), with names in place of numbers.

use super::{Account, Row};
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

/// The first line.
pub const HEAD: &str = "group,row,time,kind,debit,credit,fen,user,req,packet,other,detail,note";

/// Writes a row of this group's journal as a line. Accounts are a word and a number, such as `wallet 42`; the
/// time is UTC.
pub fn write_row(
    out: &mut impl Write,
    group: u32,
    number: u64,
    row: &Row,
    note: Option<&str>,
) -> io::Result<()> {
    let time = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(row.wall_ms.min(MS_MAX)));
    let Row { fen, user, req, packet, other, detail, .. } = row;
    write!(out, "{group},{number},{time},{},{},{},", row.kind.name(), Name(row.debit), Name(row.credit))?;
    write!(out, "{fen},{user},{req},{packet},{other},{detail},")?;
    if let Some(note) = note {
        write!(out, "\"{}\"", note.replace('"', "\"\""))?;
    }
    writeln!(out)
}

/// The last ms that can be written as a time: of the year 9999.
const MS_MAX: u64 = 253_402_300_799_999;

struct Name(Account);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Account::House => write!(f, "house"),
            Account::Packet(id) => write!(f, "packet {id}"),
            Account::Wallet(user) => write!(f, "wallet {user}"),
            Account::Clearing(group) => write!(f, "clearing {group}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Kind;

    #[test]
    fn a_row_is_a_line_and_a_note_is_quoted() {
        let row = Row {
            kind: Kind::Deposit,
            debit: Account::House,
            credit: Account::Wallet(u64::MAX),
            fen: 5,
            user: u64::MAX,
            req: 1,
            packet: 2,
            wall_ms: 1_800_000_000_001,
            other: 3,
            detail: 4,
        };
        let mut text = Vec::new();
        write_row(&mut text, 1, 9, &row, Some("a,\"b\"")).unwrap();
        write_row(&mut text, 1, 10, &Row { wall_ms: u64::MAX, ..row }, None).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let user = u64::MAX;
        assert_eq!(
            lines[0],
            format!(
                "1,9,2027-01-15T08:00:00.001Z,deposit,house,wallet {user},5,{user},1,2,3,4,\"a,\"\"b\"\"\""
            )
        );
        assert!(lines[1].starts_with("1,10,9999-12-31T23:59:59.999Z,") && lines[1].ends_with(",4,"));
        assert_eq!(HEAD.split(',').count(), lines[1].split(',').count());
    }
}
