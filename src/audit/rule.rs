//! The rules on money, each with a name that scripts may rely on.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

macro_rules! rules {
    ($($rule:ident $name:literal $says:literal;)*) => {
        /// A rule on money.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $says] $rule,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Rule] = &[$(Rule::$rule),*];

            /// Its name in reports.
            pub fn name(self) -> &'static str {
                match self { $(Rule::$rule => $name,)* }
            }

            /// What it says.
            pub fn says(self) -> &'static str {
                match self { $(Rule::$rule => $says,)* }
            }
        }
    };
}

rules! {
    Chain "chain" "A journal's rows are all there, in order, and none was changed: the hashes of its commits hold.";
    Time "time" "The time of a row is never before that of the row above it.";
    Entry "entry" "A row is the double entry that its kind demands: these two accounts, and so much money or none.";
    Place "place" "A row stands in the journal of the group that its packet and its user belong to.";
    Balance "balance" "No wallet and no packet ever pays out more than it holds.";
    Sum "sum" "In each group, what house, packets, wallets and clearing hold is 0 in all.";
    Made "made" "A packet is made once, under a number higher than all before it in its SET, and before anything else happens to it.";
    Terms "terms" "A packet has 1 to 500 shares and at least 1 fen for each.";
    Won "won" "A packet is won once, and only a minted one.";
    Member "member" "Only who won a packet, or was invited to it, may share, grab or open; only its sender invites to all of it.";
    Once "once" "A user grabs and opens a packet once at the most.";
    Share "share" "A packet gives as many shares as it has, and a share that was grabbed or won stays that user's.";
    Split "split" "A share's amount is one that the split rule can give at its turn, and the last share takes the rest.";
    Expiry "expiry" "A share is claimed and taken before the packet's time is over, and what is left goes back after it.";
    Refund "refund" "What is left of a packet goes back to who made it, once and all of it, and nothing follows.";
    Request "request" "A request is executed once at the most.";
    Told "told" "What was told of an earlier decision is what was decided.";
    Clearing "clearing" "Money between two groups comes in once, as it went out, in that order and without a gap.";
    Order "order" "A packet of an order is made once, is one of so many as were ordered, is cut and filled as was ordered, and all together stay within the budget.";
    Paid "paid" "A deposit or a withdrawal names its order, and each order is paid once.";
    Tally "tally" "What clients were told is what the ledger says.";
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Where a rule does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which rule.
    pub rule: Rule,
    /// In which group's journal.
    pub group: Option<u32>,
    /// In which row of it.
    pub row: Option<u64>,
    /// Of which packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet: Option<u64>,
    /// Of which user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u64>,
    /// What the row says, or the client was told.
    pub said: String,
    /// What the audit found instead.
    pub found: String,
}

/// Differences of which the first are kept and all are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    first: Vec<Difference>,
    by_rule: BTreeMap<Rule, u64>,
}

impl Differences {
    /// How many are kept.
    pub const KEPT: usize = 20;

    /// Counts one, and keeps it if there is room.
    pub fn push(&mut self, difference: Difference) {
        *self.by_rule.entry(difference.rule).or_default() += 1;
        if self.first.len() < Differences::KEPT {
            self.first.push(difference);
        }
    }

    /// Adds those of another.
    pub fn append(&mut self, other: Differences) {
        other.by_rule.into_iter().for_each(|(rule, count)| *self.by_rule.entry(rule).or_default() += count);
        let room = Differences::KEPT - self.first.len();
        self.first.extend(other.first.into_iter().take(room));
    }

    /// The first ones.
    pub fn first(&self) -> &[Difference] {
        &self.first
    }

    /// How many for each rule that does not hold.
    pub fn by_rule(&self) -> &BTreeMap<Rule, u64> {
        &self.by_rule
    }

    /// How many in all.
    pub fn count(&self) -> u64 {
        self.by_rule.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_are_kept() {
        let of = |rule, row| Difference {
            rule,
            group: Some(0),
            row: Some(row),
            packet: None,
            user: None,
            said: String::new(),
            found: String::new(),
        };
        let (mut all, mut more) = (Differences::default(), Differences::default());
        (0..15).for_each(|row| all.push(of(Rule::Once, row)));
        (15..40).for_each(|row| more.push(of(Rule::Split, row)));
        all.append(more);
        let rows: Vec<_> = all.first().iter().filter_map(|difference| difference.row).collect();
        assert_eq!(rows, (0..20).collect::<Vec<_>>());
        assert_eq!((all.count(), &all.by_rule()[&Rule::Split]), (40, &25));
    }

    /// Expect: docs/LEDGER.md lists each rule, in these words.
    #[test]
    fn the_rules_are_documented() {
        let page = include_str!("../../docs/LEDGER.md");
        for rule in Rule::ALL {
            assert!(page.contains(&format!("| `{}` | {} |", rule.name(), rule.says())), "{rule:?}");
        }
    }

    #[test]
    fn names_are_one_to_one() {
        let mut names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rule::ALL.len());
    }
}
