//! Drives the phases, as an operator would: rates by `POST /qps` to each client host, packets by `POST /mint` and
//! `POST /send` to the server.

use super::field::Field;
use super::moment::{ClientTotals, Moment, OrderTotals, ServerTotals};
use super::plan::{PhasePlan, Plan, RECIPIENTS};
use super::progress::Progress;
use super::windows::{Window, Windows};
use crate::rate::set_rates;
use redpkt::cli::Failure;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long no session may come before opening them is given up.
const STALLED_MAX: Duration = Duration::from_secs(60);

/// After a rate was set, until it is measured.
const LEAD: Duration = Duration::from_secs(2);

/// How long packets may take until they are all opened, beyond the time in which they are made.
const REST_MAX: Duration = Duration::from_secs(60);

/// The sessions of one client host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostSessions {
    /// Which host, from 1.
    pub host: u32,
    /// Where its users speak from.
    pub address: String,
    /// Its users.
    pub users: u64,
    /// Of these, those with an open session.
    pub sessions: u64,
}

/// How sessions were opened.
#[derive(Clone, Debug, Serialize)]
pub struct Opened {
    /// Sessions by the server's count.
    pub sessions: u64,
    /// How long it took, in s.
    pub seconds: f64,
    /// By client host.
    pub hosts: Vec<HostSessions>,
}

/// What came of packets that were ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Flow {
    /// Packets that were made.
    pub made: u64,
    /// Made, a second.
    pub made_per_s: f64,
    /// Opens that took money, a second, while they were made.
    pub opened_per_s: f64,
}

/// What came of a phase with shakes.
#[derive(Clone, Debug, Serialize)]
pub struct Shaken {
    /// What was asked for.
    pub plan: PhasePlan,
    /// Shakes answered a second, as clients count them.
    pub shakes_per_s: f64,
    /// The same as the server counts them.
    pub server_shakes_per_s: f64,
    /// The slowest second, as clients count it.
    pub slowest_per_s: f64,
    /// Packets to shake for.
    pub mint: Flow,
    /// Packets won a second while they were minted, as clients count them.
    pub wins_per_s: f64,
    /// The same by windows of 10 s.
    pub windows: Vec<Window>,
    /// Packets of the house.
    pub send: Flow,
    /// Packets won in the phase.
    pub wins: u64,
    /// Opens that took money in the phase, and what they took, in fen.
    pub opens: (u64, u64),
    /// The same as the server counts them.
    pub server_opens: (u64, u64),
    /// What was to be opened, and what it held, in fen.
    pub to_open: (u64, u64),
    /// Requests without an answer.
    pub timeouts: u64,
    /// Sessions that were renewed.
    pub rejoins: u64,
    /// How long it took, in s.
    pub seconds: f64,
}

/// Opens all sessions.
pub fn open_sessions(field: &mut Field, plan: &Plan, progress: &mut Progress) -> Result<Opened, Failure> {
    let begun = Instant::now();
    let mut grown = (0, Instant::now());
    loop {
        let moment = field.look()?;
        let sessions = moment.server.sessions;
        progress.opening(sessions, plan.users, begun.elapsed());
        if sessions > grown.0 {
            grown = (sessions, Instant::now());
        }
        // The server was asked before the clients, and may have had one less then than they have now.
        let are_open =
            sessions >= plan.users && moment.clients.iter().all(|client| client.phase == "running");
        if are_open || grown.1.elapsed() > STALLED_MAX {
            let host = |(at, client): (usize, &ClientTotals)| HostSessions {
                host: at as u32 + 1,
                address: field.hosts[at].address.to_string(),
                users: client.users,
                sessions: client.sessions,
            };
            let hosts = moment.clients.iter().enumerate().map(host).collect();
            return Ok(Opened { sessions, seconds: begun.elapsed().as_secs_f64(), hosts });
        }
        std::thread::sleep(LOOK_EVERY.min(Duration::from_millis(500)));
    }
}

/// A phase on its way.
struct Drive<'a> {
    field: &'a mut Field,
    progress: &'a mut Progress,
    plan: PhasePlan,
    /// The last look.
    last: Moment,
    /// When the next one is due.
    next: Instant,
    slowest_per_s: f64,
}

/// Goes through a phase with shakes: they go on while packets are minted, then while packets are sent, until the last
/// one is opened.
pub fn shake(field: &mut Field, plan: &PhasePlan, progress: &mut Progress) -> Result<Shaken, Failure> {
    let before = field.look()?;
    let rates = set_rates(plan.qps, &field.host_urls())?;
    if let [why, ..] = &rates.away[..] {
        return Err(Failure::machine(why));
    }
    let mut drive = Drive {
        field,
        progress,
        plan: *plan,
        last: before.clone(),
        next: Instant::now() + LEAD,
        slowest_per_s: f64::INFINITY,
    };
    drive.last = drive.look()?;
    let first = drive.last.clone();
    drive.slowest_per_s = f64::INFINITY;
    let [mint_id, send_id] = ["shake", "send"].map(|what| format!("practice-{}-{what}", plan.number));
    let (mint, windows, wins_per_s) = drive.mint(&mint_id)?;
    let send = drive.send(&send_id, &before, mint.made)?;
    let last = drive.last.clone();
    let slowest_per_s = drive.slowest_per_s;
    let order = |id: &str| last.server.order(id);
    let (minted, sent) = (order(&mint_id), order(&send_id));
    let grown = |of: fn(&ClientTotals) -> u64| last.clients(of) - before.clients(of);
    let served = |of: fn(&ServerTotals) -> u64| of(&last.server) - of(&before.server);
    Ok(Shaken {
        plan: *plan,
        shakes_per_s: last.clients_per_s(&first, |client| client.shakes),
        server_shakes_per_s: last.server_per_s(&first, |server| server.shakes),
        slowest_per_s: if slowest_per_s.is_finite() { slowest_per_s } else { 0.0 },
        mint,
        wins_per_s,
        windows,
        send,
        wins: grown(|client| client.wins),
        opens: (grown(|client| client.opens), grown(|client| client.fen)),
        server_opens: (served(|server| server.opens), served(|server| server.fen)),
        to_open: (minted.made + RECIPIENTS * sent.made, minted.fen + sent.fen),
        timeouts: grown(|client| client.timeouts),
        rejoins: grown(|client| client.rejoins),
        seconds: last.server.wall_ms.saturating_sub(before.server.wall_ms) as f64 / 1e3,
    })
}

impl Drive<'_> {
    /// Waits until the next second and looks.
    fn look(&mut self) -> Result<Moment, Failure> {
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next = Instant::now().max(self.next) + LOOK_EVERY;
        let moment = self.field.look()?;
        let shakes_per_s = moment.clients_per_s(&self.last, |client| client.shakes);
        self.slowest_per_s = self.slowest_per_s.min(shakes_per_s);
        self.progress.shaking(&self.plan, shakes_per_s, &moment, &self.last);
        self.last = moment.clone();
        Ok(moment)
    }

    /// Has packets minted and waits until all of them are won.
    fn mint(&mut self, id: &str) -> Result<(Flow, Vec<Window>, f64), Failure> {
        let packets = self.plan.mint;
        let (rate, total) = (packets.per_s, packets.total);
        let wins_before = self.last.server.wins;
        self.field.order(&format!("mint?id={id}&rate={rate}&total={total}&fen=1..200"))?;
        let until = Instant::now() + packets.time() + REST_MAX;
        let mut windows = Windows::new(packets.per_s as f64);
        let mut span = Span::new(id);
        loop {
            let moment = self.look()?;
            let order = moment.server.order(id);
            if span.push(&moment) {
                windows.push(&moment);
            }
            let all_won = order.is_done && moment.server.wins >= wins_before + order.made;
            if all_won || Instant::now() >= until {
                let wins_per_s = span.clients_per_s(|client| client.wins);
                return Ok((span.flow(order), windows.done(), wins_per_s));
            }
        }
    }

    /// Has packets sent and waits until all that was made since `before` is opened.
    fn send(&mut self, id: &str, before: &Moment, minted: u64) -> Result<Flow, Failure> {
        let packets = self.plan.send;
        let (rate, total) = (packets.per_s, packets.total);
        let order = format!(
            "send?id={id}&rate={rate}&total={total}&recipients={RECIPIENTS}&shares={RECIPIENTS}&fen=3..300"
        );
        self.field.order(&order)?;
        let until = Instant::now() + packets.time() + REST_MAX;
        let mut span = Span::new(id);
        loop {
            let moment = self.look()?;
            let order = moment.server.order(id);
            span.push(&moment);
            let opens = moment.clients(|client| client.opens) - before.clients(|client| client.opens);
            let all_opened = order.is_done && opens >= minted + RECIPIENTS * order.made;
            if all_opened || Instant::now() >= until {
                return Ok(span.flow(order));
            }
        }
    }
}

/// The time in which packets of an order are made.
struct Span {
    id: String,
    first: Option<Moment>,
    last: Option<Moment>,
}

impl Span {
    fn new(id: &str) -> Span {
        Span { id: id.to_owned(), first: None, last: None }
    }

    /// Takes a moment; whether packets are being made in it: some are there, and some are left.
    fn push(&mut self, moment: &Moment) -> bool {
        let order = moment.server.order(&self.id);
        let is_on = order.made > 0 && !order.is_done;
        if is_on {
            self.first.get_or_insert_with(|| moment.clone());
            self.last = Some(moment.clone());
        }
        is_on
    }

    fn per_s(&self, of: impl Fn(&Moment, &Moment) -> f64) -> f64 {
        match (&self.last, &self.first) {
            (Some(last), Some(first)) if last.server.wall_ms > first.server.wall_ms => of(last, first),
            _ => 0.0,
        }
    }

    fn clients_per_s(&self, figure: fn(&ClientTotals) -> u64) -> f64 {
        self.per_s(|last, first| last.clients_per_s(first, figure))
    }

    fn flow(&self, order: OrderTotals) -> Flow {
        let made = |server: &ServerTotals| server.order(&self.id).made;
        let made_per_s = self.per_s(|last, first| {
            let ms = last.server.wall_ms - first.server.wall_ms;
            (made(&last.server) - made(&first.server)) as f64 * 1e3 / ms as f64
        });
        Flow { made: order.made, made_per_s, opened_per_s: self.clients_per_s(|client| client.opens) }
    }
}
