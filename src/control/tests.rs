//! Whole servers on a ledger on disk: what was ordered and paid goes on after a restart.

use super::sets::SetError;
use super::{RebuildError, Refused, Server, Settings, Shared, StartError, Totals};
use crate::ledger::sqlite::{Directory, Identity, Reader};
use crate::ledger::{Account, Kind, Row, Terms};
use crate::set::book::{Order, OrderNote, OrderState};
use crate::set::fault::Fault;
use crate::set::{Payment, SetState, order_row};
use crate::worker::{Command, Idle};
use rand::SeedableRng as _;
use redpkt_proto::Now;
use redpkt_proto::body::PacketId;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::steer::Layout;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) fn settings(dir: &Path, workers: u32) -> Settings {
    Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        layout: Layout { sets: 8, groups: 3, workers },
        cores: Vec::new(),
        io: crate::control::Io::Mmsg,
        batch: crate::net::bind::BATCH_MAX,
        service: crate::worker::Plan::default(),
        service_file: None,
        steering: true,
        idle: Idle::Block,
        machine: 3,
        totals: Totals { sessions: 1_000, accounts: 1_000, packets: 1_000, members: 2_000 },
        prefix_sessions: 0,
        prefix_joins: 0,
        relay: None,
        shakes_per_s: 0,
        wins_per_user: 0,
        packet_life_s: 3_600,
        keepalive_s: 25,
        idle_s: 90,
        keys: KeyRing::generate(&mut redpkt_proto::Rng::seed_from_u64(1)),
        key_file: "none".into(),
        http: None,
        ledger: Some(dir.to_owned()),
        mint: Some(Order::mint("start", 1_000_000, 30, (5, 5))),
        mint_any_day: false,
        json_lines: false,
        telemetry: true,
        capture: crate::capture::CaptureSettings::default(),
        drills: false,
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn deposit(id: &str, user: u64, fen: u64) -> Payment {
    Payment { id: id.into(), user, fen, is_deposit: true }
}

/// After this long what was done is published.
const PUBLISHED_AFTER: Duration = Duration::from_millis(200);

fn until_done(shared: &Shared, at: usize) {
    let end = Instant::now() + Duration::from_secs(20);
    while shared.order(at).state != "done" {
        assert!(Instant::now() < end, "{:?}", shared.order(at));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Expect: orders, their state and progress, deposits and withdrawals are all there after a restart with another
/// number of workers, and none of them is done twice.
#[test]
fn a_restart_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(settings(dir.path(), 2)).unwrap();
    let shared = server.shared();
    until_done(shared, 0);
    let slow = Order::mint("slow", 1, 500, (2, 2));
    assert_eq!(wait(shared.give_order(slow.clone(), false)), Ok((true, 1)));
    assert_eq!(wait(shared.give_order(slow.clone(), false)), Ok((false, 1)));
    let other = Order { total: 501, ..slow.clone() };
    assert_eq!(wait(shared.give_order(other, false)), Err(Refused::Conflict("slow".into())));
    assert_eq!(wait(shared.set_order_state("slow", "mint", OrderState::Paused)), Ok(1));
    for user in 1..=20 {
        assert_eq!(wait(shared.pay(&deposit(&format!("in-{user}"), user, 100 * user))), Ok(true));
    }
    assert_eq!(wait(shared.pay(&deposit("in-3", 3, 300))), Ok(false));
    assert_eq!(wait(shared.pay(&deposit("in-3", 3, 301))), Err(Refused::Conflict("in-3".into())));
    assert_eq!(wait(shared.pay(&deposit("slow", 3, 301))), Err(Refused::Conflict("slow".into())));
    let withdraw = |id: &str, fen| Payment { is_deposit: false, ..deposit(id, 3, fen) };
    assert_eq!(wait(shared.pay(&withdraw("out", 301))), Err(Refused::TooLittleMoney));
    assert_eq!(wait(shared.pay(&withdraw("out", 300))), Ok(true));
    std::thread::sleep(PUBLISHED_AFTER);
    let made = shared.order(1).minted;
    server.stop();

    let server = Server::start(settings(dir.path(), 1)).unwrap();
    let shared = server.shared();
    until_done(shared, 0);
    assert_eq!((shared.order(0).minted, shared.order(0).minted_fen), (30, 150));
    assert_eq!((shared.order(1).state, shared.order(1).minted), ("paused", made));
    assert_eq!(wait(shared.give_order(slow, false)), Ok((false, 1)));
    assert_eq!(wait(shared.pay(&deposit("in-3", 3, 300))), Ok(false));
    assert_eq!(wait(shared.pay(&withdraw("out", 300))), Ok(false));
    assert_eq!(wait(shared.pay(&withdraw("out-2", 1))), Err(Refused::TooLittleMoney));
    std::thread::sleep(PUBLISHED_AFTER);
    let house_fen: i64 = shared.groups().map(|(_, group)| group.house_fen).sum();
    let wallets_fen: u64 = shared.groups().map(|(_, group)| group.wallets_fen).sum();
    assert_eq!(wallets_fen, 100 * (1..=20).sum::<u64>() - 300);
    assert_eq!(house_fen, 150 + 2 * made as i64 + wallets_fen as i64);
    assert_eq!(wait(shared.set_order_state("slow", "mint", OrderState::Stopped)), Ok(1));
    let stopped = wait(shared.set_order_state("slow", "mint", OrderState::Running));
    assert_eq!(stopped, Err(Refused::Stopped("slow".into())));
    server.stop();
}

/// Expect: another order `start`, another machine or number of SETs or groups: one line that names the option, and
/// the exit code of a wrong option.
#[test]
fn what_does_not_fit_to_the_ledger_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Server::start(settings(dir.path(), 1)).unwrap().stop();
    let refused = |change: &dyn Fn(&mut Settings)| -> StartError {
        let mut settings = settings(dir.path(), 1);
        change(&mut settings);
        Server::start(settings).err().expect("it is refused")
    };
    for (option, change) in [
        (
            "--mint",
            &(|s: &mut Settings| s.mint = Some(Order::mint("start", 1, 30, (5, 5))))
                as &dyn Fn(&mut Settings),
        ),
        ("--machine", &|s: &mut Settings| s.machine = 4),
        ("--sets", &|s: &mut Settings| s.layout.sets = 16),
        ("--groups", &|s: &mut Settings| s.layout.groups = 2),
        ("--packets", &|s: &mut Settings| s.totals.packets = 8),
    ] {
        let error = refused(change);
        assert!(error.is_usage() && error.to_string().contains(option), "{error}");
    }
    Server::start(settings(dir.path(), 1)).unwrap().stop();
}

/// Expect: a group whose journal cannot be written fails alone and says so; what it had not answered is not lost and
/// not done twice; after the rebuild it works, has the order that it missed, and every fen is there.
#[test]
fn a_group_whose_journal_fails_is_rebuilt_while_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(settings(dir.path(), 2)).unwrap();
    let shared = std::sync::Arc::clone(server.shared());
    until_done(&shared, 0);
    let layout = shared.settings().layout;
    let group_of = |user: u64| layout.group_of(layout.set_of(user));
    let user = (1..).find(|user| group_of(*user) == 1).unwrap();
    let other = (1..).find(|user| group_of(*user) == 2).unwrap();
    assert_eq!(wait(shared.pay(&deposit("before", user, 70))), Ok(true));
    assert!(matches!(shared.rebuild(1), Err(RebuildError::Works(1))));
    assert!(matches!(shared.rebuild(3), Err(RebuildError::NoSuchGroup(2))));

    // Somebody else writes to its file, for longer than the journal waits.
    let blocker = rusqlite::Connection::open(dir.path().join("group-1.sqlite")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let unanswered = wait(shared.pay(&deposit("during", user, 7)));
    assert!(matches!(unanswered, Err(Refused::TimedOut | Refused::Failed(1))), "{unanswered:?}");
    let end = Instant::now() + Duration::from_secs(20);
    while shared.failed_group() != Some(1) {
        assert!(Instant::now() < end, "it fails");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(wait(shared.pay(&deposit("other", other, 9))), Ok(true));
    assert_eq!(wait(shared.give_order(Order::mint("later", 1_000_000, 16, (1, 1)), false)), Ok((true, 1)));
    assert_eq!(wait(shared.pay(&deposit("after", user, 5))), Err(Refused::Failed(1)));
    server.sample();
    let stats = shared.stats();
    assert_eq!(
        (stats.ledger.state, stats.groups[1].state, stats.groups[2].state),
        ("failed", "failed", "ok")
    );
    blocker.execute_batch("ROLLBACK").unwrap();

    let rebuilt = loop {
        match shared.rebuild(1) {
            Err(RebuildError::UnderWay(_)) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(10));
            }
            rebuilt => break rebuilt.unwrap(),
        }
    };
    assert!(rebuilt.rows > 0, "{rebuilt:?}");
    assert!(wait(shared.pay(&deposit("during", user, 7))).is_ok());
    assert_eq!(wait(shared.pay(&deposit("during", user, 7))), Ok(false));
    assert_eq!(wait(shared.pay(&deposit("before", user, 70))), Ok(false));
    assert_eq!(wait(shared.pay(&deposit("after", user, 5))), Ok(true));
    until_done(&shared, 1);
    assert_eq!(shared.order(1).minted, 16);
    for _ in 0..3 {
        std::thread::sleep(PUBLISHED_AFTER);
        server.sample();
    }
    let conservation = shared.stats().conservation;
    assert!(conservation.ok && conservation.checked_across >= 1, "{conservation:?}");
    assert_eq!(
        (conservation.wallets_fen, conservation.packets_fen, conservation.on_its_way_fen),
        (70 + 7 + 9 + 5, 150 + 16, 0)
    );
    // The lock on the ledger is held for as long as anybody has a hand on the server.
    drop(shared);
    server.stop();
    let server = Server::start(settings(dir.path(), 3)).unwrap();
    assert_eq!(wait(server.shared().pay(&deposit("during", user, 7))), Ok(false));
    server.stop();
}

fn now() -> Now {
    let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    Now { mono_ns: 0, wall_ms }
}

/// A ledger in which a user of group 1 has opened two packets of group 0, in a session with this number, and
/// the server was killed before the money came.
fn killed_in_between(dir: &Path, session: u32) -> u64 {
    let Settings { layout, machine, .. } = settings(dir, 1);
    let user = (1..).find(|user| layout.group_of(layout.set_of(*user)) == 1).unwrap();
    let identity = Identity { machine, sets: layout.sets, groups: layout.groups };
    let ledger = Directory::open(dir, identity, now().wall_ms).unwrap();
    let order = OrderNote::Taken(Order::mint("start", 1_000_000, 30, (5, 5)));
    let note = serde_json::to_string(&order).unwrap();
    let order = order_row(1, now().wall_ms);
    let mut rows = vec![(order, Some(note.as_str()))];
    let terms = Terms { shares: 1, equal: false, expiry_s: (now().wall_s() + 3_600) as u32 };
    for set in [0, 3] {
        let packet = PacketId { machine, set, number: 1 }.to_u64();
        let (credit, other) = (Account::Packet(packet), u64::from(set));
        let mint = Row {
            kind: Kind::Mint,
            credit,
            fen: 5,
            packet,
            req: 1,
            other,
            detail: terms.to_detail(),
            ..order
        };
        let req = u64::from(session) << 32 | u64::from(set + 1);
        let (debit, credit) = (credit, Account::Clearing(1));
        let win = Row {
            kind: Kind::Win,
            debit,
            credit: debit,
            fen: 0,
            packet,
            user,
            req,
            other: 0,
            detail: 0,
            ..order
        };
        let open = Row { kind: Kind::Open, credit, fen: 5, req: req + 10, ..win };
        rows.extend([(mint, None), (win, None), (open, None)]);
    }
    let mut writer = ledger.writer(0, ledger.found()[0].tip).unwrap();
    writer.commit(rows.iter().map(|(row, note)| (row, *note))).unwrap();
    user
}

/// Expect: money that had left one group and not come to the other comes at the start, once; the order that only one
/// group had written goes on in all.
#[test]
fn money_on_its_way_comes_at_the_start_once() {
    let dir = tempfile::tempdir().unwrap();
    let user = killed_in_between(dir.path(), 1_000);
    for start in 1..=2 {
        let mut server = Server::start(settings(dir.path(), 2)).unwrap();
        until_done(server.shared(), 0);
        std::thread::sleep(PUBLISHED_AFTER);
        server.sample();
        let found = server.shared().stats().conservation;
        assert_eq!((found.ok, found.wallets_fen, found.on_its_way_fen), (true, 10, 0), "start {start}");
        assert_eq!((found.house_fen, server.shared().order(0).minted), (150, 30), "start {start}");
        server.stop();
    }
    let mut delivered = Vec::new();
    let mut reader = Reader::open(dir.path(), 1).unwrap();
    reader
        .read::<crate::ledger::sqlite::LedgerError>(|_, row, _| {
            delivered.extend((row.kind == Kind::Deliver).then_some((row.user, row.fen, row.other)));
            Ok(())
        })
        .unwrap();
    assert_eq!(delivered, [(user, 5, 4), (user, 5, 7)]);
}

/// Expect: with a clock behind the sessions in the ledger their numbers would come again: refused, and said.
#[test]
fn a_clock_behind_the_ledger_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    killed_in_between(dir.path(), now().session_number() + 400);
    let error = Server::start(settings(dir.path(), 1)).err().expect("it is refused");
    assert!(!error.is_usage() && error.to_string().contains("behind the ledger"), "{error}");
}

fn identity_of(dir: &Path) -> Identity {
    let Settings { layout, machine, .. } = settings(dir, 1);
    Identity { machine, sets: layout.sets, groups: layout.groups }
}

/// A ledger that has the order `start` in group 0, written when a clock was ahead.
fn written_ahead(dir: &Path, ahead_ms: u64) {
    let ledger = Directory::open(dir, identity_of(dir), now().wall_ms).unwrap();
    let order = OrderNote::Taken(Order::mint("start", 1_000_000, 30, (5, 5)));
    let note = serde_json::to_string(&order).unwrap();
    let order = order_row(1, now().wall_ms + ahead_ms);
    let mut writer = ledger.writer(0, ledger.found()[0].tip).unwrap();
    writer.commit([(&order, Some(note.as_str()))]).unwrap();
}

/// Expect: a clock that is a little behind the ledger's rows is waited for, so that no row is before the one above it;
/// one that is far behind is refused, and said.
#[test]
fn rows_are_never_before_those_in_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    written_ahead(dir.path(), 60_000);
    let error = Server::start(settings(dir.path(), 1)).err().expect("it is refused");
    assert!(!error.is_usage() && error.to_string().contains("behind the ledger"), "{error}");
    assert_eq!(Reader::open(dir.path(), 1).unwrap().tip().unwrap().rows, 0, "nothing was changed");

    let dir = tempfile::tempdir().unwrap();
    written_ahead(dir.path(), 3_000);
    let server = Server::start(settings(dir.path(), 2)).unwrap();
    until_done(server.shared(), 0);
    server.stop();
    for group in 0..3 {
        let mut times = Vec::new();
        let mut reader = Reader::open(dir.path(), group).unwrap();
        let read = reader.read::<crate::ledger::sqlite::LedgerError>(|_, row, _| {
            times.push(row.wall_ms);
            Ok(())
        });
        assert!(read.unwrap().rows > 1 && times.is_sorted(), "group {group}: {times:?}");
    }
}

/// Expect: a journal that lacks rows of which the money has come to another group is refused, and named.
#[test]
fn a_journal_that_lacks_what_others_have_had_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let user = killed_in_between(dir.path(), 1_000);
    let ledger = Directory::open(dir.path(), identity_of(dir.path()), now().wall_ms).unwrap();
    let packet = PacketId { machine: 3, set: 0, number: 1 }.to_u64();
    let row = Row {
        kind: Kind::Deliver,
        debit: Account::Clearing(0),
        credit: Account::Wallet(user),
        fen: 5,
        user,
        req: 1_000 << 32 | 11,
        packet,
        other: 99,
        ..order_row(0, now().wall_ms)
    };
    let mut writer = ledger.writer(1, ledger.found()[1].tip).unwrap();
    writer.commit([(&row, None)]).unwrap();
    drop((writer, ledger));
    let error = Server::start(settings(dir.path(), 1)).err().expect("it is refused");
    assert!(error.to_string().contains("group 1 has had the money of its row 99"), "{error}");
}

/// Expect: a SET that panics is masked, and said so; payments to it are refused, others go on; what is by hand can be
/// done and undone; after the rebuild every fen is there, and a restart finds the same.
#[test]
fn a_set_that_panics_is_rebuilt_while_the_rest_serves() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(settings(dir.path(), 2)).unwrap();
    let shared = std::sync::Arc::clone(server.shared());
    until_done(&shared, 0);
    let layout = shared.settings().layout;
    let set = layout.set_of(1);
    let others: Vec<u64> = (2..).filter(|user| layout.set_of(*user) != set).take(20).collect();
    assert_eq!(wait(shared.pay(&deposit("a", 1, 100))), Ok(true));
    let worker = &shared.workers()[layout.worker_of(set) as usize];
    worker.command(Command::Panic(Fault::Applied)).unwrap();
    assert_eq!(wait(shared.pay(&deposit("b", 1, 50))), Err(Refused::Masked(set)));
    assert_eq!(wait(shared.pay(&deposit("b", 1, 50))), Err(Refused::Masked(set)));
    for user in &others {
        assert_eq!(wait(shared.pay(&deposit(&format!("in-{user}"), *user, 10))), Ok(true));
    }
    std::thread::sleep(PUBLISHED_AFTER);
    server.sample();
    let stats = shared.stats();
    assert_eq!((shared.masked_sets(), stats.sets[set as usize].state), (vec![set], "masked"));
    assert_eq!(stats.workers.iter().map(|worker| worker.panics).sum::<u64>(), 1);
    assert!(stats.conservation.ok && stats.conservation.masked_sets == 1 && shared.failed_worker().is_none());
    assert!(matches!(shared.drain_set(set), Err(SetError::Masked(_))));
    assert!(matches!(shared.rebuild_set((set + 1) % 8), Err(SetError::Works(_))));
    assert!(matches!(shared.rebuild_set(8), Err(SetError::NoSuchSet(7))));
    assert!(shared.resume_set(set).unwrap().rows.is_some_and(|rows| rows > 0));
    assert_eq!(shared.drain_set(set).unwrap().state, "draining");
    assert_eq!(shared.set(set).unwrap().state(), SetState::Draining);
    assert_eq!(shared.resume_set(set).unwrap().state, "ok");
    assert_eq!(wait(shared.pay(&deposit("b", 1, 50))), Ok(true));
    std::thread::sleep(PUBLISHED_AFTER);
    server.sample();
    let found = shared.stats().conservation;
    assert!(found.ok && found.masked_sets == 0 && found.wallets_fen == 350, "{found:?}");
    drop(shared);
    server.stop();
    let server = Server::start(settings(dir.path(), 1)).unwrap();
    std::thread::sleep(PUBLISHED_AFTER);
    let wallets_fen: u64 = server.shared().groups().map(|(_, group)| group.wallets_fen).sum();
    assert_eq!(wallets_fen, 350);
    server.stop();
}

/// Expect: without a journal a masked SET stays masked, and says what helps.
#[test]
fn a_masked_set_in_memory_cannot_be_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Settings { ledger: None, ..settings(dir.path(), 1) }).unwrap();
    let shared = server.shared();
    until_done(shared, 0);
    shared.workers()[0].command(Command::Panic(Fault::HalfApplied)).unwrap();
    let set = shared.settings().layout.set_of(1);
    assert_eq!(wait(shared.pay(&deposit("b", 1, 50))), Err(Refused::Masked(set)));
    std::thread::sleep(PUBLISHED_AFTER);
    assert!(matches!(shared.rebuild_set(set), Err(SetError::Memory)));
    server.stop();
}
