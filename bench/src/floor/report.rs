//! The table for eyes.

use super::measure::{Comparison, Ratio, Sample, VariantReport};
use super::spread::Spread;
use std::fmt::Write as _;

/// A comparison as tables, one for each variant beside the first.
pub fn tables(title: &str, comparison: &Comparison) -> String {
    let mut text = format!("{title}; {} pairs, median (min–max)\n", comparison.pairs);
    let [first, others @ ..] = comparison.variants.as_slice() else { return text };
    for other in others {
        table(&mut text, first, other, comparison.ratios.get(other.name));
    }
    text
}

fn table(text: &mut String, first: &VariantReport, other: &VariantReport, ratio: Option<&Ratio>) {
    row(text, ["", first.name, other.name, "ratio"]);
    let mut figure = |name, field: fn(&VariantReport) -> &Spread, ratio: Option<Spread>| {
        let [first, other] = [field(first), field(other)].map(|of| spread(of, 0));
        let ratio = ratio.map_or_else(String::new, |ratio| spread(&ratio, 3));
        row(text, [name, &first, &other, &ratio]);
    };
    figure("answers/s", |of| &of.answers_per_s, ratio.and_then(|ratio| ratio.answers));
    let cpu = ratio.and_then(|ratio| ratio.cpu);
    figure("CPU ns/answer", |of| &of.cpu_ns_per_answer, cpu);
    figure("machine ns/answer", |of| &of.machine_ns_per_answer, ratio.and_then(|ratio| ratio.machine));
    figure("p50 µs", |of| &of.p50_us, None);
    figure("p99 µs", |of| &of.p99_us, None);
    if let Some(Spread { quartiles: [lower, upper], .. }) = cpu {
        row(text, ["", "", "quartiles of the CPU ratio", &format!("{lower:.3}–{upper:.3}")]);
    }
    if first.lost + other.lost > 0 {
        row(text, ["sent again", &first.lost.to_string(), &other.lost.to_string(), ""]);
    }
}

fn row(text: &mut String, [name, first, other, ratio]: [&str; 4]) {
    let line = format!("  {name:<18} {first:<25} {other:<25} {ratio}");
    let _ = writeln!(text, "{}", line.trim_end());
}

fn spread(Spread { min, median, max, .. }: &Spread, digits: usize) -> String {
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

/// What one pair said, in few words.
pub fn pair(samples: &[Sample]) -> String {
    let answers: Vec<String> = samples.iter().map(|sample| format!("{:.0}", sample.answers_per_s)).collect();
    let cpu: Vec<String> = samples.iter().map(|sample| format!("{:.0}", sample.cpu_ns_per_answer)).collect();
    let first = samples[0].cpu_ns_per_answer;
    let ratios: Vec<String> =
        samples[1..].iter().map(|sample| format!("{:.3}", sample.cpu_ns_per_answer / first)).collect();
    format!("{} answers/s, CPU {} ns, × {}", answers.join(" | "), cpu.join(" | "), ratios.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_leads_with_its_median() {
        let of = Spread::of([1.04, 1.05, 1.1]);
        assert_eq!(spread(&of, 2), "1.05 (1.04–1.10)");
    }

    #[test]
    fn lines_fit_a_terminal() {
        let of = Spread::of([500_000.0, 555_555.0, 600_000.0]);
        let variant = |name| VariantReport {
            name,
            answers_per_s: of,
            cpu_ns_per_answer: of,
            machine_ns_per_answer: of,
            p50_us: of,
            p99_us: of,
            lost: 1,
        };
        let ratio = Some(Spread::of([0.951, 0.991, 1.007]));
        let ratio = Ratio { answers: ratio, cpu: ratio, machine: ratio };
        let variants = ["echo_mmsg", "redpkt_mmsg"].map(variant).into();
        let comparison = Comparison { pairs: 15, variants, ratios: [("redpkt_mmsg", ratio)].into() };
        let text = tables("Saturation, 128 requests on their way", &comparison);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_eq!(text.lines().count(), 9);
    }
}
