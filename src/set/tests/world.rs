//! The cores of a server, ledgers whose disks can be held back or fail, and clients that make frames by hand.

use super::client::Client;
use crate::audit;
use crate::ledger::{Account, Kind, Ledger as _, Row, Simulated};
use crate::set::book::{Book, Order, Set, What};
use crate::set::fault;
use crate::set::links::{Delivery, Message, mesh};
use crate::set::{Beginning, Capacity, Config, Core, Counters, Drop, Job, Portable, SetPart, SetState};
use rand::{Rng as _, SeedableRng as _};
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::seal::SessionKey;
use redpkt_proto::steer::Layout;
use redpkt_proto::{Frame, Now, Op, Path, Rng, SESSION_STEP_MS};

/// The cores of a server's workers, their time, and everything a test needs of their surroundings.
pub struct World {
    pub cores: Vec<Core<Simulated>>,
    /// By group.
    pub ledgers: Vec<Simulated>,
    /// Of group 0.
    pub ledger: Simulated,
    pub config: Config,
    pub keys: KeyRing,
    pub now: Now,
    pub rng: Rng,
    /// What the control plane would give again after a start.
    orders: Vec<Order>,
}

pub fn path(port: u16) -> Path {
    Path::new(([192, 0, 2, 1], port).into(), 0)
}

pub fn config() -> Config {
    Config {
        machine: 3,
        layout: Layout { sets: 1, groups: 1, workers: 1 },
        worker: 0,
        capacity: capacity(8, 4, 16),
        prefix_sessions: 0,
        prefix_joins_per_s: 0,
        relay_questions: 0,
        shakes_per_s: 0,
        keepalive_s: 25,
        idle_s: 90,
        promises: 64,
        pushes: 64,
        wins_per_user: 0,
        packet_life_s: 3_600,
    }
}

pub fn capacity(sessions: usize, accounts: usize, packets: usize) -> Capacity {
    Capacity { sessions, accounts, packets, members: 64, invites: 64 }
}

/// Several workers with two groups each, and a SET for each group.
pub fn workers(workers: u32) -> Config {
    let groups = 2 * workers;
    let layout = Layout { sets: groups.next_power_of_two(), groups, workers };
    Config { layout, ..config() }
}

/// A group's book from its journal.
fn read(config: &Config, group: u32, ledger: &Simulated) -> Book {
    // What reads a journal is no SET at work.
    fault::disarm();
    let mut rng = Rng::seed_from_u64(9);
    let mut book = Book::new(group, config.layout, &config.capacity, || rng.next_u64());
    for (number, (row, note)) in (1..).zip(ledger.durable_rows()) {
        book.apply(&row, note.as_deref()).unwrap_or_else(|error| panic!("row {number} {row:?}: {error}"));
    }
    book
}

/// What a start makes of the ledgers: a book for each group, with all that was on its way to it delivered.
pub fn recover(config: &Config, ledgers: &[Simulated], now: Now) -> Vec<Book> {
    let mut books: Vec<Book> =
        (0..).zip(ledgers).map(|(group, ledger)| read(config, group, ledger)).collect();
    for book in &mut books {
        deliver(config, ledgers, book, now);
    }
    let invitations: Vec<_> = books.iter().flat_map(|book| book.invitations(config.machine)).collect();
    for invitation in invitations {
        let to = config.layout.group_of(config.layout.set_of(invitation.user)) as usize;
        books[to].set_of_user(invitation.user).invites.add(invitation, now.wall_s());
    }
    books
}

/// What the other groups owe to the users of this one comes into their wallets.
fn deliver(config: &Config, ledgers: &[Simulated], book: &mut Book, now: Now) {
    for from in 0..ledgers.len() as u32 {
        for delivery in cleared(from, &ledgers[from as usize]) {
            let to = config.layout.group_of(config.layout.set_of(delivery.user));
            if to == book.group() && delivery.row > book.delivered(from) {
                let row = delivery.row(now.wall_ms);
                ledgers[to as usize].clone().append(&row);
                book.apply(&row, None).unwrap();
            }
        }
    }
}

/// The money that a group owes or has owed to users of others.
pub fn cleared(from: u32, ledger: &Simulated) -> Vec<Delivery> {
    let is_cleared = |row: &Row| matches!((row.kind, row.credit), (Kind::Open, Account::Clearing(_)));
    let rows = (1..).zip(ledger.durable_rows()).filter(|(_, (row, _))| is_cleared(row));
    rows.map(|(number, (row, _))| {
        let Row { user, req, packet, fen, .. } = row;
        Delivery { user, req, packet, fen, group: from, row: number }
    })
    .collect()
}

impl World {
    pub fn new(config: Config) -> World {
        let mut rng = Rng::seed_from_u64(7);
        let keys = KeyRing::generate(&mut rng);
        let now = Now { mono_ns: 3_600_000_000_000, wall_ms: 1_800_000_000_000 };
        let ledgers: Vec<Simulated> = (0..config.layout.groups).map(|_| Simulated::default()).collect();
        let ledger = ledgers[0].clone();
        let mut world =
            World { cores: Vec::new(), ledgers, ledger, config, keys, now, rng, orders: Vec::new() };
        world.start();
        world
    }

    fn start(&mut self) {
        let mut books: Vec<Option<Book>> =
            recover(&self.config, &self.ledgers, self.now).into_iter().map(Some).collect();
        self.cores = mesh(self.config.layout.workers as usize)
            .into_iter()
            .zip(0..)
            .map(|(links, worker)| {
                let config = Config { worker, ..self.config.clone() };
                let own: Vec<u32> = config.own_groups().collect();
                let group = |group: u32| {
                    let book = books[group as usize].take().expect("each group has one worker");
                    (book, self.ledgers[group as usize].clone())
                };
                let groups = own.into_iter().map(group).collect();
                let rng = Rng::seed_from_u64(self.rng.next_u64());
                Core::new(
                    config,
                    self.keys.clone(),
                    self.now,
                    rng,
                    Beginning { groups, links, key_log: None },
                )
            })
            .collect();
    }

    /// SIGKILL, and a start from what was durable. Sessions are gone.
    pub fn crash(&mut self) {
        self.crash_and_keep(0);
    }

    /// The same, where so many turns more had reached the disk of each group.
    pub fn crash_and_keep(&mut self, turns_more: usize) {
        for ledger in &self.ledgers {
            ledger.crash(turns_more);
        }
        self.pass_ms(SESSION_STEP_MS);
        self.start();
        self.give_orders();
    }

    /// A group's journal read again, while the others go on; so many turns more had reached its disk.
    pub fn rebuild(&mut self, group: u32, turns_more: usize) {
        let worker = group % self.config.layout.workers;
        assert!(self.cores[worker as usize].can_be_rebuilt(group));
        self.ledgers[group as usize].crash(turns_more);
        let ledger = self.ledgers[group as usize].clone();
        let mut book = read(&self.config, group, &ledger);
        deliver(&self.config, &self.ledgers, &mut book, self.now);
        let owed = cleared(group, &ledger).into_iter().map(Message::Delivery).collect();
        self.cores[worker as usize].rebuild(book, ledger, owed, self.now);
        self.give_orders();
        self.settle();
    }

    /// A masked SET put back to work with what its journal says, while everything else serves.
    pub fn rebuild_set(&mut self, set: u32) -> bool {
        let (layout, machine) = (self.config.layout, self.config.machine);
        let group = layout.group_of(set);
        // What another group has promised and not said may be for a user of this SET.
        if self.ledgers.iter().any(Simulated::has_failed) {
            return false;
        }
        let ledger = &self.ledgers[group as usize];
        let up_to = ledger.durable_rows().len() as u64;
        let wall_s = self.now.wall_s();
        let part = SetPart::of(read(&self.config, group, ledger), set, up_to, machine, wall_s);
        let worker = layout.worker_of(set) as usize;
        let is_rebuilt = self.cores[worker].rebuild_set(part, self.now);
        self.settle();
        is_rebuilt
    }

    pub fn set_state(&self, set: u32) -> SetState {
        self.cores[self.config.layout.worker_of(set) as usize].set_state(set)
    }

    pub fn set_of(&self, user: u64) -> u32 {
        self.config.layout.set_of(user)
    }

    /// SETs that are masked.
    pub fn masked(&self) -> Vec<u32> {
        (0..self.config.layout.sets).filter(|set| self.set_state(*set) == SetState::Masked).collect()
    }

    pub fn pass_ms(&mut self, ms: u64) {
        self.now = self.now.plus_ns(ms * 1_000_000);
    }

    /// The core of a user's worker.
    pub fn core_of(&mut self, user: u64) -> &mut Core<Simulated> {
        let layout = &self.config.layout;
        let worker = layout.worker_of(layout.set_of(user));
        &mut self.cores[worker as usize]
    }

    /// Puts datagrams in as one batch for each worker; their replies, and then what the ledgers let out.
    pub fn batch(&mut self, datagrams: &[(Path, Vec<Frame>)]) -> Vec<(Path, Vec<Frame>)> {
        let mut out = Vec::new();
        let (now, layout) = (self.now, self.config.layout);
        for (worker, core) in (0..).zip(&mut self.cores) {
            let is_own = |(_, frames): &&(Path, Vec<Frame>)| {
                layout.workers == 1 || layout.worker_of(layout.set_of(frames[0].header.user.get())) == worker
            };
            let mut datagrams: Vec<_> = datagrams.iter().filter(is_own).cloned().collect();
            let mut jobs: Vec<Job<'_>> =
                datagrams.iter_mut().map(|(path, frames)| Job { path: *path, frames, replies: 0 }).collect();
            core.handle_batch(now, 0, &mut jobs, Portable);
            let replies = jobs.iter().filter(|job| job.replies > 0);
            out.extend(replies.map(|job| (job.path, job.frames[..job.replies].to_vec())));
        }
        out.extend(self.settle());
        out
    }

    /// Turns of all workers, until nobody has anything more for another.
    pub fn settle(&mut self) -> Vec<(Path, Vec<Frame>)> {
        let mut out = Vec::new();
        for _ in 0..4 * self.cores.len() + 2 {
            for core in &mut self.cores {
                core.turn(self.now, |path, frame| out.push((*path, vec![*frame])));
            }
        }
        out
    }

    /// Puts one datagram in; the frames that come out, wherever they go, but for invitations.
    pub fn ask(&mut self, path: Path, frames: &[Frame]) -> Vec<Frame> {
        let out = self.batch(&[(path, frames.to_vec())]);
        let frames = out.into_iter().flat_map(|(_, frames)| frames);
        frames.filter(|frame| frame.header.op != Op::Invite as u8).collect()
    }

    pub fn mint(&mut self, total: u64, fen: u64) {
        self.order(&order(total, fen));
    }

    /// Gives an order, and lets it be carried out.
    pub fn order(&mut self, order: &Order) {
        self.orders.push(order.clone());
        self.give_orders();
        for _ in 0..3 {
            self.pass_ms(1);
            self.cores.iter_mut().for_each(|core| _ = core.tick(self.now));
        }
    }

    /// All orders to all groups: those that have them already take them as given.
    fn give_orders(&mut self) {
        for (number, order) in (1..).zip(&self.orders) {
            for core in &mut self.cores {
                core.add_order(number, order, 7, self.now);
            }
        }
    }

    pub fn orders(&self) -> usize {
        self.orders.len()
    }

    /// The first user whose group is like that, and who is none of `not`.
    pub fn find(&self, not: &[u64], is_like: impl Fn(u32) -> bool) -> u64 {
        let layout = self.config.layout;
        let group = |user: u64| layout.group_of(layout.set_of(user));
        (1..).find(|user| !not.contains(user) && is_like(group(*user))).expect("each group has users")
    }

    /// Pays into a wallet.
    pub fn deposit(&mut self, user: u64, fen: u64) {
        let now = self.now;
        let payment = crate::set::Payment { id: format!("deposit {user}"), user, fen, is_deposit: true };
        self.core_of(user).pay(&payment, 1, now);
        self.settle();
    }

    /// All rows of all groups.
    pub fn rows(&self) -> Vec<Row> {
        self.ledgers.iter().flat_map(Simulated::rows).map(|(row, _)| row).collect()
    }

    pub fn set_disks(&self, on: bool) {
        self.ledgers.iter().for_each(|ledger| ledger.set_disk(on));
    }

    /// Of the first worker.
    pub fn counters(&self) -> Counters {
        *self.cores[0].counters()
    }

    /// A figure of all workers.
    pub fn count(&self, figure: impl Fn(&Counters) -> u64) -> u64 {
        self.cores.iter().map(|core| figure(core.counters())).sum()
    }

    pub fn dropped(&self, reason: Drop) -> u64 {
        self.count(|counters| counters.dropped(reason))
    }

    pub fn sessions(&self) -> u64 {
        self.cores.iter().flat_map(Core::set_stats).map(|set| set.sessions).sum()
    }

    /// A client of `user` that has not said anything yet.
    pub fn stranger(&mut self, user: u64) -> Client {
        let expiry_s = (self.now.wall_s() + 3_600) as u32;
        let ticket = self.keys.issue(user, expiry_s, &mut self.rng);
        let client_random = rand::RngExt::random(&mut self.rng);
        let key = SessionKey::from_bytes([0; 16]);
        Client { ticket, path: path(4_000 + user as u16), client_random, key, number: 0, seq: 0, counter: 0 }
    }

    /// A client of `user` that has joined.
    pub fn client(&mut self, user: u64) -> Client {
        let mut client = self.stranger(user);
        client.join(self);
        client
    }

    /// Expect: the audit, which shares no code with what wrote the journals, finds every rule on money kept.
    pub fn audit(&self) {
        let Layout { sets, groups, .. } = self.config.layout;
        let taken = |(group, ledger): (u32, &Simulated)| {
            let mut taken = audit::Group::new(audit::Place::new(self.config.machine, sets, groups, group));
            for (number, (row, note)) in (1..).zip(ledger.durable_rows()) {
                taken.take(number, &row, note.as_deref());
            }
            taken
        };
        let read: Vec<_> = (0..).zip(&self.ledgers).map(taken).collect();
        let report =
            audit::judge(read, None, |group| self.ledgers[group as usize].durable_rows().len() as u64);
        assert!(report.ok, "{:#?}", report.differences);
    }

    /// Who holds how much money. Expect: nothing is made or lost on the way, in no group, and over all.
    pub fn check_conservation(&self) {
        let (mut house, mut held, mut out, mut come) = (0i128, 0i128, 0i128, 0i128);
        for book in self.cores.iter().flat_map(Core::books) {
            let totals = book.totals();
            assert!(totals.is_balanced(), "{totals:?}");
            let (mut packets, mut wallets) = (totals.packets_fen, totals.wallets_fen);
            // The tables of a masked SET may be changed by half; what its group holds is right all the same.
            if book.sets().iter().all(|set| self.set_state(set.number) != SetState::Masked) {
                packets = book.sets().iter().map(|set| set.packets.held_fen()).sum::<u64>();
                wallets = book.sets().iter().map(|set| set.accounts.held_fen()).sum::<u64>();
            }
            assert_eq!((packets, wallets), (totals.packets_fen, totals.wallets_fen));
            let is_read = |set: &&Set| self.set_state(set.number) != SetState::Masked;
            assert!(book.sets().iter().filter(is_read).all(Set::is_counted_right));
            house += i128::from(totals.house_fen);
            held += i128::from(packets) + i128::from(wallets);
            out += i128::from(totals.cleared_out_fen);
            come += i128::from(totals.cleared_in_fen);
        }
        assert!(out >= come);
        assert_eq!(house, held + out - come);
    }
}

/// An order to mint packets of one share and one size at once.
pub fn order(total: u64, fen: u64) -> Order {
    Order {
        id: "an order".into(),
        what: What::Mint,
        rate_per_s: u32::MAX,
        total,
        fen_min: fen,
        fen_max: fen,
        shares: 1,
        equal: false,
        at_wall_ms: 0,
        budget_fen: 0,
    }
}
