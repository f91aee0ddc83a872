//! `memory:`: balances without a disk, gone with the process. For benches, demos and tests.

use super::{Account, Ledger, Row};

/// Totals by kind of account; wallets are kept by the SETs that own them, here as one sum.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    rows: u64,
    commits: u64,
    committed: u64,
    house_out_fen: u64,
    packets_fen: u64,
    wallets_fen: u64,
}

impl Memory {
    /// What the house has put in, and where it is: in packets, in wallets.
    pub fn fen(&self) -> (u64, u64, u64) {
        (self.house_out_fen, self.packets_fen, self.wallets_fen)
    }

    fn debit(&mut self, account: Account, fen: u64) {
        let balance = match account {
            Account::House => {
                self.house_out_fen += fen;
                return;
            }
            Account::Packet(_) => &mut self.packets_fen,
            Account::Wallet(_) => &mut self.wallets_fen,
            Account::Clearing(_) => return,
        };
        *balance = balance.checked_sub(fen).expect("an account pays out at most what it holds");
    }

    fn credit(&mut self, account: Account, fen: u64) {
        match account {
            Account::House => self.house_out_fen -= fen,
            Account::Packet(_) => self.packets_fen += fen,
            Account::Wallet(_) => self.wallets_fen += fen,
            Account::Clearing(_) => {}
        }
    }
}

impl Ledger for Memory {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn append(&mut self, row: &Row) -> u64 {
        self.debit(row.debit, row.fen);
        self.credit(row.credit, row.fen);
        self.rows += 1;
        self.rows
    }

    fn append_noted(&mut self, row: &Row, _note: &str) -> u64 {
        self.append(row)
    }

    fn flush(&mut self) {}

    fn last_row(&self) -> u64 {
        self.rows
    }

    fn durable_row(&mut self) -> u64 {
        if self.committed < self.rows {
            self.committed = self.rows;
            self.commits += 1;
        }
        self.committed
    }

    fn has_failed(&self) -> bool {
        false
    }

    fn commits(&self) -> u64 {
        self.commits
    }
}
