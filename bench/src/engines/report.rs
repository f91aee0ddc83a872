//! Tables and sentences for eyes.

use super::{ClientChoice, Report, Settings, kinds};
use crate::floor::{Comparison, Ratio, Spread, VariantReport};
use crate::run::Host;
use std::fmt::Write as _;

/// Ratios of machine time and of CPU time further apart than this disagree.
const APART: f64 = 0.1;

/// Everything that was found.
pub fn text(report: &Report) -> String {
    let comparison = &report.comparison;
    let title = if report.ladder { "The ladder" } else { "Engines" };
    let mut text = format!(
        "{title}, {} requests on their way; {} rounds in turn, median (min–max)\n",
        report.settings.outstanding, comparison.pairs
    );
    figures(&mut text, comparison);
    ratios(&mut text, report);
    text.push('\n');
    if report.ladder {
        rungs(&mut text, report);
    } else {
        sentences(&mut text, report);
    }
    busy(&mut text, comparison);
    let _ = writeln!(text, "{}", conditions(report));
    if report.host.debug_build {
        text += "built without optimisation: these figures say nothing\n";
    }
    text
}

/// Under what it was measured, in two lines.
pub fn conditions(report: &Report) -> String {
    let Settings { seconds, users, peers, client, cores, .. } = &report.settings;
    let Host { commit, kernel, cpu, load_average, .. } = &report.host;
    let way = match client {
        ClientChoice::Xdp => "each from an address and port of its own, by AF_XDP".to_owned(),
        ClientChoice::Sockets => format!("from {peers} sockets"),
    };
    let modes = report.settings.xdp.iter().filter(|_| !report.ladder);
    let modes: String = modes.map(|(name, got)| format!("; {name} in {} mode", got.mode)).collect();
    format!(
        "{users} users, {way}, over a veth pair; {seconds} s each; server on core {}, client on core {}{modes}\n\
         {cpu}, Linux {kernel}, commit {commit}, load before {load_average}",
        cores.server, cores.client
    )
}

fn figures(text: &mut String, comparison: &Comparison) {
    row(text, ["", "answers/s", "CPU ns/answer", "machine ns/answer", "p50 µs", "p99 µs"]);
    for of in &comparison.variants {
        let [answers, cpu, machine] =
            [&of.answers_per_s, &of.cpu_ns_per_answer, &of.machine_ns_per_answer].map(|of| spread(of, 0));
        let [p50, p99] = [&of.p50_us, &of.p99_us].map(|of| format!("{:.0}", of.median));
        row(text, [of.name, &answers, &cpu, &machine, &p50, &p99]);
    }
    for of in comparison.variants.iter().filter(|of| of.lost > 0) {
        let _ = writeln!(text, "  {}: {} requests were sent again, no answer came", of.name, of.lost);
    }
}

fn ratios(text: &mut String, report: &Report) {
    row(text, ["", "× answers/s", "× CPU", "× machine", "", ""]);
    let Comparison { variants, ratios, .. } = &report.comparison;
    let Some((first, others)) = variants.split_first() else { return };
    let against_first =
        others.iter().filter_map(|of| Some((format!("{}/{}", of.name, first.name), ratios.get(of.name)?)));
    let pairwise = report.pairwise.iter().map(|(name, ratio)| (name.clone(), ratio));
    for (name, ratio) in against_first.chain(pairwise) {
        let [answers, cpu, machine] = [ratio.answers, ratio.cpu, ratio.machine]
            .map(|ratio| ratio.map_or_else(String::new, |ratio| spread(&ratio, 3)));
        row(text, [&name, &answers, &cpu, &machine, "", ""]);
    }
}

/// What the comparison was made for.
fn sentences(text: &mut String, report: &Report) {
    let ratio = |name: &str| report.pairwise.get(name);
    let (beside_mmsg, beside_echo) = (ratio("redpkt_xdp/redpkt_mmsg"), ratio("redpkt_xdp/echo_xdp"));
    let of = |ratio: Option<&Ratio>, field: fn(&Ratio) -> Option<Spread>| ratio.and_then(field);
    for (what, ratio, asked) in [
        (
            "CPU for each answer, redpkt_xdp against redpkt_mmsg",
            of(beside_mmsg, |ratio| ratio.cpu),
            Asked::AtMost(0.65),
        ),
        (
            "Answers, redpkt_xdp against redpkt_mmsg",
            of(beside_mmsg, |ratio| ratio.answers),
            Asked::AtLeast(1.6),
        ),
        (
            "CPU for each answer, redpkt_xdp against echo_xdp",
            of(beside_echo, |ratio| ratio.cpu),
            Asked::AtMost(1.25),
        ),
    ] {
        if let Some(ratio) = ratio {
            let _ = writeln!(text, "{what}: × {}; {}.", spread(&ratio, 3), asked.judge(ratio.median));
        }
    }
    for (name, ratio) in &report.pairwise {
        if let (Some(cpu), Some(machine)) = (ratio.cpu, ratio.machine) {
            let _ = writeln!(text, "{}", agreement(name, cpu.median, machine.median));
        }
    }
}

/// Whether the server's threads and the whole machine tell the same.
fn agreement(name: &str, cpu: f64, machine: f64) -> String {
    let figures =
        format!("{name}: × {cpu:.3} by the server's threads and × {machine:.3} by the whole machine");
    let apart = machine / cpu - 1.0;
    if apart.abs() <= APART {
        return format!("{figures} agree within {:.0}%.", APART * 100.0);
    }
    format!(
        "{figures} disagree: the machine's time has the client's in it, and interrupt time is charged to the thread \
         it interrupts, so on a veth the server's receive path is paid by the client's send, and the reverse."
    )
}

/// A figure that was asked for.
#[derive(Clone, Copy)]
enum Asked {
    AtMost(f64),
    AtLeast(f64),
}

impl Asked {
    fn judge(self, got: f64) -> String {
        let (asked, limit, reached) = match self {
            Asked::AtMost(limit) => ("at most", limit, got <= limit),
            Asked::AtLeast(limit) => ("at least", limit, got >= limit),
        };
        format!("asked for {asked} {limit}: {}", if reached { "reached" } else { "missed" })
    }
}

fn rungs(text: &mut String, report: &Report) {
    for rung in &report.comparison.variants {
        let _ = writeln!(text, "  {:<12} {}", rung.name, kinds::what_is(rung.name));
    }
}

/// How much of a core each server took. Where that is not all of it, the client set the pace.
fn busy(text: &mut String, comparison: &Comparison) {
    let share = |of: &VariantReport| {
        let busy = of.answers_per_s.median * of.cpu_ns_per_answer.median / 1e9;
        format!("{} {:.0}%", of.name, busy * 100.0)
    };
    let shares: Vec<String> = comparison.variants.iter().map(share).collect();
    let _ = writeln!(
        text,
        "Of a core each server's threads took {}. Where that is less than all, the client or other work on the machine set the pace.",
        shares.join(", ")
    );
}

fn row(text: &mut String, [name, answers, cpu, machine, p50, p99]: [&str; 6]) {
    let line = format!("  {name:<22} {answers:<25} {cpu:<19} {machine:<19} {p50:>6} {p99:>6}");
    let _ = writeln!(text, "{}", line.trim_end());
}

fn spread(Spread { min, median, max, .. }: &Spread, digits: usize) -> String {
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::CorePair;
    use std::collections::BTreeMap;

    pub fn report(pairwise: &[(&str, [f64; 3])]) -> Report {
        let of = |median| Spread::of([0.9 * median, median, 1.1 * median]);
        let variant = |(name, answers_per_s, cpu)| VariantReport {
            name,
            answers_per_s: of(answers_per_s),
            cpu_ns_per_answer: of(cpu),
            machine_ns_per_answer: of(2.0 * cpu),
            p50_us: of(200.0),
            p99_us: of(400.0),
            lost: 0,
        };
        let ratio = |[answers, cpu, machine]: [f64; 3]| Ratio {
            answers: Some(of(answers)),
            cpu: Some(of(cpu)),
            machine: Some(of(machine)),
        };
        let variants = [
            ("echo_mmsg", 500_000.0, 1_900.0),
            ("redpkt_mmsg", 400_000.0, 2_200.0),
            ("echo_xdp", 1_000_000.0, 900.0),
            ("redpkt_xdp", 800_000.0, 1_100.0),
        ];
        let against_first =
            ["redpkt_mmsg", "echo_xdp", "redpkt_xdp"].map(|name| (name, ratio([1.5, 0.5, 0.6])));
        Report {
            comparison: Comparison {
                pairs: 15,
                variants: variants.map(variant).into(),
                ratios: against_first.into(),
            },
            pairwise: pairwise.iter().map(|(name, values)| ((*name).to_owned(), ratio(*values))).collect(),
            ladder: false,
            settings: Settings {
                seconds: 1.0,
                users: 10_000,
                outstanding: 128,
                client: ClientChoice::Xdp,
                peers: 10_000,
                xdp_mode: Some("auto"),
                xdp: BTreeMap::new(),
                cores: CorePair { server: 0, client: 1 },
            },
            host: Host::default(),
        }
    }

    /// Expect: each figure that was asked for in a sentence of its own, judged by its median; and whether CPU and
    /// machine agree.
    #[test]
    fn what_was_asked_for_is_judged() {
        let report = report(&[
            ("redpkt_xdp/redpkt_mmsg", [1.5, 0.64, 0.9]),
            ("redpkt_xdp/echo_xdp", [0.8, 1.3, 1.31]),
        ]);
        let text = text(&report);
        for part in [
            "redpkt_mmsg: × 0.640 (0.576–0.704); asked for at most 0.65: reached.",
            "redpkt_mmsg: × 1.500 (1.350–1.650); asked for at least 1.6: missed.",
            "echo_xdp: × 1.300 (1.170–1.430); asked for at most 1.25: missed.",
            "redpkt_xdp/redpkt_mmsg: × 0.640 by the server's threads and × 0.900 by the whole machine disagree",
            "× 1.310 by the whole machine agree within 10%",
            "echo_mmsg 95%, redpkt_mmsg 88%",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }

    #[test]
    fn tables_fit_a_terminal() {
        let text = text(&report(&[("redpkt_xdp/redpkt_mmsg", [1.5, 0.64, 0.9])]));
        let lines: Vec<&str> = text.lines().skip(1).take_while(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 5 + 5);
        assert!(lines.iter().all(|line| line.chars().count() <= 110), "{text}");
    }
}
