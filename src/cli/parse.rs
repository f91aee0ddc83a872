//! Values of options.

use crate::set::ANSWER_FEN_MAX;
use std::time::Duration;

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

/// A time such as `90s`, `5m` or `1h`, in whole seconds.
pub fn parse_seconds(text: &str) -> Result<u64, String> {
    let time: Duration = humantime::parse_duration(text)
        .map_err(|_| format!("{text:?} is not a time; write it as 90s, 5m or 1h"))?;
    match time.as_secs() {
        0 => Err(format!("{text:?} is less than a second")),
        seconds => Ok(seconds),
    }
}

/// `none`, or cores by number: `0,2-5`.
pub fn parse_cores(text: &str) -> Result<Cores, String> {
    if text == "none" {
        return Ok(Cores::None);
    }
    let bad = || format!("{text:?} is neither `none` nor cores such as 0,2-5");
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (usize, usize) = (from.parse().map_err(|_| bad())?, to.parse().map_err(|_| bad())?);
        if from > to || to >= 4_096 {
            return Err(bad());
        }
        cores.extend(from..=to);
    }
    if let Some(twice) =
        cores.iter().enumerate().find_map(|(at, core)| cores[..at].contains(core).then_some(core))
    {
        return Err(format!("{text:?} names core {twice} twice"));
    }
    Ok(Cores::List(cores))
}

/// Where workers run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// Wherever the kernel puts them.
    None,
    /// Each on one of these, in order.
    List(Vec<usize>),
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
    fn lists_of_cores() {
        assert_eq!(parse_cores("none"), Ok(Cores::None));
        assert_eq!(parse_cores("0,2-4"), Ok(Cores::List(vec![0, 2, 3, 4])));
        for bad in ["", "a", "1-", "3-1", "0,,1", "99999", "1,1", "0-3,2"] {
            assert!(parse_cores(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_seconds("90s"), Ok(90));
        assert_eq!(parse_seconds("1h"), Ok(3_600));
        assert!(parse_seconds("20ms").is_err() && parse_seconds("soon").is_err());
    }
}
