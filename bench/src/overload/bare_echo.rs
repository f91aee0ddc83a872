//! The bare echo under the same loads: what becomes of a server that protects itself by nothing. It answers in the
//! order in which datagrams come, and what does not fit its socket's buffer is lost.

use super::figures::{Point, Span, datagrams, points, quantile_us, recovery_s, sum};
use super::stage::{Times, World};
use super::table::Part;
use super::thief::Thief;
use super::times::NORMAL;
use crate::child::{ChildCommand, ChildOptions, ServerChild};
use crate::lab::{PEERS, Side};
use crate::run::{Series, SeriesOptions};
use redpkt::cli::Failure;
use redpkt::net::affinity;
use redpkt::net::client::Peers;
use redpkt::net::xdp::{PeersOptions, XdpMode, XdpOptions, XdpPeers};
use redpkt_proto::frame::frames_mut;
use redpkt_proto::{Direction, Frame, Header, Op};
use serde::Serialize;
use std::time::{Duration, Instant};
use zerocopy::{FromZeros as _, IntoBytes as _};

/// The share of a load that the generator must have sent.
const KEPT: f64 = 0.95;

/// Addresses that datagrams come from, in turn.
const PEERS_COUNT: usize = 4_096;

/// Datagrams sent at once at the most.
const TOGETHER: u64 = 256;

/// The longest pause between two looks at the clock.
const PAUSE: Duration = Duration::from_micros(200);

/// How long echoes are waited for at the end: longer than a full buffer takes.
const LAST: Duration = Duration::from_secs(1);

/// What became of the echo under one load.
#[derive(Clone, Debug, Serialize)]
pub struct Echo {
    /// Its name, as for `--only`.
    pub name: String,
    /// Offered load, over the server's knee.
    pub offered_x: f64,
    /// What the generator sent of it.
    pub sent_x: f64,
    /// Whether it could not do all of it.
    pub generator_limited: bool,
    /// Echoes a second, over the server's knee.
    pub goodput_share: f64,
    /// The share of datagrams that never came back.
    pub lost_share: f64,
    /// 99% of those that did came back within, in µs.
    pub p99_us: f64,
    /// Before the load.
    pub p99_before_us: f64,
    /// After the load until latency was normal again, in s.
    pub recovery_s: Option<f64>,
    /// When the load began and ended, in s.
    pub load_s: (f64, f64),
    /// Piece by piece; echoes are told as shakes.
    pub series: Vec<Point>,
}

impl Echo {
    /// In few words.
    pub fn line(&self) -> String {
        format!(
            "{}: {:.2} x the knee went out{}, {:.2} x came back, {:.1}% lost, p99 {:.1} ms",
            self.name,
            self.sent_x,
            if self.generator_limited { " (the generator could do no more)" } else { "" },
            self.goodput_share,
            100.0 * self.lost_share,
            self.p99_us / 1e3
        )
    }
}

/// Half the knee, so many times of it, half of it again.
pub fn play(world: &World, times: u32) -> Result<Echo, Failure> {
    let interface = |side| world.lab.interface(side).to_owned();
    let mut arguments = vec![format!("--core={}", world.cores.server)];
    if world.io == "xdp" {
        arguments.push(format!("--iface={}", interface(Side::Server)));
    }
    let child = ServerChild::start_in(&world.lab, ChildOptions::new(ChildCommand::Echo, arguments)?)?;
    let options = PeersOptions {
        server: child.listen(),
        count: PEERS_COUNT,
        network: PEERS[0].parse().ok(),
        server_mac: None,
        xdp: XdpOptions { interface: interface(Side::Client), vlan: None, mode: XdpMode::Auto },
    };
    let thief = Thief::start(world.share, world.cores.server)?;
    let drive = || -> Result<Series, Failure> {
        affinity::pin_current_thread(world.cores.client).map_err(Failure::machine)?;
        affinity::precise_timers().map_err(Failure::machine)?;
        let (peers, _) = XdpPeers::open(&options).map_err(Failure::machine)?;
        Ok(Caller::new(Peers::Xdp(peers), world.times).drive(world, f64::from(times)))
    };
    // On a thread of its own, which is pinned.
    let series = std::thread::scope(|scope| scope.spawn(drive).join())
        .map_err(|_| Failure::check("the echo's client has ended; its last words are above"))??;
    drop(thief);
    drop(child);
    Ok(echo(world, times, &series))
}

fn echo(world: &World, times: u32, series: &Series) -> Echo {
    let (before, load, after) = super::scenario::spans(world);
    let of = |span: Span| sum(&series.pieces, series.piece_s(), span).shake;
    let (lead, during) = (of(before), of(load));
    let p99_before_us = quantile_us(&lead.waited, 0.99).unwrap_or(0.0);
    let knee = world.knee_qps as f64;
    let sent_x = datagrams(series, load) as f64 / load.seconds() / knee;
    Echo {
        name: Part::Echo { times }.name(),
        offered_x: times.into(),
        sent_x,
        generator_limited: sent_x < KEPT * f64::from(times),
        goodput_share: during.answered as f64 / load.seconds() / knee,
        lost_share: 1.0 - during.answered_share(),
        p99_us: quantile_us(&during.waited, 0.99).unwrap_or(0.0),
        p99_before_us,
        recovery_s: recovery_s(series, after, p99_before_us),
        load_s: (load.from.as_secs_f64(), load.to.as_secs_f64()),
        series: points(&series.pieces, series, &[], world.time()),
    }
}

/// Sends at a rate that changes, and takes what comes back.
struct Caller {
    peers: Peers,
    begun: Instant,
    series: Series,
    sent: u64,
}

impl Caller {
    fn new(peers: Peers, times: Times) -> Caller {
        let options = SeriesOptions { piece: times.piece, apart: None };
        Caller { peers, begun: Instant::now(), series: Series::new(options, 0, 0), sent: 0 }
    }

    fn drive(mut self, world: &World, times: f64) -> Series {
        self.begun = Instant::now();
        let Times { lead, load, after, .. } = world.times;
        let mut end = Duration::ZERO;
        for (times, duration) in [(NORMAL, lead), (times, load), (NORMAL, after)] {
            let (begin, per_s) = (end, times * world.knee_qps as f64);
            end += duration;
            self.call(begin, end, per_s);
        }
        self.call(end, end + LAST, 0.0);
        self.series
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// At one rate, from when to when.
    fn call(&mut self, begin: Duration, end: Duration, per_s: f64) {
        let mut next = 0;
        loop {
            let now = self.now();
            if now >= end {
                return;
            }
            let due = (now.saturating_sub(begin).as_secs_f64() * per_s) as u64;
            let until = due.min(next + TOGETHER);
            for _ in next..until {
                let frame = question(self.sent, now.as_nanos() as u64);
                self.peers.send(self.sent as usize % PEERS_COUNT, frame.as_bytes());
                self.series.made(0, Op::Shake, now.as_nanos() as u64);
                self.sent += 1;
            }
            self.peers.flush();
            let datagrams = self.peers.counters().datagrams_sent;
            self.series.sent(datagrams, self.now().as_nanos() as u64);
            let Caller { peers, series, begun, .. } = self;
            peers.recv(&mut |_, bytes| {
                if let Some([frame]) = frames_mut(bytes) {
                    series.echoed(sent_ns(frame), begun.elapsed().as_nanos() as u64);
                }
            });
            next = until;
            if next == due {
                self.peers.wait(PAUSE);
            }
        }
    }
}

/// A whole frame, so that no program at an interface drops it; in its body when it was sent.
fn question(user: u64, now_ns: u64) -> Frame {
    let mut frame = Frame::new_zeroed();
    frame.header = Header::new(user, Direction::ToServer, Op::Shake);
    frame.body[..8].copy_from_slice(&now_ns.to_le_bytes());
    frame
}

fn sent_ns(frame: &Frame) -> u64 {
    u64::from_le_bytes(frame.body[..8].try_into().expect("8 bytes"))
}
