//! What the server and the client hosts have counted at one moment, as they tell it.

use crate::http;
use serde_json::Value;
use std::collections::BTreeMap;

/// Totals of the server.
#[derive(Clone, Debug, Default)]
pub struct ServerTotals {
    /// When, in ms since 1970, by its clock.
    pub wall_ms: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Shakes answered.
    pub shakes: u64,
    /// Of these, those that won.
    pub wins: u64,
    /// Opens that took money.
    pub opens: u64,
    /// What they took, in fen.
    pub fen: u64,
    /// Orders by id.
    pub orders: BTreeMap<String, OrderTotals>,
}

/// How far an order is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderTotals {
    /// Packets made.
    pub made: u64,
    /// What they hold, in fen.
    pub fen: u64,
    /// Packets that were due and could not be made.
    pub passed_by: u64,
    /// Whether there will be no more.
    pub is_done: bool,
}

/// Totals of a client host.
#[derive(Clone, Debug, Default)]
pub struct ClientTotals {
    /// When, in ms since 1970, by its clock.
    pub wall_ms: u64,
    /// `joining`, `running` …
    pub phase: String,
    /// Users of this host.
    pub users: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Shakes answered.
    pub shakes: u64,
    /// Of these, those that won.
    pub wins: u64,
    /// Opens that took money.
    pub opens: u64,
    /// What they took, in fen.
    pub fen: u64,
    /// Requests without an answer at their deadline.
    pub timeouts: u64,
    /// Sessions that were renewed.
    pub rejoins: u64,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// The server's.
    pub server: ServerTotals,
    /// Each client host's.
    pub clients: Vec<ClientTotals>,
}

impl Moment {
    /// Asks all of them at once; the error is one line.
    pub fn read(server: &str, clients: &[String]) -> Result<Moment, String> {
        std::thread::scope(|scope| {
            let ask = |url: &str| {
                let url = url.to_owned();
                scope.spawn(move || http::get(&url, "stats.json"))
            };
            let (server, clients): (_, Vec<_>) = (ask(server), clients.iter().map(|url| ask(url)).collect());
            let read = |asked: std::thread::ScopedJoinHandle<'_, Result<Value, String>>| {
                asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            let server = ServerTotals::of(&read(server)?);
            let clients = clients.into_iter().map(|asked| read(asked).map(|stats| ClientTotals::of(&stats)));
            Ok(Moment { server, clients: clients.collect::<Result<_, _>>()? })
        })
    }

    /// A figure of all clients together.
    pub fn clients(&self, of: fn(&ClientTotals) -> u64) -> u64 {
        self.clients.iter().map(of).sum()
    }

    /// How much a figure of all clients together has grown in a second since `before`, each by its own clock.
    pub fn clients_per_s(&self, before: &Moment, of: fn(&ClientTotals) -> u64) -> f64 {
        let each = |(now, before): (&ClientTotals, &ClientTotals)| {
            per_s(of(now), of(before), now.wall_ms, before.wall_ms)
        };
        self.clients.iter().zip(&before.clients).map(each).sum()
    }

    /// How much a figure of the server has grown in a second since `before`.
    pub fn server_per_s(&self, before: &Moment, of: fn(&ServerTotals) -> u64) -> f64 {
        let (now, before) = (&self.server, &before.server);
        per_s(of(now), of(before), now.wall_ms, before.wall_ms)
    }
}

fn per_s(now: u64, before: u64, now_ms: u64, before_ms: u64) -> f64 {
    now.saturating_sub(before) as f64 * 1e3 / now_ms.saturating_sub(before_ms).max(1) as f64
}

impl ServerTotals {
    fn of(stats: &Value) -> ServerTotals {
        let number = |pointer: &str| stats.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let order = |order: &Value| {
            let number = |name: &str| order[name].as_u64().unwrap_or(0);
            let totals = OrderTotals {
                made: number("minted"),
                fen: number("minted_fen"),
                passed_by: number("passed_by"),
                is_done: order["state"] == "done",
            };
            (order["id"].as_str().unwrap_or_default().to_owned(), totals)
        };
        ServerTotals {
            wall_ms: number("/wall_ms"),
            sessions: number("/sessions"),
            shakes: number("/shake/miss") + number("/shake/win"),
            wins: number("/shake/win"),
            opens: number("/open/ok"),
            fen: number("/open/fen"),
            orders: stats["orders"].as_array().into_iter().flatten().map(order).collect(),
        }
    }

    /// How far an order is; nothing yet if it is not known.
    pub fn order(&self, id: &str) -> OrderTotals {
        self.orders.get(id).copied().unwrap_or_default()
    }
}

impl ClientTotals {
    fn of(stats: &Value) -> ClientTotals {
        let number = |pointer: &str| stats.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        ClientTotals {
            wall_ms: number("/wall_ms"),
            phase: stats["phase"].as_str().unwrap_or_default().to_owned(),
            users: number("/users"),
            sessions: number("/sessions"),
            shakes: number("/shake/miss") + number("/shake/win"),
            wins: number("/shake/win"),
            opens: number("/open/ok"),
            fen: number("/open/fen"),
            timeouts: number("/timeouts"),
            rejoins: number("/rejoins"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Expect: rates by each source's own clock, however far apart they were asked.
    #[test]
    fn rates_are_by_each_ones_clock() {
        let client = |wall_ms, wins| ClientTotals { wall_ms, wins, ..ClientTotals::default() };
        let before = Moment { clients: vec![client(1_000, 10), client(1_300, 0)], ..Moment::default() };
        let now = Moment { clients: vec![client(3_000, 210), client(2_300, 50)], ..Moment::default() };
        assert!((now.clients_per_s(&before, |client| client.wins) - 150.0).abs() < 1e-9);
        assert_eq!(now.clients(|client| client.wins), 260);
    }

    #[test]
    fn the_servers_figures_are_read() {
        let stats = json!({
            "wall_ms": 5, "sessions": 7, "shake": {"miss": 3, "win": 2}, "open": {"ok": 2, "fen": 9},
            "orders": [{"id": "a", "minted": 4, "minted_fen": 40, "passed_by": 1, "state": "done"}],
        });
        let server = ServerTotals::of(&stats);
        assert_eq!((server.sessions, server.shakes, server.wins, server.fen), (7, 5, 2, 9));
        assert_eq!(server.order("a"), OrderTotals { made: 4, fen: 40, passed_by: 1, is_done: true });
        assert_eq!(server.order("b"), OrderTotals::default());
    }
}
