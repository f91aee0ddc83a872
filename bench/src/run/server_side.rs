//! The server's own counters, read over HTTP before and after a run.

use crate::http;
use serde::{Deserialize, Serialize};

/// What the server counted, since its start or between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerSide {
    /// Requests answered.
    pub answers: u64,
    /// Shakes that missed.
    pub shake_miss: u64,
    /// Shakes that won.
    pub shake_win: u64,
    /// Opens that took money.
    pub open_ok: u64,
    /// Opens that found nothing.
    pub open_empty: u64,
    /// What was taken, in fen.
    pub open_fen: u64,
    /// Datagrams in.
    pub datagrams_in: u64,
    /// Datagrams out.
    pub datagrams_out: u64,
}

/// The part of `/stats.json` that is compared.
#[derive(Deserialize)]
struct Stats {
    answers: u64,
    datagrams_in: u64,
    datagrams_out: u64,
    shake: Shake,
    open: Open,
}

#[derive(Deserialize)]
struct Shake {
    miss: u64,
    win: u64,
}

#[derive(Deserialize)]
struct Open {
    ok: u64,
    empty: u64,
    fen: u64,
}

impl ServerSide {
    /// Reads them; `url` is that of the server's HTTP side. The error is one line.
    pub fn read(url: &str) -> Result<ServerSide, String> {
        let stats = http::get(url, "stats.json")?;
        let stats: Stats =
            serde_json::from_value(stats).map_err(|error| format!("{url}/stats.json: {error}"))?;
        Ok(ServerSide {
            answers: stats.answers,
            shake_miss: stats.shake.miss,
            shake_win: stats.shake.win,
            open_ok: stats.open.ok,
            open_empty: stats.open.empty,
            open_fen: stats.open.fen,
            datagrams_in: stats.datagrams_in,
            datagrams_out: stats.datagrams_out,
        })
    }

    /// What was counted since `before`.
    pub fn since(&self, before: &ServerSide) -> ServerSide {
        ServerSide {
            answers: self.answers.saturating_sub(before.answers),
            shake_miss: self.shake_miss.saturating_sub(before.shake_miss),
            shake_win: self.shake_win.saturating_sub(before.shake_win),
            open_ok: self.open_ok.saturating_sub(before.open_ok),
            open_empty: self.open_empty.saturating_sub(before.open_empty),
            open_fen: self.open_fen.saturating_sub(before.open_fen),
            datagrams_in: self.datagrams_in.saturating_sub(before.datagrams_in),
            datagrams_out: self.datagrams_out.saturating_sub(before.datagrams_out),
        }
    }
}
