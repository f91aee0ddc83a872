//! Values of options.

use crate::net::bind::BATCH_MAX;
use std::net::SocketAddr;
use std::time::Duration;

/// A time such as `90s`, `5m` or `1h`, in whole seconds.
pub fn parse_seconds(text: &str) -> Result<u64, String> {
    let time: Duration = humantime::parse_duration(text)
        .map_err(|_| format!("{text:?} is not a time; write it as 90s, 5m or 1h"))?;
    match time.as_secs() {
        0 => Err(format!("{text:?} is less than a second")),
        seconds => Ok(seconds),
    }
}

/// A number of bytes such as `64MiB`, `1GiB` or `4096`, 1 at least.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size; write it as 4096, 64KiB, 100MiB or 1GiB");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// A whole number such as `1000000`, `1_000_000`, `60k`, `1M` or `1.5M`.
pub fn parse_count(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is no whole number; write it as 1000000, 1_000_000, 60k or 1M");
    let (digits, factor) = match text.char_indices().next_back() {
        Some((at, 'k')) => (&text[..at], 1_000),
        Some((at, 'M')) => (&text[..at], 1_000_000),
        Some((at, 'G')) => (&text[..at], 1_000_000_000),
        _ => (text, 1),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_part = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !whole.starts_with(|first: char| first.is_ascii_digit()) || !is_part(part) || digits.ends_with('.') {
        return Err(bad());
    }
    let whole: u64 = whole.replace('_', "").parse().map_err(|_| bad())?;
    let whole = whole.checked_mul(factor).ok_or_else(bad)?;
    let mut place = factor;
    part.bytes()
        .try_fold(whole, |sum, digit| {
            // A digit below one is none of a whole number's.
            place = if place.is_multiple_of(10) { place / 10 } else { 0 };
            let more = u64::from(digit - b'0') * place;
            sum.checked_add(more).filter(|_| place > 0)
        })
        .filter(|number| *number <= COUNT_MAX)
        .ok_or_else(bad)
}

/// The most of anything that is counted by hand: sums of a few of them still fit 64 bits.
const COUNT_MAX: u64 = 1 << 40;

/// A share such as `50%`, as a number from 0 to 1.
pub fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match number.parse::<f64>() {
        Ok(percent) if is_number && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err(format!("{text:?} is no share; 0% to 100% are allowed")),
    }
}

/// Datagrams of one batch.
pub fn parse_batch(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(batch) if (1..=BATCH_MAX).contains(&batch) => Ok(batch),
        _ => Err(format!("{text:?} is no batch; 1 to {BATCH_MAX} are allowed")),
    }
}

/// The address of a backend.
pub fn parse_backend(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(addr) if addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast() => Ok(addr),
        _ => Err(format!(
            "{text:?} is no address of a service; write it as 192.0.2.1:7200 or [2001:db8::1]:7200"
        )),
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
    fn sizes_have_units_of_1024() {
        for (text, bytes) in
            [("1", 1), ("4096B", 4_096), ("64KiB", 65_536), ("1GiB", 1 << 30), ("3TiB", 3 << 40)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
        for text in ["", "0", "-1", "1.5GiB", "1GB", "GiB", "1 GiB", "16777216TiB", "0MiB"] {
            assert!(parse_bytes(text).unwrap_err().contains("100MiB"), "{text}");
        }
    }

    #[test]
    fn counts() {
        for (text, number) in [
            ("0", 0),
            ("1000000", 1_000_000),
            ("1_000_000", 1_000_000),
            ("1M", 1_000_000),
            ("60k", 60_000),
            ("1.5M", 1_500_000),
            ("0.5k", 500),
            ("1.43G", 1_430_000_000),
        ] {
            assert_eq!(parse_count(text), Ok(number), "{text}");
        }
        for bad in [
            "",
            "M",
            "1.5",
            "1.",
            ".5M",
            "-1",
            "1m",
            "1.5555k",
            "_1",
            "many",
            "1e6",
            "999999999999999999999",
            "5000G",
        ] {
            assert!(parse_count(bad).unwrap_err().contains(bad), "{bad}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(
            (parse_percent("50%"), parse_percent("0"), parse_percent("100%")),
            (Ok(0.5), Ok(0.0), Ok(1.0))
        );
        for bad in ["", "%", "101%", "-1%", "half", "nan", "inf%"] {
            assert!(parse_percent(bad).unwrap_err().contains(bad), "{bad}");
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
