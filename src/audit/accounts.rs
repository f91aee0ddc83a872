//! Balances of one group.

use super::packets::{At, Packets};
use super::rule::Rule;
use super::{entry::Broken, entry::FEN_MAX};
use crate::ledger::{Account, Row};
use std::collections::HashMap;

/// What house, wallets and clearing of one group hold. Packets keep their own balance.
#[derive(Debug, Default)]
pub struct Accounts {
    /// The house, in fen: below 0 by what the operator has put in.
    pub house_fen: i128,
    /// Packets that were never made, in fen: 0 unless a rule is broken.
    stray_fen: i128,
    /// What is owed to users of other groups, less what has come from them, in fen.
    pub clearing_fen: i128,
    wallets: HashMap<u64, i64>,
}

impl Accounts {
    /// Moves a row's money, also where a rule is broken by it. `at` is where the row's packet is.
    pub fn apply(&mut self, row: &Row, packets: &mut Packets, at: Option<At>) -> Result<(), Broken> {
        if row.fen == 0 {
            return Ok(());
        }
        let fen = i64::try_from(row.fen.min(FEN_MAX)).expect("a share of 2^56 fen fits");
        let left = self.add(row.debit, -fen, row.packet, packets, at);
        self.add(row.credit, fen, row.packet, packets, at);
        let keeps = matches!(row.debit, Account::Packet(_) | Account::Wallet(_));
        if keeps && left < 0 {
            let held = left.saturating_add(fen);
            return Err((Rule::Balance, format!("pays out {fen} fen"), format!("it holds {held}")));
        }
        Ok(())
    }

    /// Adds to an account; what it holds then, where that has a floor.
    fn add(&mut self, to: Account, fen: i64, known: u64, packets: &mut Packets, at: Option<At>) -> i64 {
        match to {
            Account::House => self.house_fen += i128::from(fen),
            Account::Clearing(_) => self.clearing_fen += i128::from(fen),
            Account::Wallet(user) => {
                let balance = self.wallets.entry(user).or_default();
                *balance = balance.saturating_add(fen);
                return *balance;
            }
            Account::Packet(packet) => {
                let at = if packet == known { at } else { packets.find(packet) };
                let Some(at) = at else {
                    self.stray_fen += i128::from(fen);
                    return 0;
                };
                let packet = packets.get_mut(at);
                packet.left_fen = packet.left_fen.saturating_add(fen);
                return packet.left_fen;
            }
        }
        0
    }

    /// What all wallets hold, in fen, and how many hold something.
    pub fn wallets(&self) -> (i128, u64) {
        let fen = self.wallets.values().map(|fen| i128::from(*fen)).sum();
        (fen, self.wallets.values().filter(|fen| **fen > 0).count() as u64)
    }

    /// What all packets hold, in fen.
    pub fn packets_fen(&self, packets: &Packets) -> i128 {
        self.stray_fen + packets.iter().map(|packet| i128::from(packet.left_fen)).sum::<i128>()
    }
}
