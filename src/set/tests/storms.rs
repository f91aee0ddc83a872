//! Whatever users do, disks do, and crashes do: the rules on money hold at every instant.

use super::client::{Client, Said};
use super::world::{World, capacity, order, workers};
use crate::ledger::{Kind, Row};
use crate::set::book::Order;
use crate::set::fault::{self, Fault};
use crate::set::{Config, SetState};
use proptest::prelude::*;
use redpkt_proto::body::Status;
use redpkt_proto::{Frame, Op};
use std::collections::HashMap;

const USERS: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    Mint { fen: u64, shares: u16 },
    Deposit { user: usize, fen: u64 },
    Shake { user: usize },
    Send { user: usize, fen: u32, shares: u8, to: usize },
    About { user: usize, op: Op, packet: usize, other: usize },
    Again { user: usize, back: usize },
    Rejoin { user: usize },
    Disk { group: usize, off: bool },
    Fail { group: usize },
    Rebuild { group: u32, turns_more: usize },
    Crash { turns_more: usize },
    Panic { fault: Fault },
    RebuildSet,
    Drain { set: u32, on: bool },
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let user = 0..USERS;
    let op = prop_oneof![4 => Just(Op::Open), 2 => Just(Op::Grab), 2 => Just(Op::Share)];
    prop_oneof![
        2 => (1u64..500, 1u16..4).prop_map(|(fen, shares)| Step::Mint { fen: fen + 3, shares }),
        3 => (user.clone(), 1u64..500).prop_map(|(user, fen)| Step::Deposit { user, fen }),
        5 => user.clone().prop_map(|user| Step::Shake { user }),
        6 => (user.clone(), 1u32..300, 1u8..4, user.clone())
            .prop_map(|(user, fen, shares, to)| Step::Send { user, fen, shares, to }),
        14 => (user.clone(), op, 0usize..20, user.clone())
            .prop_map(|(user, op, packet, other)| Step::About { user, op, packet, other }),
        6 => (user.clone(), 0usize..6).prop_map(|(user, back)| Step::Again { user, back }),
        1 => user.prop_map(|user| Step::Rejoin { user }),
        4 => (0usize..4, any::<bool>()).prop_map(|(group, off)| Step::Disk { group, off }),
        1 => (0usize..4).prop_map(|group| Step::Fail { group }),
        2 => (0u32..4, 0usize..3).prop_map(|(group, turns_more)| Step::Rebuild { group, turns_more }),
        3 => fault().prop_map(|fault| Step::Panic { fault }),
        3 => Just(Step::RebuildSet),
        1 => (0u32..4, any::<bool>()).prop_map(|(set, on)| Step::Drain { set, on }),
        1 => (0usize..3).prop_map(|turns_more| Step::Crash { turns_more }),
        2 => prop_oneof![Just(1_500u64), Just(1_300_000)].prop_map(|ms| Step::Wait { ms }),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![
        Fault::Shake,
        Fault::Handshake,
        Fault::HalfApplied,
        Fault::HalfApplied,
        Fault::Applied,
        Fault::Applied,
        Fault::Question,
        Fault::Decided,
        Fault::Mint,
        Fault::Expiry,
        Fault::Settle,
        Fault::Push,
        Fault::Recount,
    ])
}

/// One request of a client, to be asked again as it was.
#[derive(Clone)]
enum Asked {
    About { op: Op, req: u64, packet: u64, other: u64 },
    Send { counter: u32, session: u32, fen: u32, shares: u8, to: Vec<u64> },
}

struct Player {
    client: Client,
    asked: Vec<Asked>,
}

/// What was told under each (user, req): a later answer must not contradict it.
#[derive(Default)]
struct Told(HashMap<(u64, u64), Said>);

impl Told {
    /// Expect: an answer about money stays what it was; what was told to have moved none never does later.
    fn check(&mut self, user: u64, op: u8, said: Said, req: u64) {
        let is_final = |status| {
            !matches!(
                status,
                Status::Busy
                    | Status::OutcomeUnknown
                    | Status::TooOld
                    | Status::Conflict
                    | Status::Incomplete
            )
        };
        if !is_final(said.status) || op == Op::Balance as u8 {
            return;
        }
        let first = *self.0.entry((user, req)).or_insert(said);
        let took = |said: Said| said.status == Status::Ok;
        assert_eq!(took(first), took(said), "user {user} req {req:x}: {first:?} then {said:?}");
        if took(first) {
            assert_eq!((first.packet, first.fen), (said.packet, said.fen), "user {user} req {req:x}");
        }
    }
}

struct Storm {
    world: World,
    players: Vec<Player>,
    told: Told,
    packets: Vec<u64>,
    paid: u64,
}

impl Storm {
    fn new() -> Storm {
        let config = Config {
            capacity: capacity(8, 16, 64),
            promises: 512,
            packet_life_s: 1_200,
            idle_s: 60_000,
            ..workers(2)
        };
        let mut world = World::new(config);
        let players = (1..=USERS as u64).map(|user| Player { client: world.client(user), asked: vec![] });
        let players = players.collect();
        Storm { world, players, told: Told::default(), packets: vec![], paid: 0 }
    }

    fn read(&mut self, out: &[(redpkt_proto::Path, Vec<Frame>)]) {
        for frame in out.iter().flat_map(|(_, frames)| frames) {
            let user = frame.header.user.get();
            if frame.header.op == Op::Invite as u8 || frame.header.op == Op::Stale as u8 {
                continue;
            }
            let client = &self.players[user as usize - 1].client;
            let answer = client.answer(frame);
            let said = Said::from(answer);
            if said.status == Status::Ok && said.packet != 0 && !self.packets.contains(&said.packet) {
                self.packets.push(said.packet);
            }
            self.told.check(user, frame.header.op, said, answer.req.get());
        }
    }

    fn ask(&mut self, user: usize, asked: &Asked) {
        let client = &mut self.players[user].client;
        let frames = match asked {
            Asked::About { op, req, packet, other } => vec![client.request_for(*op, *req, *packet, *other)],
            Asked::Send { counter, session, fen, shares, to } if *session == client.number => {
                client.send_frames(*counter, *fen, *shares, to)
            }
            Asked::Send { counter, session, .. } => {
                let req = u64::from(*session) << 32 | u64::from(*counter);
                vec![client.request(Op::Ask, req, 0)]
            }
        };
        let path = client.path;
        let out = self.world.batch(&[(path, frames)]);
        self.read(&out);
    }

    fn ask_new(&mut self, user: usize, asked: Asked) {
        self.ask(user, &asked);
        self.players[user].asked.push(asked);
    }

    fn rejoin(&mut self, user: usize) {
        // Nobody joins a SET that is masked or drained.
        if self.world.set_state(self.world.set_of(user as u64 + 1)) != SetState::Ok {
            return;
        }
        fault::disarm();
        // Promises to the old session that come during the join are not for the new one.
        let mut client = self.players[user].client.clone();
        client.join(&mut self.world);
        self.players[user].client = client;
    }

    fn run(&mut self, step: Step) {
        self.world.cores.iter_mut().for_each(|core| _ = core.take_done());
        match step {
            Step::Mint { fen, shares } if self.world.orders() < 30 => {
                self.world.order(&Order { shares, ..order(2, fen) });
            }
            Step::Mint { .. } => {}
            Step::Deposit { user, fen } => {
                let out = {
                    let now = self.world.now;
                    let user = user as u64 + 1;
                    self.paid += 1;
                    let id = format!("{}", self.paid);
                    let payment = crate::set::Payment { id, user, fen, is_deposit: true };
                    self.world.core_of(user).pay(&payment, 1, now);
                    self.world.settle()
                };
                self.read(&out);
            }
            Step::Shake { user } => {
                let req = self.players[user].client.next_req();
                self.ask_new(user, Asked::About { op: Op::Shake, req, packet: 0, other: 0 });
            }
            Step::Send { user, fen, shares, to } => {
                let client = &mut self.players[user].client;
                client.counter += 1;
                let (counter, session) = (client.counter, client.number);
                let to = vec![to as u64 + 1, (to as u64 + 1) % USERS as u64 + 1];
                self.ask_new(user, Asked::Send { counter, session, fen, shares, to });
            }
            Step::About { user, op, packet, other } => {
                let Some(packet) = self.packets.get(packet).copied() else { return };
                let req = self.players[user].client.next_req();
                let other = if op == Op::Share { other as u64 + 1 } else { 0 };
                self.ask_new(user, Asked::About { op, req, packet, other });
            }
            Step::Again { user, back } => {
                let asked = &self.players[user].asked;
                if let Some(asked) = asked.len().checked_sub(back + 1).map(|at| asked[at].clone()) {
                    self.ask(user, &asked);
                }
            }
            Step::Rejoin { user } => self.rejoin(user),
            Step::Disk { group, off } => {
                self.world.ledgers[group].set_disk(!off);
                let out = self.world.settle();
                self.read(&out);
            }
            Step::Fail { group } => {
                self.world.ledgers[group].fail();
                let out = self.world.settle();
                self.read(&out);
            }
            Step::Rebuild { group, turns_more } => {
                let worker = (group % self.world.config.layout.workers) as usize;
                if self.world.cores[worker].can_be_rebuilt(group) {
                    self.world.rebuild(group, turns_more);
                    (0..USERS).for_each(|user| self.rejoin(user));
                }
            }
            Step::Crash { turns_more } => {
                self.world.crash_and_keep(turns_more);
                (0..USERS).for_each(|user| self.rejoin(user));
            }
            // Whatever comes next by there panics, if it is a SET's.
            Step::Panic { fault } => fault::arm(fault),
            Step::RebuildSet => {
                let masked = self.world.masked();
                let is_rebuilt: Vec<u32> =
                    masked.into_iter().filter(|set| self.world.rebuild_set(*set)).collect();
                for user in 0..USERS {
                    if is_rebuilt.contains(&self.world.set_of(user as u64 + 1)) {
                        self.rejoin(user);
                    }
                }
            }
            Step::Drain { set, on } => {
                let worker = self.world.config.layout.worker_of(set) as usize;
                self.world.cores[worker].set_draining(set, on);
            }
            Step::Wait { ms } => {
                self.world.pass_ms(ms);
                let out = self.world.settle();
                self.read(&out);
            }
        }
    }
}

/// Expect: at most one share for each (packet, user), each (user, req) executed once, deliveries once.
fn check_rows(rows: &[Row]) {
    let mut opens = HashMap::new();
    let mut executed = HashMap::new();
    for row in rows {
        if row.kind == Kind::Open {
            assert_eq!(opens.insert((row.packet, row.user), row.fen), None, "{row:?}");
        }
        if matches!(row.kind, Kind::Send | Kind::Share | Kind::Win | Kind::Grab | Kind::Open) && row.user != 0
        {
            assert_eq!(executed.insert((row.user, row.req), row.kind), None, "{row:?}");
        }
    }
    let told_again = rows.iter().filter(|row| row.kind == Kind::Told && row.detail >> 56 == Op::Open as u64);
    for row in told_again {
        assert_eq!(opens.get(&(row.packet, row.user)), Some(&(row.detail & ((1 << 48) - 1))), "{row:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    /// Expect: no fen is made or lost, in memory and in the journals; no answer is contradicted; whatever was told
    /// before a crash is true after it.
    #[test]
    fn the_rules_on_money_hold_through_crashes_and_failures(steps in prop::collection::vec(step(), 1..140)) {
        fault::disarm();
        let mut storm = Storm::new();
        for step in steps {
            storm.run(step);
            storm.world.check_conservation();
            check_rows(&storm.world.rows());
        }
        storm.run(Step::Crash { turns_more: 0 });
        storm.world.check_conservation();
        // Everything that was asked is asked once more: the answers are the same.
        for user in 0..USERS {
            for asked in storm.players[user].asked.clone() {
                storm.ask(user, &asked);
            }
        }
        storm.world.check_conservation();
        check_rows(&storm.world.rows());
        storm.world.audit();
    }
}
