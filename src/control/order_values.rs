//! Values of orders, as options and questions over HTTP write them.

use crate::set::ANSWER_FEN_MAX;
use std::time::{SystemTime, UNIX_EPOCH};

/// `MIN..MAX` in fen, both included.
pub fn parse_fen_range(text: &str) -> Result<(u64, u64), String> {
    let allowed = || format!("{text:?} is not MIN..MAX in fen, with 1 <= MIN <= MAX <= {ANSWER_FEN_MAX}");
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let (min, max): (u64, u64) = (min.parse().map_err(|_| allowed())?, max.parse().map_err(|_| allowed())?);
    if min == 0 || min > max || max > ANSWER_FEN_MAX {
        return Err(allowed());
    }
    Ok((min, max))
}

/// A point in time that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// In ms since 1970.
    pub wall_ms: u64,
    /// Whether only the time of day was given.
    pub any_day: bool,
}

const DAY_MS: u64 = 86_400_000;

/// `2026-02-16T16:00:00Z`, or the next `16:00:00`: RFC 3339 or a time of day, UTC.
pub fn parse_at(text: &str) -> Result<At, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64);
    parse_at_from(text, now)
}

fn parse_at_from(text: &str, now_wall_ms: u64) -> Result<At, String> {
    let bad = || format!("{text:?} is no time; write it as 16:00:00 or 2026-02-16T16:00:00Z, UTC");
    if let Some(day_ms) = time_of_day_ms(text) {
        let today = now_wall_ms - now_wall_ms % DAY_MS + day_ms;
        let wall_ms = if today > now_wall_ms { today } else { today + DAY_MS };
        return Ok(At { wall_ms, any_day: true });
    }
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| bad())?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| bad())?;
    // At once is 0, and 1970 is over.
    Ok(At { wall_ms: (since.as_millis() as u64).max(1), any_day: false })
}

/// `HH:MM:SS` in ms.
fn time_of_day_ms(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split(':').collect();
    let [hours, minutes, seconds] = parts[..] else { return None };
    let number = |part: &str, below: u64| -> Option<u64> {
        let is_number = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|number: &u64| is_number && *number < below)
    };
    let seconds = (number(hours, 24)? * 60 + number(minutes, 60)?) * 60 + number(seconds, 60)?;
    Some(seconds * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_fen() {
        assert_eq!(parse_fen_range("1..200"), Ok((1, 200)));
        assert_eq!(parse_fen_range("8"), Ok((8, 8)));
        for bad in ["", "0..1", "2..1", "1..", "..1", "1..9999999999999999", "-1..4", "1.5"] {
            assert!(parse_fen_range(bad).unwrap_err().contains(bad), "{bad}");
        }
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let noon = 20_000 * DAY_MS + DAY_MS / 2;
        let at = |text| parse_at_from(text, noon);
        assert_eq!(at("12:00:01"), Ok(At { wall_ms: noon + 1_000, any_day: true }));
        assert_eq!(at("12:00:00"), Ok(At { wall_ms: noon + DAY_MS, any_day: true }));
        assert_eq!(at("2024-10-04T12:00:05Z"), Ok(At { wall_ms: noon + 5_000, any_day: false }));
        for bad in ["", "24:00:00", "1:00:00", "12:00", "noon", "2024-13-01T00:00:00Z", "+1:00:00"] {
            assert!(at(bad).unwrap_err().contains(bad), "{bad}");
        }
    }
}
