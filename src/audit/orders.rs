//! Orders of the house: what their notes say, and which of their packets were made.

use super::entry::Broken;
use super::rule::{Difference, Differences, Rule};
use crate::ledger::Row;
use serde_json::Value;
use std::collections::HashMap;

/// Which packets of each order a group has made: a bit for each, as they are many and dense.
#[derive(Debug, Default)]
pub struct Orders {
    terms: HashMap<u64, Terms>,
    made: HashMap<(u64, u64), Box<[u64; WORDS]>>,
    /// Of each order, the packet with the highest place, the least and the most fen, each with its row.
    extremes: HashMap<u64, Extremes>,
}

/// 64-bit words in one piece of [`Orders::made`].
const WORDS: usize = 64;

/// Packets in one piece.
const PIECE: u64 = 64 * WORDS as u64;

/// What an order's note says, as far as it can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Terms {
    total: Option<u64>,
    fen: Option<(u64, u64)>,
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
}

impl Orders {
    /// Learns what was ordered. The note's content is the orders' own affair: what cannot be read here is
    /// not checked.
    pub fn learn(&mut self, order: u64, note: &str) {
        let Ok(note) = serde_json::from_str::<Value>(note) else { return };
        let Some(what) = ["mint", "send"].into_iter().find_map(|name| note.get(name)) else { return };
        let fen = what.get("fen").and_then(|fen| match fen {
            Value::String(range) => parse_range(range),
            fen => fen.as_u64().map(|fen| (fen, fen)),
        });
        let total = what.get("total").and_then(Value::as_u64);
        self.terms.insert(order, Terms { total, fen });
    }

    /// A packet of an order was made, for the first time.
    pub fn made(&mut self, number: u64, row: &Row) -> Result<(), Broken> {
        let (order, place) = (row.req, row.other);
        let made = Made { row: number, place, fen: row.fen, packet: row.packet };
        self.extremes.entry(order).and_modify(|extremes| extremes.add(made)).or_insert(Extremes {
            last: made,
            least: made,
            most: made,
        });
        let piece = self.made.entry((order, place / PIECE)).or_insert_with(|| Box::new([0; WORDS]));
        let (word, bit) = ((place % PIECE / 64) as usize, 1 << (place % 64));
        if piece[word] & bit != 0 {
            let said = format!("packet {place} of order {order}");
            return Err((Rule::Order, said, "it was made before".into()));
        }
        piece[word] |= bit;
        Ok(())
    }

    /// Compares what was made in all groups with each other and with what was ordered.
    pub fn check<'a>(all: impl Iterator<Item = (u32, &'a Orders)> + Clone, differences: &mut Differences) {
        let mut terms: HashMap<u64, Terms> = HashMap::new();
        all.clone().for_each(|(_, orders)| terms.extend(&orders.terms));
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
                if let Some(terms) = terms.get(order) {
                    extremes.check(group, *order, *terms, differences);
                }
            }
        }
    }
}

/// `MIN..MAX` in fen, both included.
fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    Some((min.parse().ok()?, max.parse().ok()?))
}

impl Extremes {
    fn add(&mut self, made: Made) {
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

    fn check(&self, group: u32, order: u64, terms: Terms, differences: &mut Differences) {
        if let Some(total) = terms.total.filter(|total| self.last.place >= *total) {
            let said = format!("packet {} of order {order}", self.last.place);
            let found = format!("{total} were ordered, and they are counted from 0");
            differences.push(differ(group, Some(self.last), said, found));
        }
        let Some((min, max)) = terms.fen else { return };
        let outside = [self.least, self.most].into_iter().find(|made| !(min..=max).contains(&made.fen));
        if let Some(made) = outside {
            let said = format!("{} fen in a packet of order {order}", made.fen);
            differences.push(differ(group, Some(made), said, format!("{min} to {max} were ordered")));
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
