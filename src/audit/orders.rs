//! Orders of the house: what their notes say, and which of their packets were made.

use super::entry::Broken;
use super::rule::{Difference, Differences, Rule};
use crate::ledger::{Row, Terms};
use serde::Deserialize;
use std::collections::HashMap;

/// Which packets of each order a group has made: a bit for each, as they are many and dense.
#[derive(Debug, Default)]
pub struct Orders {
    ordered: HashMap<u64, Ordered>,
    made: HashMap<(u64, u64), Box<[u64; WORDS]>>,
    /// Of each order, the packet with the highest place, the least and the most fen, each with its row.
    extremes: HashMap<u64, Extremes>,
}

/// 64-bit words in one piece of [`Orders::made`].
const WORDS: usize = 64;

/// Packets in one piece.
const PIECE: u64 = 64 * WORDS as u64;

/// What an order's note says, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
struct Ordered {
    total: u64,
    fen_min: u64,
    fen_max: u64,
    shares: u16,
    equal: bool,
    /// 0 for no limit.
    budget_fen: u64,
}

/// The note of an order that was taken.
#[derive(Deserialize)]
struct Note {
    taken: Ordered,
}

/// A packet of an order, and the row that made it.
#[derive(Clone, Copy, Debug)]
struct Made {
    row: u64,
    place: u64,
    fen: u64,
    packet: u64,
}

#[derive(Clone, Copy, Debug)]
struct Extremes {
    last: Made,
    least: Made,
    most: Made,
    sum_fen: u128,
}

impl Orders {
    /// Learns what was ordered. A note of another form is not about that, and is not checked.
    pub fn learn(&mut self, order: u64, note: &str) {
        if let Ok(note) = serde_json::from_str::<Note>(note) {
            self.ordered.insert(order, note.taken);
        }
    }

    /// A packet of an order was made, for the first time.
    pub fn made(&mut self, number: u64, row: &Row) -> Result<(), Broken> {
        let (order, place) = (row.req, row.other);
        let made = Made { row: number, place, fen: row.fen, packet: row.packet };
        let none_yet = Extremes { last: made, least: made, most: made, sum_fen: 0 };
        self.extremes.entry(order).or_insert(none_yet).add(made);
        let piece = self.made.entry((order, place / PIECE)).or_insert_with(|| Box::new([0; WORDS]));
        let (word, bit) = ((place % PIECE / 64) as usize, 1 << (place % 64));
        if piece[word] & bit != 0 {
            let said = format!("packet {place} of order {order}");
            return Err((Rule::Order, said, "it was made before".into()));
        }
        piece[word] |= bit;
        let Terms { shares, equal, .. } = Terms::from_detail(row.detail);
        match self.ordered.get(&order) {
            Some(ordered) if (ordered.shares, ordered.equal) != (shares, equal) => {
                let found = format!("{} were ordered, equal: {}", ordered.shares, ordered.equal);
                Err((Rule::Order, format!("{shares} shares, equal: {equal}"), found))
            }
            _ => Ok(()),
        }
    }

    /// Compares what was made in all groups with each other and with what was ordered.
    pub fn check<'a>(all: impl Iterator<Item = (u32, &'a Orders)> + Clone, differences: &mut Differences) {
        let mut ordered: HashMap<u64, Ordered> = HashMap::new();
        all.clone().for_each(|(_, orders)| ordered.extend(&orders.ordered));
        let mut spent: HashMap<u64, u128> = HashMap::new();
        let mut made: HashMap<(u64, u64), [u64; WORDS]> = HashMap::new();
        for (group, orders) in all {
            for (key @ (order, piece), bits) in &orders.made {
                let before = made.entry(*key).or_insert([0; WORDS]);
                for (word, (before, bits)) in before.iter_mut().zip(bits.iter()).enumerate() {
                    if *before & bits != 0 {
                        let bit = u64::from((*before & bits).trailing_zeros());
                        let place = piece * PIECE + word as u64 * 64 + bit;
                        let said = format!("packet {place} of order {order}");
                        differences.push(differ(group, None, said, "another group has made it, too".into()));
                    }
                    *before |= bits;
                }
            }
            for (order, extremes) in &orders.extremes {
                *spent.entry(*order).or_default() += extremes.sum_fen;
                if let Some(ordered) = ordered.get(order) {
                    extremes.check(group, *order, *ordered, differences);
                }
            }
        }
        for (order, Ordered { budget_fen, .. }) in ordered {
            let spent = spent.get(&order).copied().unwrap_or(0);
            if budget_fen > 0 && spent > budget_fen.into() {
                let said = format!("{spent} fen in the packets of order {order}");
                let found = format!("its budget is {budget_fen}");
                let (rule, group, row, packet, user) = (Rule::Order, None, None, None, None);
                differences.push(Difference { rule, group, row, packet, user, said, found });
            }
        }
    }
}

impl Extremes {
    fn add(&mut self, made: Made) {
        self.sum_fen += u128::from(made.fen);
        if made.place > self.last.place {
            self.last = made;
        }
        if made.fen < self.least.fen {
            self.least = made;
        }
        if made.fen > self.most.fen {
            self.most = made;
        }
    }

    fn check(&self, group: u32, order: u64, ordered: Ordered, differences: &mut Differences) {
        let Ordered { total, fen_min, fen_max, .. } = ordered;
        if self.last.place >= total {
            let said = format!("packet {} of order {order}", self.last.place);
            let found = format!("{total} were ordered, and they are counted from 0");
            differences.push(differ(group, Some(self.last), said, found));
        }
        let outside =
            [self.least, self.most].into_iter().find(|made| !(fen_min..=fen_max).contains(&made.fen));
        if let Some(made) = outside {
            let said = format!("{} fen in a packet of order {order}", made.fen);
            differences.push(differ(group, Some(made), said, format!("{fen_min} to {fen_max} were ordered")));
        }
    }
}

fn differ(group: u32, made: Option<Made>, said: String, found: String) -> Difference {
    Difference {
        rule: Rule::Order,
        group: Some(group),
        row: made.map(|made| made.row),
        packet: made.map(|made| made.packet),
        user: None,
        said,
        found,
    }
}
