//! What a person sees of a run: progress while it goes on, a summary at its end.

use super::Progress;
use super::outcomes::{Invites, Requests};
use super::report::{Percentiles, Report, Second};
use super::schedule::Arrivals;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write as _;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// Between two lines on joining, where there is no terminal.
const JOIN_LINES_EVERY: Duration = Duration::from_secs(2);

/// Shows progress on stderr: a bar on a terminal, lines in a pipe.
pub struct Console {
    quiet: bool,
    bar: Option<ProgressBar>,
    next_line: Instant,
}

impl Console {
    /// One that shows nothing if `quiet`, except warnings.
    pub fn new(quiet: bool) -> Console {
        Console { quiet, bar: None, next_line: Instant::now() + JOIN_LINES_EVERY }
    }

    /// Shows it.
    pub fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Warning(warning) => eprintln!("warning: {warning}"),
            _ if self.quiet => {}
            Progress::Paying { paid, users } => self.paying(*paid, *users),
            Progress::Joining { joined, users, joins_per_s } => self.joining(*joined, *users, *joins_per_s),
            Progress::Joined(joins) => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                eprintln!(
                    "{} sessions opened from {} peers in {:.1} s: {} joins/s",
                    grouped(joins.sessions),
                    grouped(joins.peers),
                    joins.seconds,
                    grouped(joins.sessions as f64 / joins.seconds.max(1e-9))
                );
            }
            Progress::Begins(_) => {}
            Progress::Second(second) => eprintln!("{}", second_line(second)),
            Progress::Draining { outstanding } => {
                eprintln!("waiting for the last answers: {} outstanding", grouped(*outstanding));
            }
        }
    }

    fn paying(&mut self, paid: u64, users: u64) {
        if paid == users || Instant::now() >= self.next_line {
            self.next_line = Instant::now() + JOIN_LINES_EVERY;
            eprintln!("deposits: {} of {} users", grouped(paid), grouped(users));
        }
    }

    fn joining(&mut self, joined: u64, users: u64, joins_per_s: f64) {
        if stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| {
                let style = ProgressStyle::with_template("joining {wide_bar} {human_pos}/{human_len}  {msg}");
                let bar = ProgressBar::with_draw_target(Some(users), ProgressDrawTarget::stderr());
                bar.set_style(style.expect("a constant template that is valid"));
                bar
            });
            bar.set_position(joined);
            bar.set_message(format!("{} joins/s", grouped(joins_per_s)));
        } else if Instant::now() >= self.next_line {
            self.next_line = Instant::now() + JOIN_LINES_EVERY;
            eprintln!(
                "joining: {} of {} sessions, {} joins/s",
                grouped(joined),
                grouped(users),
                grouped(joins_per_s)
            );
        }
    }
}

/// A second in a line.
fn second_line(second: &Second) -> String {
    format!(
        "{:>4} s  QPS {:>9}  PPS out {:>9} in {:>9}  wins {:>6}  opens {:>6}  p50 {:>8}  p99 {:>8}  timeouts {}{}",
        second.second + 1,
        grouped(second.qps),
        grouped(second.pps_out),
        grouped(second.pps_in),
        grouped(second.wins),
        grouped(second.opens),
        time(second.p50_us),
        time(second.p99_us),
        grouped(second.timeouts),
        if second.gso { "  GSO" } else { "" }
    )
}

/// The summary: what was asked for and what came, how long it took, and the verdict.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<12} {value}");
    };
    let settings = &report.settings;
    line(
        "run",
        format!(
            "{} sessions from {} peers, {} a datagram, {} arrivals, {} s{}{}",
            grouped(report.sessions),
            grouped(report.peers),
            match settings.frames_per_datagram {
                1 => "1 frame".to_owned(),
                frames => format!("{frames} frames"),
            },
            match settings.arrivals {
                Arrivals::Even => "even",
                Arrivals::Poisson => "Poisson",
            },
            report.seconds,
            if settings.hosts > 1 {
                format!(", host {}/{}", settings.host, settings.hosts)
            } else {
                String::new()
            },
            if report.gso {
                ", GSO: datagrams cross the kernel in runs, PPS are not system packets"
            } else {
                ""
            }
        ),
    );
    line(
        "QPS",
        format!(
            "asked {}  offered {}  answered {}",
            grouped(report.target_qps),
            grouped(report.offered_qps),
            grouped(report.answered_qps)
        ),
    );
    line("PPS", format!("out {}  in {}", grouped(report.pps_out), grouped(report.pps_in)));
    line(
        "schedule",
        format!(
            "{} of {} shots, {} late by more than 1 ms (p99 {}), {} ns of CPU a request{}",
            grouped(report.schedule.shots_fired),
            grouped(report.schedule.shots_due),
            grouped(report.schedule.late_sends),
            time(report.schedule.late_us.p99),
            grouped(report.cpu_ns_per_request),
            if report.generator_limited { "; GENERATOR LIMITED" } else { "" }
        ),
    );
    line("latency", format!("{}  from the time a shake was due", percentiles(&report.latency_us)));
    line("", format!("{}  from its transmission", percentiles(&report.latency_raw_us)));
    line(
        "shakes",
        format!(
            "{} made: {} missed, {} won, {} unknown, {} busy, {} not now (told by the clients themselves)",
            grouped(report.shake.sent),
            grouped(report.shake.miss),
            grouped(report.shake.win),
            grouped(report.shake.unknown),
            grouped(report.shake.busy),
            grouped(report.shake.not_now)
        ),
    );
    line(
        "opens",
        format!(
            "{} sent: {} took {} fen, {} found nothing, {} unknown, {} busy",
            grouped(report.open.sent),
            grouped(report.open.ok),
            grouped(report.open.fen),
            grouped(report.open.empty),
            grouped(report.open.unknown),
            grouped(report.open.busy)
        ),
    );
    for (name, count) in others(report) {
        line(name, requests(count));
    }
    if report.invites.received > 0 {
        let Invites { received, opened, fen, empty } = report.invites;
        let [received, opened, fen, empty] = [received, opened, fen, empty].map(grouped);
        line("invited", format!("{received} times: {opened} opens took {fen} fen, {empty} found nothing"));
    }
    if let Some(order) = &report.order {
        let [made, ordered, fen] = [order.packets_made, order.packets_ordered, order.fen_made].map(grouped);
        line("order", format!("{made} of {ordered} packets for {} users each, {fen} fen", order.recipients));
    }
    line(
        "trouble",
        format!(
            "{} timeouts, {} retransmissions, {} not made (window full), {} not made (rejoining), {} rejoins, {} send errors",
            grouped(report.timeouts),
            grouped(report.retransmits),
            grouped(report.schedule.window_full),
            grouped(report.schedule.not_joined),
            grouped(report.rejoins),
            grouped(report.sockets.send_errors)
        ),
    );
    line("kernel UDP", kernel(report));
    if let Some(server) = &report.server {
        line(
            "server",
            format!(
                "{} missed, {} won, {} opened, {} fen",
                grouped(server.shake_miss),
                grouped(server.shake_win),
                grouped(server.open_ok),
                grouped(server.open_fen)
            ),
        );
    }
    let host = &report.host;
    line("on", format!("{} × {}, Linux {}, commit {}", host.cores, host.cpu, host.kernel, host.commit));
    text.push_str(&super::spectrum::text(&report.latency));
    for problem in &report.check.problems {
        let _ = writeln!(text, "PROBLEM: {problem}");
    }
    let verdict = if report.check.ok { "every answer is right" } else { "NOT right, see above" };
    let _ = writeln!(text, "check: {verdict}");
    text
}

/// What was done of requests other than shakes and opens.
fn others(report: &Report) -> impl Iterator<Item = (&'static str, &Requests)> {
    let all = [
        ("sends", &report.send),
        ("shares", &report.share),
        ("grabs", &report.grab),
        ("balances", &report.balance),
        ("histories", &report.history),
    ];
    all.into_iter().filter(|(_, count)| count.sent > 0)
}

fn requests(count: &Requests) -> String {
    let Requests { sent, ok, refused, unknown, busy, not_done, other, fen } = *count;
    let [sent, ok, refused, unknown, busy] = [sent, ok, refused, unknown, busy].map(grouped);
    let mut text = format!("{sent} sent: {ok} done, {refused} refused, {unknown} unknown, {busy} busy");
    if not_done > 0 {
        let _ = write!(text, ", {} not done", grouped(not_done));
    }
    if fen > 0 {
        let _ = write!(text, ", {} fen", grouped(fen));
    }
    if other > 0 {
        let _ = write!(text, ", {other} WRONG");
    }
    text
}

fn kernel(report: &Report) -> String {
    let kernel = &report.kernel_udp;
    let Some(counted) = kernel.counted else { return "not said by this system".into() };
    let verdict = match kernel.agrees {
        Some(true) => "agree within 1%",
        Some(false) => "DIFFER by more than 1%",
        None => "not compared",
    };
    format!(
        "out {} of {} expected, in {} of {}: {verdict} ({})",
        grouped(counted.out_datagrams),
        grouped(kernel.expected_out),
        grouped(counted.in_datagrams),
        grouped(kernel.expected_in),
        kernel.note
    )
}

fn percentiles(of: &Percentiles) -> String {
    format!(
        "p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
        time(of.p50),
        time(of.p90),
        time(of.p99),
        time(of.p999),
        time(of.max)
    )
}

/// µs with a unit that fits.
pub fn time(us: f64) -> String {
    match us {
        ..1_000.0 => format!("{us:.0} µs"),
        ..10_000.0 => format!("{:.2} ms", us / 1e3),
        ..1_000_000.0 => format!("{:.0} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// A number with its thousands apart.
pub fn grouped(number: impl IntoNumber) -> String {
    let digits = number.rounded().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What can be shown as a whole number.
pub trait IntoNumber {
    /// The nearest whole number.
    fn rounded(self) -> u64;
}

impl IntoNumber for u64 {
    fn rounded(self) -> u64 {
        self
    }
}

impl IntoNumber for f64 {
    fn rounded(self) -> u64 {
        self.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_easy_to_read() {
        assert_eq!([0u64, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(grouped(29_999.7), "30,000");
        assert_eq!([12.4, 1_234.0, 45_600.0, 2_500_000.0].map(time), ["12 µs", "1.23 ms", "46 ms", "2.50 s"]);
    }
}
