//! What the tests stand on.

mod client;
mod hand;
mod http;
mod keys;
mod ledger;
mod loader;
mod place;
mod server;

pub use client::Client;
pub use hand::{Hand, Peer, challenge_cookie, hello, join_frame, next_session_step, random8};
pub use http::ask;
pub use keys::Keys;
pub use ledger::Ledger;
pub use loader::Loader;
pub use place::{Place, at_server, lab, listen, wildcard_ips};
pub use server::{Server, grown, run_to_end, run_to_end_under};

use redpkt_proto::{Now, Rng};
use serde_json::Value;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longer than anything here takes on a busy machine; never waited for when all is well.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A generator whose numbers differ from run to run: nothing here depends on them.
pub fn rng() -> Rng {
    redpkt::control::os_seeded_rng().expect("random bytes")
}

/// Both clocks, as a client reads them.
pub fn now() -> Now {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    Now { mono_ns: 1_000_000_000 + start.elapsed().as_nanos() as u64, wall_ms: wall.as_millis() as u64 }
}

/// Asks for figures until they are as wished: workers publish theirs some times a second.
pub fn figures_when(what: &str, mut ask: impl FnMut() -> Value, is_so: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let figures = ask();
        if is_so(&figures) {
            return figures;
        }
        assert!(Instant::now() < end, "waited in vain for {what}: {figures:#}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks again and again until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
