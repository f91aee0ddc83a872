//! An order of packets of the house, given when a run begins: at its end all of them must have been found by all
//! who were invited, and opened to the last fen.

use super::outcomes::Invites;
use crate::http;
use serde::Serialize;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long the order's figures may take to be complete when nobody is invited any more.
const SETTLES_WITHIN: Duration = Duration::from_secs(3);

/// What became of the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderFound {
    /// Its id.
    pub id: String,
    /// Packets that were ordered.
    pub packets_ordered: u64,
    /// Packets that the server has made.
    pub packets_made: u64,
    /// What they hold, in fen.
    pub fen_made: u64,
    /// Users that each is for.
    pub recipients: u64,
    /// Shares of each.
    pub shares: u64,
}

/// An order on its way.
pub struct Ordered {
    url: String,
    /// The server's report on it, as it was taken.
    taken: Value,
}

impl Ordered {
    /// Gives the order `POST /send?query`. The error is one line.
    pub fn give(url: &str, query: &str) -> Result<Ordered, String> {
        let taken = http::order(url, &format!("send?{query}"))?;
        match taken["recipients"].as_u64() {
            Some(_) => Ok(Ordered { url: url.to_owned(), taken }),
            None => {
                Err(format!("{url}/send?{query}: the answer is no report on an order of packets for users"))
            }
        }
    }

    /// What has become of it by now, once all of it is made, or after a while.
    pub fn found(&self) -> Result<OrderFound, String> {
        let begun = Instant::now();
        loop {
            let orders = http::get(&self.url, "stats.json")?["orders"].take();
            let is_it = |order: &&Value| order["id"] == self.taken["id"];
            let order = orders.as_array().and_then(|orders| orders.iter().find(is_it));
            let order = order.ok_or(format!("{}: the order is not in /stats.json any more", self.url))?;
            let found = OrderFound::of(order);
            if found.packets_made >= found.packets_ordered || begun.elapsed() > SETTLES_WITHIN {
                return Ok(found);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl OrderFound {
    fn of(report: &Value) -> OrderFound {
        let number = |name: &str| report[name].as_u64().unwrap_or(0);
        OrderFound {
            id: report["id"].as_str().unwrap_or_default().to_owned(),
            packets_ordered: number("total"),
            packets_made: number("minted"),
            fen_made: number("minted_fen"),
            recipients: number("recipients"),
            shares: number("shares"),
        }
    }

    /// What is missing, where everybody opens what he is invited to and nobody else invites.
    pub fn problems(&self, invites: &Invites) -> Vec<String> {
        let OrderFound { id, packets_ordered, packets_made, fen_made, recipients, shares } = self;
        let mut problems = Vec::new();
        let mut expect = |what: &str, wanted: u64, got: u64| {
            if wanted != got {
                problems.push(format!("order {id}: {what}: {got} of {wanted}"));
            }
        };
        expect("packets made", *packets_ordered, *packets_made);
        expect("invitations found", packets_made * recipients, invites.received);
        expect("shares opened", packets_made * recipients.min(shares), invites.opened);
        // What is left of packets with more shares than recipients goes back when their time is over.
        if shares <= recipients {
            expect("fen opened", *fen_made, invites.fen);
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: what is missing is named, with how much there should be.
    #[test]
    fn an_order_is_found_whole_or_what_is_missing_is_said() {
        let report = serde_json::json!({
            "id": "new-year", "total": 10, "minted": 10, "minted_fen": 500, "recipients": 3, "shares": 3
        });
        let order = OrderFound::of(&report);
        let whole = Invites { received: 30, opened: 30, fen: 500, empty: 0 };
        assert!(order.problems(&whole).is_empty());
        let problems = order.problems(&Invites { received: 29, opened: 28, fen: 480, empty: 1 });
        assert_eq!(
            problems,
            [
                "order new-year: invitations found: 29 of 30",
                "order new-year: shares opened: 28 of 30",
                "order new-year: fen opened: 480 of 500"
            ]
        );
        let fewer = OrderFound { shares: 2, ..order };
        assert!(fewer.problems(&Invites { opened: 20, empty: 10, ..whole }).is_empty());
        assert_eq!(OrderFound { packets_made: 9, ..fewer }.problems(&whole).len(), 3);
    }
}
