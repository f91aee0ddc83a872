//! One user on a real socket: joins, shakes once a second, opens what it wins, and says how it went.
//!
//! `cargo run -p redpkt-proto --example client -- ADDR TICKET [SHAKES]`, with a TICKET as `redpkt ticket` prints.

use rand::SeedableRng;
use redpkt_proto::body::Status;
use redpkt_proto::client::{Call, Config, Event, Outcome, Session, datagram_buffer};
use redpkt_proto::{DATAGRAM_BYTES_MAX, Now, Rng, frame, ticket::Ticket};
use std::net::UdpSocket;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zerocopy::IntoBytes;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [addr, ticket, rest @ ..] = args.as_slice() else {
        return Err("usage: client ADDR TICKET [SHAKES]".into());
    };
    let ticket: Ticket = ticket.parse()?;
    let mut shakes_left: u32 = rest.first().map_or(Ok(10), |shakes| shakes.parse())?;

    let local = if addr.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(local)?;
    socket.connect(addr)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| format!("no random seed: {error}"))?;
    let mut rng = Rng::from_seed(seed);
    let start = Instant::now();
    let clock = || Now {
        mono_ns: start.elapsed().as_nanos() as u64 + 1,
        wall_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
    };

    let mut session = Session::new(ticket, Config::default().into(), clock(), &mut rng);
    let (mut events, mut out, mut bytes) = (Vec::new(), datagram_buffer(), [0; DATAGRAM_BYTES_MAX + 1]);
    let mut shake_due_ns = 0;
    loop {
        if shakes_left > 0 && shake_due_ns <= clock().mono_ns && session.call(clock(), Call::Shake).is_ok() {
            (shakes_left, shake_due_ns) = (shakes_left - 1, clock().mono_ns + 1_000_000_000);
        }
        session.on_timeout(clock(), &mut rng, &mut events);
        for event in events.drain(..) {
            match event {
                Event::Answered { call: Call::Shake, outcome: Outcome::Known(reply), .. }
                    if reply.status == Status::Ok =>
                {
                    println!("won packet {:x}", reply.packet);
                    session.call(clock(), Call::Open { packet: reply.packet })?;
                }
                Event::JoinRefused { code, retries: false, .. } => {
                    return Err(format!("refused: {code:?}").into());
                }
                Event::Answered { call, outcome, .. } => println!("{call:?}: {outcome:?}"),
                other => println!("{other:?}"),
            }
        }
        loop {
            let count = session.transmit(clock(), &mut rng, &mut out);
            if count == 0 {
                break;
            }
            // A datagram that the kernel does not take is a lost one: the session sends it again.
            let _ = socket.send(out[..count].as_bytes());
        }
        if shakes_left == 0 && session.in_flight() == 0 {
            return Ok(());
        }
        // With shakes left, not later than the next one: it may be waiting for the join.
        let wait_ns = session.timeout_ns().saturating_sub(clock().mono_ns).clamp(1_000_000, 100_000_000);
        socket.set_read_timeout(Some(Duration::from_nanos(wait_ns)))?;
        if let Ok(len) = socket.recv(&mut bytes)
            && let Some(frames) = frame::frames_mut(&mut bytes[..len])
        {
            session.receive(clock(), frames, &mut rng, &mut events);
        }
    }
}
