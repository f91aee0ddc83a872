//! One sealed shake in process, without sockets: from the datagram's bytes to the sealed answer, over
//! sessions in random order, in batches of 64 datagrams, on one core. Over 1,000,000 sessions, and over
//! 10,000, which fit into the caches: the difference is what memory costs. Beside it the cipher alone, one
//! frame at a time and four at once.
//!
//! `cargo bench -p redpkt-bench --bench core`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt as _, SeedableRng as _};
use redpkt::ledger::Memory;
use redpkt::set::book::Book;
use redpkt::set::links::Links;
use redpkt::set::{Beginning, Capacity, Config, Core, Hardware, Job, LANES, Portable};
use redpkt::worker::ThisProcessor;
use redpkt_proto::body::{Challenge, Hello, Join, Request, Welcome};
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::seal::{SessionKey, seal};
use redpkt_proto::steer::Layout;
use redpkt_proto::{Direction, Frame, Header, Now, Op, Path, Rng, handshake};
use std::time::{Duration, Instant};

const BATCH: usize = 64;
const BATCHES: usize = 256;
const START: Now = Now { mono_ns: 1_000_000_000, wall_ms: 1_800_000_000_000 };

struct Client {
    user: u64,
    key: SessionKey,
    number: u32,
    seq: u32,
    counter: u32,
    path: Path,
}

fn core(sessions: u64) -> (Core<Memory>, Vec<Client>) {
    let mut rng = Rng::seed_from_u64(1);
    let keys = KeyRing::generate(&mut rng);
    let sets = (sessions / 4_000).next_power_of_two() as u32;
    let config = Config {
        machine: 0,
        layout: Layout { sets, groups: 1, workers: 1 },
        worker: 0,
        capacity: Capacity::of_totals(sets, sessions, 1_000, 1_000, 1_000),
        prefix_sessions: 0,
        prefix_joins_per_s: 0,
        relay_questions: 0,
        shakes_per_s: 0,
        keepalive_s: 25,
        idle_s: 90,
        promises: 1_024,
        pushes: 1_024,
        wins_per_user: 0,
        packet_life_s: 86_400,
    };
    let book = Book::new(0, config.layout, &config.capacity, || 3);
    let beginning =
        Beginning { groups: vec![(book, Memory::default())], links: Links::default(), key_log: None };
    let mut core = Core::new(config, keys.clone(), START, Rng::seed_from_u64(2), beginning);
    redpkt::net::advise_huge_pages(core.session_memory());
    let clients = (1..=sessions).map(|user| join(&mut core, &keys, user, &mut rng)).collect();
    (core, clients)
}

fn join(core: &mut Core<Memory>, keys: &KeyRing, user: u64, rng: &mut Rng) -> Client {
    let path = Path::new(([10, 0, (user >> 8) as u8, user as u8], 4_000).into(), 0);
    let ticket = keys.issue(user, u32::MAX, rng);
    let client_random: [u8; 8] = rng.random();
    let mut ask = |frame: Frame| {
        let mut frames = [frame];
        let mut jobs = [Job { path, frames: &mut frames, replies: 0 }];
        core.handle_batch(START, 0, &mut jobs, ThisProcessor::detect());
        assert_eq!(jobs[0].replies, 1);
        frames[0]
    };
    let hello = Hello { ticket: ticket.fields, client_random, reserved: [0; 12] };
    let challenge =
        ask(handshake::frame(&ticket.secret, user, Direction::ToServer, Op::Hello, &hello, &client_random));
    let cookie = challenge.body::<Challenge>().cookie;
    let join = Join { ticket: ticket.fields, client_random, cookie };
    let welcome =
        ask(handshake::frame(&ticket.secret, user, Direction::ToServer, Op::Join, &join, &client_random))
            .body::<Welcome>();
    let number = welcome.session_number.get();
    let key = handshake::session_key(&ticket.secret, user, &client_random, &welcome.server_random, number);
    Client { user, key, number, seq: 0, counter: 0, path }
}

impl Client {
    fn example(key: &SessionKey) -> Client {
        Client { user: 1, key: key.clone(), number: 1, seq: 0, counter: 0, path: Path::NONE }
    }

    fn shake(&mut self) -> Frame {
        self.seq += 1;
        self.counter += 1;
        let mut header = Header::new(self.user, Direction::ToServer, Op::Shake);
        header.seq = self.seq.into();
        let request = Request {
            req: (u64::from(self.number) << 32 | u64::from(self.counter)).into(),
            attempt: 0,
            reserved: [0; 7],
            packet: 0.into(),
            user: 0.into(),
        };
        let mut frame = Frame::new(header, &request);
        seal(&self.key, &mut frame);
        frame
    }
}

fn shakes(criterion: &mut Criterion) {
    shakes_over(criterion, 1_000_000);
    shakes_over(criterion, 10_000);
}

fn shakes_over(criterion: &mut Criterion, sessions: u64) {
    let (mut core, mut clients) = core(sessions);
    let mut rng = Rng::seed_from_u64(3);
    let mut frames: Vec<(Path, [Frame; 1])> = Vec::with_capacity(BATCH * BATCHES);
    let mut group = criterion.benchmark_group("core");
    group.throughput(Throughput::Elements(1));
    group.bench_function(format!("sealed shake over {sessions} sessions"), |bencher| {
        bencher.iter_custom(|wanted| {
            let mut spent = Duration::ZERO;
            let mut done = 0;
            while done < wanted {
                frames.clear();
                while frames.len() < BATCH * BATCHES {
                    let client = &mut clients[rng.random_range(0..sessions as usize)];
                    frames.push((client.path, [client.shake()]));
                }
                for batch in frames.chunks_mut(BATCH) {
                    let start = Instant::now();
                    let mut jobs =
                        batch.iter_mut().map(|(path, frames)| Job { path: *path, frames, replies: 0 });
                    let mut jobs: [Job<'_>; BATCH] =
                        std::array::from_fn(|_| jobs.next().expect("a whole batch"));
                    core.handle_batch(START, 0, &mut jobs, ThisProcessor::detect());
                    spent += start.elapsed();
                    assert!(jobs.iter().all(|job| job.replies == 1));
                }
                done += frames.len() as u64;
            }
            spent.mul_f64(wanted as f64 / done as f64)
        });
    });
}

/// What four frames side by side gain: one frame sealed and opened again, under changing keys.
fn ciphers(criterion: &mut Criterion) {
    cipher(criterion, "seal and open one by one", Portable);
    cipher(criterion, "seal and open four at once", ThisProcessor::detect());
}

fn cipher(criterion: &mut Criterion, name: &str, hardware: impl Hardware) {
    let mut rng = Rng::seed_from_u64(4);
    let keys: [SessionKey; 64] = std::array::from_fn(|_| SessionKey::from_bytes(rng.random()));
    let mut frames = [Client::example(&keys[0]).shake(); LANES];
    let mut group = criterion.benchmark_group("cipher");
    group.throughput(Throughput::Elements(LANES as u64));
    group.bench_function(name, |bencher| {
        let mut at = 0;
        bencher.iter(|| {
            at = (at + LANES) % keys.len();
            let keys: [&SessionKey; LANES] = std::array::from_fn(|lane| &keys[at + lane]);
            hardware.seal(&keys, &mut frames);
            hardware.open(&keys, &mut frames)
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(10));
    targets = shakes, ciphers
}
criterion_main!(benches);
