//! Structured logs on stderr. Nothing secret has a `Debug` or `Display` that tells it.

use std::sync::Mutex;
use std::time::{Duration, Instant};
use tracing_subscriber::EnvFilter;

/// How to log.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogOptions {
    /// JSON lines instead of text.
    pub json: bool,
}

/// Starts logging to stderr; `RUST_LOG` filters, `info` is the default. A second call does nothing.
pub fn init_log(options: LogOptions) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _ = if options.json { log.json().try_init() } else { log.compact().try_init() };
}

/// Lets one message a minute through and counts the others: what the network can cause must not fill a
/// disk.
#[derive(Debug, Default)]
pub struct OncePerMinute {
    state: Mutex<Option<(Instant, u64)>>,
}

impl OncePerMinute {
    /// Whether to speak now, and if so, how many messages were kept back since the last one.
    pub fn ask(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &mut *state {
            Some((last, kept_back)) if now.duration_since(*last) < Duration::from_secs(60) => {
                *kept_back += 1;
                None
            }
            state => Some(state.replace((now, 0)).map_or(0, |(_, kept_back)| kept_back)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_a_minute_passes_and_the_next_tells_how_many_did_not() {
        let limit = OncePerMinute::default();
        let start = Instant::now();
        assert_eq!(limit.ask(start), Some(0));
        assert_eq!(limit.ask(start + Duration::from_secs(1)), None);
        assert_eq!(limit.ask(start + Duration::from_secs(59)), None);
        assert_eq!(limit.ask(start + Duration::from_secs(60)), Some(2));
    }
}
