//! Numbers as people read them, and text as HTML has it.

/// A whole number with its thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate: whole from 10 on, with a digit behind the point below.
pub fn rate(value: f64) -> String {
    let value = value.max(0.0);
    if value == 0.0 || value >= 9.95 { grouped(value.round() as u64) } else { format!("{value:.1}") }
}

/// A number in little room: `950`, `12.3k`, `4.56M`.
pub fn short(value: f64) -> String {
    let sized = |value: f64, unit: &str| match value {
        value if value >= 99.95 => format!("{value:.0}{unit}"),
        value if value >= 9.995 => format!("{value:.1}{unit}"),
        value => format!("{value:.2}{unit}"),
    };
    match value.max(0.0) {
        value if value >= 999.5e6 => sized(value / 1e9, "G"),
        value if value >= 999.5e3 => sized(value / 1e6, "M"),
        value if value >= 9_999.5 => sized(value / 1e3, "k"),
        value if value >= 9.95 || value == 0.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

/// A tick of an axis: no digits that say nothing, and thousands as `k` where all of them are.
pub fn tick(value: f64) -> String {
    let plain = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match value.abs() {
        size if size >= 1e9 => format!("{}G", plain(value / 1e9)),
        size if size >= 1e6 => format!("{}M", plain(value / 1e6)),
        size if size >= 1e4 => format!("{}k", plain(value / 1e3)),
        _ => plain(value),
    }
}

/// A time given in ns, with three digits and its unit.
pub fn time(ns: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let (size, unit) = units.into_iter().find(|(size, _)| ns >= 0.9995 * size).unwrap_or((1.0, "ns"));
    let value = ns / size;
    match value {
        value if unit == "ns" || value >= 99.95 => format!("{value:.0} {unit}"),
        value if value >= 9.995 => format!("{value:.1} {unit}"),
        value => format!("{value:.2} {unit}"),
    }
}

/// A length of time given in s: `42 s`, `3 min 20 s`, `2 h 5 min`.
pub fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
    }
}

/// A share of 1 in percent.
pub fn percent(share: f64) -> String {
    let value = 100.0 * share;
    if value == 0.0 || value >= 9.95 { format!("{value:.0}%") } else { format!("{value:.1}%") }
}

/// fen as yuan with two digits: money is told exactly.
pub fn yuan(fen: u64) -> String {
    format!("¥{}.{:02}", grouped(fen / 100), fen % 100)
}

/// Text that stands in HTML, also between double quotes.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.25, 9.94, 9.96, 1234.5].map(rate), ["0", "0.2", "9.9", "10", "1,235"]);
        assert_eq!(
            [0.0, 7.0, 950.0, 12_345.0, 999_700.0, 4.56e6].map(short),
            ["0", "7.0", "950", "12.3k", "1.00M", "4.56M"]
        );
        assert_eq!([0.0, 0.5, 2_000.0, 25_000.0, 1.5e6].map(tick), ["0", "0.5", "2000", "25k", "1.5M"]);
        assert_eq!(
            [0.0, 999.0, 1_000.0, 15_500.0, 2.5e8, 1e9].map(time),
            ["0 ns", "999 ns", "1.00 µs", "15.5 µs", "250 ms", "1.00 s"]
        );
        assert_eq!([42.4, 200.0, 7_500.0].map(span), ["42 s", "3 min 20 s", "2 h 5 min"]);
        assert_eq!((percent(0.0), percent(0.031), percent(1.0)), ("0%".into(), "3.1%".into(), "100%".into()));
        assert_eq!(yuan(1_234_507), "¥12,345.07");
        assert_eq!(html("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    }
}
