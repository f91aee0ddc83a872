//! Whole servers on a ledger on disk: what was ordered and paid goes on after a restart.

use super::{RebuildError, Refused, Server, Settings, Shared, StartError, Totals};
use crate::set::Payment;
use crate::set::book::{Order, OrderState};
use crate::worker::Idle;
use rand::SeedableRng as _;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::steer::Layout;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

fn settings(dir: &Path, workers: u32) -> Settings {
    Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        layout: Layout { sets: 8, groups: 3, workers },
        cores: Vec::new(),
        steering: true,
        idle: Idle::Block,
        machine: 3,
        totals: Totals { sessions: 1_000, accounts: 1_000, packets: 1_000, members: 2_000 },
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
