//! The table for eyes.

use super::measure::{Comparison, Sample, VariantReport};
use super::spread::Spread;
use std::fmt::Write as _;

/// A comparison as a table: a row for each variant, then its ratios to the first.
pub fn table(title: &str, comparison: &Comparison) -> String {
    let mut text = format!("{title}: median (min to max) of {} pairs\n", comparison.pairs);
    row(
        &mut text,
        ["", "answers/s", "CPU ns/answer", "machine ns/answer", "p50 µs", "p99 µs"].map(String::from),
    );
    for variant in &comparison.variants {
        let VariantReport {
            name,
            answers_per_s,
            cpu_ns_per_answer,
            machine_ns_per_answer,
            p50_us,
            p99_us,
            lost,
        } = variant;
        row(
            &mut text,
            [
                (*name).to_owned(),
                spread(answers_per_s, 0),
                spread(cpu_ns_per_answer, 0),
                spread(machine_ns_per_answer, 0),
                spread(p50_us, 0),
                spread(p99_us, 0),
            ],
        );
        if *lost > 0 {
            let _ = writeln!(text, "  {lost} requests of {name} were sent again");
        }
    }
    let first = comparison.variants.first().map_or("", |variant| variant.name);
    for (name, ratio) in &comparison.ratios {
        let label = format!("{name} / {first}");
        row(
            &mut text,
            [
                label,
                spread(&ratio.answers, 3),
                spread(&ratio.cpu, 3),
                spread(&ratio.machine, 3),
                String::new(),
                String::new(),
            ],
        );
    }
    text
}

fn row(text: &mut String, [name, answers, cpu, machine, p50, p99]: [String; 6]) {
    let line = format!("  {name:<24} {answers:<28} {cpu:<22} {machine:<22} {p50:<18} {p99}");
    let _ = writeln!(text, "{}", line.trim_end());
}

fn spread(Spread { min, median, max }: &Spread, digits: usize) -> String {
    format!("{median:.digits$} ({min:.digits$} to {max:.digits$})")
}

/// What one pair said, in a line.
pub fn pair(names: &[&str], samples: &[Sample]) -> String {
    let each = names.iter().zip(samples).map(|(name, sample)| {
        format!("{name} {:.0}/s {:.0} ns", sample.answers_per_s, sample.cpu_ns_per_answer)
    });
    let first = samples[0].cpu_ns_per_answer;
    let ratios =
        samples.iter().skip(1).map(|sample| format!("CPU × {:.3}", sample.cpu_ns_per_answer / first));
    each.chain(ratios).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_leads_with_its_median() {
        let of = Spread { min: 1.04, median: 1.05, max: 1.1 };
        assert_eq!(spread(&of, 2), "1.05 (1.04 to 1.10)");
    }
}
