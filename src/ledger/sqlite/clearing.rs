//! What a journal owes to other groups, and what has come into it from them.

use super::columns::{NAMES, row_of};
use super::reader::values_of;
use super::{LedgerError, Reader};
use crate::ledger::{Account, Kind, Row};

impl Reader {
    /// The rows after row `after` by which money has left for users of group `to`, in order, with their numbers. They
    /// are as they stand: [`read`](Self::read) proves them.
    pub fn owed(&self, to: u32, after: u64) -> Result<Vec<(u64, Row)>, LedgerError> {
        let cannot = LedgerError::sqlite(self.file(), "read what it owes");
        let (open, clearing) = (Kind::Open as u8, Account::Clearing(to).code());
        let select = format!(
            "SELECT {}, note FROM journal WHERE row > ?1 AND kind = {open} AND credit = {clearing} AND credit_id = ?2 ORDER BY row",
            NAMES.join(", ")
        );
        let mut statement = self.connection().prepare(&select).map_err(&cannot)?;
        let mut found = statement.query((after.cast_signed(), to)).map_err(&cannot)?;
        let mut owed = Vec::new();
        while let Some(record) = found.next().map_err(&cannot)? {
            let row = values_of(record).and_then(|(columns, _)| Ok((columns[0], row_of(&columns)?)));
            let (number, row) = row.map_err(|why| LedgerError::damaged(self.file(), why))?;
            owed.push((number.cast_unsigned(), row));
        }
        Ok(owed)
    }

    /// The last row of group `from`'s journal whose money has come into this one; 0 for none.
    pub fn delivered(&self, from: u32) -> Result<u64, LedgerError> {
        let cannot = LedgerError::sqlite(self.file(), "read what was delivered");
        let (deliver, clearing) = (Kind::Deliver as u8, Account::Clearing(from).code());
        let select = format!(
            "SELECT coalesce(max(other), 0) FROM journal WHERE kind = {deliver} AND debit = {clearing} AND debit_id = ?1"
        );
        self.connection().query_row(&select, [from], |row| row.get(0)).map(i64::cast_unsigned).map_err(cannot)
    }
}
