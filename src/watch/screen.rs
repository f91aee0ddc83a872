//! The whole terminal: the last minutes as bars, and what is behind the figures.

use super::Trouble;
use super::line::{latency, states};
use crate::page::words::{grouped, percent, rate, short, span};
use crate::record::{Count, Losses, Reading, Second, Series};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Gauge, Paragraph, Row, Sparkline, Table};
use ratatui::{DefaultTerminal, Frame};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// Seconds that are shown at the most; no terminal is wider.
const SECONDS_MAX: usize = 1_000;

/// The terminal, given back as it was when this is dropped, also by a panic.
pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal.
    pub fn open() -> io::Result<Screen> {
        Ok(Screen { terminal: ratatui::try_init()? })
    }

    /// Shows what is known.
    pub fn draw(&mut self, view: &Seen, series: &Series) -> io::Result<()> {
        self.terminal.draw(|frame| view.draw(frame, series)).map(|_| ())
    }

    /// Whether somebody has asked to leave, by q, Esc or Ctrl-C. Never waits.
    pub fn wants_to_leave(&self) -> bool {
        while event::poll(Duration::ZERO).unwrap_or(false) {
            let Ok(Event::Key(key)) = event::read() else { continue };
            let is_interrupt =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            let leaves = is_interrupt || matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc);
            if leaves && key.kind != KeyEventKind::Release {
                return true;
            }
        }
        false
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = ratatui::try_restore();
    }
}

/// What is shown.
#[derive(Debug, Default)]
pub struct Seen {
    seconds: VecDeque<Second>,
    troubles: Vec<Trouble>,
    recording: Option<String>,
}

impl Seen {
    /// Nothing yet; `recording` is where it is recorded.
    pub fn new(recording: Option<String>) -> Seen {
        Seen { recording, ..Seen::default() }
    }

    /// Takes the last second, and what is wrong now.
    pub fn push(&mut self, second: Second, troubles: Vec<Trouble>) {
        if self.seconds.len() == SECONDS_MAX {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second);
        self.troubles = troubles;
    }

    fn draw(&self, frame: &mut Frame<'_>, series: &Series) {
        let empty = Second::default();
        let last = self.seconds.back().unwrap_or(&empty);
        let troubles = self.troubles.len().min(3) as u16;
        let rows = [
            Constraint::Length(1),
            Constraint::Length(troubles),
            Constraint::Length(3),
            Constraint::Length(1),
            Constraint::Min(4),
            Constraint::Min(8),
            Constraint::Length(1),
        ];
        let [title, wrong, figures, load, bars, tables, foot] = Layout::vertical(rows).areas(frame.area());
        self.draw_title(frame, title, series, last);
        let lines: Vec<Line<'_>> =
            self.troubles.iter().take(3).map(|trouble| Line::from(trouble.to_string()).red()).collect();
        frame.render_widget(Paragraph::new(lines), wrong);
        frame.render_widget(Paragraph::new(lines_of(last)), figures);
        draw_load(frame, load, last);
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(bars);
        let qps = if last.gauges.servers > 0 { Count::Answers } else { Count::Answered };
        self.draw_bars(frame, left, "QPS", qps, Color::Blue);
        let pps = if last.gauges.servers > 0 { Count::DatagramsIn } else { Count::DatagramsReceived };
        self.draw_bars(frame, right, "PPS in", pps, Color::Green);
        let thirds = [Constraint::Fill(1), Constraint::Fill(1), Constraint::Fill(1)];
        let [drops, workers, sources] = Layout::horizontal(thirds).areas(tables);
        draw_drops(frame, drops, last, series);
        draw_workers(frame, workers, last);
        draw_sources(frame, sources, series);
        frame.render_widget(Paragraph::new("q leaves").dim(), foot);
    }

    fn draw_title(&self, frame: &mut Frame<'_>, area: Rect, series: &Series, last: &Second) {
        let gauges = &last.gauges;
        let recording =
            self.recording.as_ref().map_or_else(String::new, |dir| format!("  recording into {dir}"));
        let uptime = series.sources().iter().map(|source| source.reading.uptime_s()).fold(0.0, f64::max);
        let text = format!(
            "redpkt watch  {}, {}  up {}  watched {}{recording}",
            counted(gauges.servers, "server"),
            counted(gauges.clients, "client"),
            span(uptime),
            span(last.at_s)
        );
        frame.render_widget(Paragraph::new(text).bold(), area);
    }

    fn draw_bars(&self, frame: &mut Frame<'_>, area: Rect, name: &str, count: Count, color: Color) {
        let room = area.width.saturating_sub(2) as usize;
        let skipped = self.seconds.len().saturating_sub(room);
        let values: Vec<u64> =
            self.seconds.iter().skip(skipped).map(|second| second.per_s[count].max(0.0) as u64).collect();
        let most = values.iter().max().copied().unwrap_or(0);
        let now = values.last().copied().unwrap_or(0);
        let title = format!(" {name} {}, at most {} ", grouped(now), grouped(most));
        let block = Block::new().borders(Borders::ALL).title(title).border_style(Style::new().dim());
        frame.render_widget(
            Sparkline::default().block(block).data(&values).style(Style::new().fg(color)),
            area,
        );
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The figures of the last second.
fn lines_of(last: &Second) -> Vec<Line<'static>> {
    let per = |count: Count| rate(last.per_s[count]);
    let gauges = &last.gauges;
    let udp = if last.is_xdp { "AF_XDP (the kernel sees none)" } else { "kernel's UDP" };
    let of_server = gauges.servers > 0;
    let own = |server, client| per(if of_server { server } else { client });
    let mut state = states(last).join("  ");
    if !gauges.phase.is_empty() {
        state = format!("clients {}, want {} QPS  {state}", gauges.phase, rate(gauges.target_qps));
    }
    vec![
        Line::from(format!(
            "QPS {}   wins {}/s   opens {}/s   sessions {}   pool {}   p50/p99 {}",
            own(Count::Answers, Count::Answered),
            own(Count::Wins, Count::ClientWins),
            own(Count::Opens, Count::ClientOpens),
            grouped(gauges.sessions),
            grouped(gauges.pool_packets),
            latency(last)
        ))
        .bold(),
        Line::from(format!(
            "PPS in/out: application {}/{}   {udp} {}/{}   {} {}/{}",
            own(Count::DatagramsIn, Count::DatagramsReceived),
            own(Count::DatagramsOut, Count::DatagramsSent),
            per(Count::UdpIn),
            per(Count::UdpOut),
            if last.interfaces.is_empty() { "interface".to_owned() } else { last.interface_names() },
            per(Count::InterfaceIn),
            per(Count::InterfaceOut)
        )),
        Line::from(state).yellow(),
    ]
}

fn draw_load(frame: &mut Frame<'_>, area: Rect, last: &Second) {
    let level = last.gauges.load_level;
    let color = match level {
        0..160 => Color::Green,
        160..210 => Color::Yellow,
        _ => Color::Red,
    };
    let gauge = Gauge::default()
        .gauge_style(Style::new().fg(color))
        .ratio((level as f64 / 255.0).clamp(0.0, 1.0))
        .label(format!("load level {level}"));
    frame.render_widget(gauge, area);
}

fn table<'text>(title: &'text str, names: [&'text str; 3], rows: Vec<[String; 3]>) -> Table<'text> {
    let right = |text: String| Cell::from(Line::from(text).right_aligned());
    let rows = rows
        .into_iter()
        .map(move |[name, one, other]| Row::new([Cell::from(name), right(one), right(other)]));
    let header = Row::new([
        Cell::from(names[0]),
        Cell::from(Line::from(names[1]).right_aligned()),
        Cell::from(Line::from(names[2]).right_aligned()),
    ]);
    let widths = [Constraint::Fill(2), Constraint::Fill(1), Constraint::Fill(1)];
    let block = Block::new().borders(Borders::ALL).title(title).border_style(Style::new().dim());
    Table::new(rows, widths).header(header.dim()).block(block)
}

fn draw_drops(frame: &mut Frame<'_>, area: Rect, last: &Second, series: &Series) {
    let (now, all) = (Losses::of(&last.per_s), Losses::of(series.totals()));
    let mut rows: Vec<[String; 3]> = [
        ("card", now.nic, all.nic),
        ("softnet", now.softnet, all.softnet),
        ("socket", now.socket, all.socket),
        ("server", now.us, all.us),
    ]
    .map(|(place, now, all)| [place.to_owned(), rate(now), short(all)])
    .into();
    let mut reasons: Vec<_> = series.drops().iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in reasons {
        let now = last.drops.get(reason).map_or(0.0, |count| *count as f64 / last.span_s);
        rows.push([format!("  {reason}"), rate(now), short(*count as f64)]);
    }
    frame.render_widget(table(" drops ", ["place, reason", "a second", "in all"], rows), area);
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, last: &Second) {
    let row = |(number, worker): (usize, &crate::record::WorkerGauge)| {
        [
            format!("worker {number}: load {}", worker.load_level),
            percent(worker.cpu),
            short(worker.sessions as f64),
        ]
    };
    let rows = last.gauges.workers.iter().enumerate().map(row).collect();
    frame.render_widget(table(" workers ", ["", "core used", "sessions"], rows), area);
}

/// Groups of servers, and clients.
fn draw_sources(frame: &mut Frame<'_>, area: Rect, series: &Series) {
    let mut rows = Vec::new();
    for source in series.sources() {
        let place = source.url.trim_start_matches("http://").to_owned();
        match &source.reading {
            Reading::Server(server) => {
                rows.push([place, server.service.name.clone(), short(server.sessions as f64)]);
                for group in &server.groups {
                    let rows_now = short(group.rows as f64);
                    rows.push([
                        format!("  group {} {}", group.group, group.state),
                        format!("{rows_now} rows"),
                        short(group.sessions as f64),
                    ]);
                }
            }
            Reading::Client(client) => {
                rows.push([place, client.phase.clone(), short(client.sessions as f64)]);
            }
        }
    }
    frame.render_widget(table(" servers, groups, clients ", ["", "state", "sessions"], rows), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{GroupReading, Sample, ServerReading, Source, WorkerReading};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn sample(second: u64) -> Sample {
        let reading = ServerReading {
            uptime_s: 9.0 + second as f64,
            answers: 4_000 * second,
            sessions: 1_234,
            drops: [("tag".to_owned(), 3 * second)].into(),
            groups: vec![GroupReading { state: "failed".into(), ..GroupReading::default() }],
            workers: vec![WorkerReading { load_level: 33, ..WorkerReading::default() }],
            ..ServerReading::default()
        };
        let source = Source {
            url: "http://a:1".into(),
            reading: Reading::Server(Box::new(reading)),
            latencies: Default::default(),
        };
        Sample { wall_ms: 1_000 * (second + 1), sources: vec![source], interface: None }
    }

    /// Expect: all figures on a screen of the usual size, and no panic on a tiny one.
    #[test]
    fn a_screen_shows_the_figures() {
        let (mut series, mut seen) = (Series::new(), Seen::new(Some("runs/x".into())));
        for second in 0..5 {
            if let Some(happened) = series.push(&sample(second)) {
                let trouble = Trouble { source: "http://b:2".into(), why: "is away".into() };
                seen.push(happened, vec![trouble]);
            }
        }
        for (width, height) in [(1, 1), (20, 5), (120, 30)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| seen.draw(frame, &series)).unwrap();
            if width < 100 {
                continue;
            }
            let text = terminal.backend().to_string();
            for part in [
                "1 server, 0 clients",
                "runs/x",
                "http://b:2: is away",
                "QPS 4,000",
                "sessions 1,234",
                "tag",
                "load 33",
                "group 0 failed",
                "groups failed: 1",
                "q leaves",
            ] {
                assert!(text.contains(part), "no {part:?} in\n{text}");
            }
        }
    }
}
