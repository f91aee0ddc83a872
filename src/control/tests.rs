//! Whole servers on a ledger on disk: what was ordered and paid goes on after a restart.

use super::{Refused, Server, Settings, Shared, StartError, Totals};
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
    assert_eq!(wait(shared.pay(&withdraw("out-2", 0))).is_ok(), true);
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
