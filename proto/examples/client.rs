//! One user on a real socket: joins, sends a packet if asked to, shakes once a second, opens what it wins and
//! what it is invited to, and says how it went.
//!
//! `cargo run -p redpkt-proto --example client -- ADDR TICKET [SHAKES] [--send TO[,TO...] --fen N]`, with a
//! TICKET as `redpkt ticket` prints. With `--send` it makes a packet of N fen with a share for each TO.

use rand::SeedableRng;
use redpkt_proto::body::Status;
use redpkt_proto::client::{Call, CallError, Config, Event, Outcome, Reply, Session, datagram_buffer};
use redpkt_proto::{DATAGRAM_BYTES_MAX, Now, Rng, Terms, frame, ticket::Ticket};
use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::net::UdpSocket;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zerocopy::IntoBytes;

const USAGE: &str = "usage: client ADDR TICKET [SHAKES] [--send TO[,TO...] --fen N]";

struct Args {
    addr: String,
    ticket: Ticket,
    shakes: u32,
    terms: Option<Box<Terms>>,
}

fn args() -> Result<Args, Box<dyn Error>> {
    let (mut plain, mut recipients, mut fen) = (Vec::new(), Vec::new(), None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--send" => {
                let users = args.next().ok_or(USAGE)?;
                recipients = users.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            "--fen" => fen = Some(args.next().ok_or(USAGE)?.parse()?),
            _ => plain.push(arg),
        }
    }
    let [addr, ticket, rest @ ..] = plain.as_slice() else { return Err(USAGE.into()) };
    let terms = match (fen, recipients.len()) {
        (None, 0) => None,
        (Some(total_fen), shares @ 1..=255) => {
            Some(Box::new(Terms { total_fen, shares: shares as u8, equal: false, recipients }))
        }
        _ => return Err(USAGE.into()),
    };
    let shakes = rest.first().map_or(Ok(10), |shakes| shakes.parse())?;
    Ok(Args { addr: addr.clone(), ticket: ticket.parse()?, shakes, terms })
}

fn main() -> Result<(), Box<dyn Error>> {
    let Args { addr, ticket, shakes: mut shakes_left, terms } = args()?;
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
    let (mut shake_due_ns, mut seen) = (0, HashSet::new());
    // What is called as soon as the session takes it.
    let mut wanted: VecDeque<Call> = terms.map(|terms| Call::Send { terms }).into_iter().collect();
    loop {
        if shakes_left > 0 && shake_due_ns <= clock().mono_ns && session.call(clock(), Call::Shake).is_ok() {
            (shakes_left, shake_due_ns) = (shakes_left - 1, clock().mono_ns + 1_000_000_000);
        }
        while session.is_joined()
            && let Some(call) = wanted.front()
        {
            match session.call(clock(), call.clone()) {
                Ok(_) => drop(wanted.pop_front()),
                Err(CallError::NotJoined | CallError::WindowFull | CallError::SeqsUsedUp) => break,
                Err(error) => return Err(error.into()),
            }
        }
        session.on_timeout(clock(), &mut rng, &mut events);
        for event in events.drain(..) {
            match event {
                Event::Answered {
                    call: Call::Shake,
                    outcome: Outcome::Known(Reply { status: Status::Ok, packet, .. }),
                    ..
                } => {
                    println!("won packet {packet:x}");
                    wanted.push_back(Call::Open { packet });
                }
                // It may come more than once.
                Event::Invited { packet, from, shares, total_fen, .. } => {
                    if seen.insert(packet) {
                        println!(
                            "user {from} invites to packet {packet:x}: {total_fen} fen in {shares} shares"
                        );
                        wanted.push_back(Call::Open { packet });
                    }
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
        if shakes_left == 0 && wanted.is_empty() && session.in_flight() == 0 {
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
