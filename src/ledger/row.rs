//! One double entry, and the words it is made of.

/// An account of the double entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// The operator's: where minted money comes from and where what nobody took goes back to. Below zero by
    /// what the operator has put in.
    House,
    /// A packet, by its id: what is left in it.
    Packet(u64),
    /// A user's wallet.
    Wallet(u64),
    /// What this group owes to the users of another group, or has had from it: money between two journals.
    Clearing(u32),
}

impl Account {
    /// Which sort of account: 0 house, 1 packet, 2 wallet, 3 clearing.
    pub fn code(self) -> u8 {
        match self {
            Account::House => 0,
            Account::Packet(_) => 1,
            Account::Wallet(_) => 2,
            Account::Clearing(_) => 3,
        }
    }

    /// Which of its sort: the packet, user or group; 0 for the house.
    pub fn id(self) -> u64 {
        match self {
            Account::House => 0,
            Account::Packet(id) | Account::Wallet(id) => id,
            Account::Clearing(group) => group.into(),
        }
    }

    /// The account with this code and id, if there is such a code.
    pub fn from_parts(code: u8, id: u64) -> Option<Account> {
        Some(match code {
            0 if id == 0 => Account::House,
            1 => Account::Packet(id),
            2 => Account::Wallet(id),
            3 => Account::Clearing(u32::try_from(id).ok()?),
            _ => return None,
        })
    }
}

/// What a row records. In those marked ○ nothing moves: both accounts are the same and `fen` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// ○ An order was taken or changed; the note says which and how. `req`: the order's number.
    Order = 1,
    /// A packet was made for shaking: house → packet. `req`: the order's number, `other`: which packet of
    /// the order, from 0. `detail`: its [`Terms`].
    Mint = 2,
    /// A packet was made for others: sender's wallet → packet, or house → packet. `user`: the sender, 0 for the
    /// house. `req`: of the sender, or the order's number. `other`: a fingerprint of what was asked for, or
    /// which packet of the order. `detail`: its [`Terms`].
    Send = 3,
    /// ○ `other` was invited to the packet when it was made. `user` and `req` as in its [`Kind::Send`].
    Invite = 4,
    /// ○ `user` has invited `other` to the packet.
    Share = 5,
    /// ○ `user` has won the packet by a shake.
    Win = 6,
    /// ○ `user` has claimed a share of the packet.
    Grab = 7,
    /// `user` has taken a share: packet → wallet, or packet → clearing where the user is of another group.
    Open = 8,
    /// What another group owed has come: clearing → wallet. `other`: number of the [`Kind::Open`] row in that
    /// group's journal.
    Deliver = 9,
    /// ○ `user` was told about the packet what another group, or an earlier request, had decided. `detail`: the
    /// answer's op in bits 56 to 63 and its fen below. `other`: a fingerprint of what was asked for.
    Told = 10,
    /// The packet's time was over: packet → sender's wallet, or packet → house.
    Refund = 11,
    /// The operator paid in: house → wallet. The note is the order's id.
    Deposit = 12,
    /// The operator paid out: wallet → house. The note is the order's id.
    Withdraw = 13,
}

impl Kind {
    /// Every kind, in the order of their numbers, which begin with 1.
    pub const ALL: [Kind; 13] = [
        Kind::Order,
        Kind::Mint,
        Kind::Send,
        Kind::Invite,
        Kind::Share,
        Kind::Win,
        Kind::Grab,
        Kind::Open,
        Kind::Deliver,
        Kind::Told,
        Kind::Refund,
        Kind::Deposit,
        Kind::Withdraw,
    ];

    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Its name in the journal's views.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Order => "order",
            Kind::Mint => "mint",
            Kind::Send => "send",
            Kind::Invite => "invite",
            Kind::Share => "share",
            Kind::Win => "win",
            Kind::Grab => "grab",
            Kind::Open => "open",
            Kind::Deliver => "deliver",
            Kind::Told => "told",
            Kind::Refund => "refund",
            Kind::Deposit => "deposit",
            Kind::Withdraw => "withdraw",
        }
    }
}

/// One double entry: `fen` left `debit` and are in `credit`. Fields that a kind does not name are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it records.
    pub kind: Kind,
    /// What the money leaves.
    pub debit: Account,
    /// Where it goes.
    pub credit: Account,
    /// How much, in fen.
    pub fen: u64,
    /// Whose request this is; 0 for the house.
    pub user: u64,
    /// Which request of the user; or which order of the house.
    pub req: u64,
    /// Which packet.
    pub packet: u64,
    /// When, in ms since 1970.
    pub wall_ms: u64,
    /// By kind: another user, a row of another journal, a place in an order, a fingerprint.
    pub other: u64,
    /// By kind: the terms of a packet, the answer that was told.
    pub detail: u64,
}

/// How a packet is cut and until when: what [`Row::detail`] of a mint and a send says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Into how many shares, 1 to 500.
    pub shares: u16,
    /// Whether they are equal; else each is drawn when it is opened.
    pub equal: bool,
    /// Seconds since 1970 when its time is over.
    pub expiry_s: u32,
}

impl Terms {
    /// In one number: `expiry_s` in the high half, bit 31 for equal shares, and the number of shares.
    pub fn to_detail(self) -> u64 {
        u64::from(self.expiry_s) << 32 | u64::from(self.equal) << 31 | u64::from(self.shares)
    }

    /// From one number.
    pub fn from_detail(detail: u64) -> Terms {
        Terms { shares: detail as u16, equal: detail >> 31 & 1 == 1, expiry_s: (detail >> 32) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_kinds_and_terms_are_what_they_are_written_as() {
        for account in
            [Account::House, Account::Packet(1 << 63), Account::Wallet(u64::MAX), Account::Clearing(7)]
        {
            assert_eq!(Account::from_parts(account.code(), account.id()), Some(account));
        }
        assert_eq!((Account::from_parts(0, 1), Account::from_parts(4, 0)), (None, None));
        assert_eq!(Account::from_parts(3, 1 << 32), None);
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, Kind::from_number(at as u8 + 1)), (at + 1, Some(kind)));
            assert_eq!(Kind::ALL.iter().filter(|other| other.name() == kind.name()).count(), 1);
        }
        assert_eq!((Kind::from_number(0), Kind::from_number(14)), (None, None));
        let terms = Terms { shares: 500, equal: true, expiry_s: u32::MAX };
        assert_eq!(Terms::from_detail(terms.to_detail()), terms);
    }
}
