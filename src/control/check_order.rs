//! Whether an order can be carried out at all.

use super::settings::Totals;
use crate::set::Capacity;
use crate::set::book::{ANSWER_FEN_MAX, Order, SHARES_MAX, What};
use redpkt_proto::steer::Layout;

/// What is wrong with an order: which of its fields, what it says, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value}: {why}")]
pub struct OrderError {
    /// The field's name.
    pub field: &'static str,
    /// What it says.
    pub value: String,
    /// What is allowed.
    pub why: String,
}

/// Checks an order for a server with these tables, whatever was ordered before.
pub fn check_order(order: &Order, totals: &Totals, layout: Layout) -> Result<(), OrderError> {
    let wrong =
        |field, value: &dyn ToString, why: String| OrderError { field, value: value.to_string(), why };
    let Order { rate_per_s, total, fen_min, fen_max, shares, budget_fen, .. } = *order;
    if rate_per_s == 0 {
        return Err(wrong("rate", &rate_per_s, "at least 1 packet a second".into()));
    }
    if total == 0 {
        return Err(wrong("total", &total, "at least 1 packet".into()));
    }
    if !(1..=SHARES_MAX).contains(&shares) {
        return Err(wrong("shares", &shares, format!("1 to {SHARES_MAX} are allowed")));
    }
    if fen_min < u64::from(shares) || fen_min > fen_max || fen_max > ANSWER_FEN_MAX {
        let range = format!("{fen_min}..{fen_max}");
        let why = format!(
            "MIN..MAX with {shares} <= MIN <= MAX <= {ANSWER_FEN_MAX} is allowed: each share holds at least 1 fen"
        );
        return Err(wrong("fen", &range, why));
    }
    if budget_fen != 0 && budget_fen / u64::from(layout.groups) < fen_min {
        let why = format!(
            "shared by {} groups it makes no packet of {fen_min} fen; allow at least {} fen, or none for no limit",
            layout.groups,
            fen_min.saturating_mul(layout.groups.into())
        );
        return Err(wrong("budget", &budget_fen, why));
    }
    if let What::Send { recipients } = order.what {
        let Totals { sessions, accounts, packets, members } = *totals;
        let most = Capacity::of_totals(layout.sets, sessions, accounts, packets, members).members;
        if recipients == 0 || recipients as usize > most {
            let why = format!("1 to {most} are allowed, as many as a SET keeps: more with --members");
            return Err(wrong("recipients", &recipients, why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_made_is_named() {
        let totals = Totals { sessions: 100, accounts: 100, packets: 100, members: 100 };
        let layout = Layout { sets: 4, groups: 2, workers: 1 };
        let order = Order::mint("a", 1, 1, (3, 8));
        let field = |order: Order| check_order(&order, &totals, layout).err().map(|error| error.field);
        assert_eq!(field(order.clone()), None);
        let base = || order.clone();
        for (order, wrong) in [
            (Order { rate_per_s: 0, ..base() }, "rate"),
            (Order { total: 0, ..base() }, "total"),
            (Order { shares: 0, ..base() }, "shares"),
            (Order { shares: 501, ..base() }, "shares"),
            (Order { shares: 4, ..base() }, "fen"),
            (Order { fen_max: 2, ..base() }, "fen"),
            (Order { fen_max: ANSWER_FEN_MAX + 1, ..base() }, "fen"),
            (Order { budget_fen: 5, ..base() }, "budget"),
            (Order { what: What::Send { recipients: 0 }, ..base() }, "recipients"),
            (Order { what: What::Send { recipients: 1_000_000 }, ..base() }, "recipients"),
        ] {
            assert_eq!(field(order), Some(wrong));
        }
        assert_eq!(field(Order { budget_fen: 6, what: What::Send { recipients: 9 }, ..base() }), None);
    }
}
