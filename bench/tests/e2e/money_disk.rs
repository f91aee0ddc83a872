//! A disk that is full under one group: the others see nothing, and after the rebuild nothing is lost.

use super::common::*;
use nix::sys::signal::Signal;
use redpkt_proto::client::{Call, Config};
use redpkt_proto::steer::Layout;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const LAYOUT: Layout = Layout { sets: 8, groups: 2, workers: 2 };

/// A small file system in memory, gone with this.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// `None` where this process may not mount.
    fn new(path: &Path, kib: u32) -> Option<SmallDisk> {
        std::fs::create_dir(path).unwrap();
        let disk = SmallDisk { path: path.to_owned() };
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={kib}k"), "small"]).then_some(disk)
    }

    fn grow(&self, kib: u32) {
        assert!(self.mount(&["-o", &format!("remount,size={kib}k")]));
    }

    fn mount(&self, args: &[&str]) -> bool {
        let mount = Command::new("mount").args(args).arg(&self.path).stderr(Stdio::null()).status();
        mount.is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whatever still has a file open on it keeps it until then.
        let _ = Command::new("umount").arg("-l").arg(&self.path).stderr(Stdio::null()).status();
    }
}

fn start(keys: &Keys, ledger: &Ledger) -> Server {
    let url = ledger.url();
    let args = ["--workers", "2", "--groups", "2", "--sets", "8", "--shakes-per-s", "0", "--ledger", &url];
    Server::start(keys, &[&args[..], &["--mint", "2000", "--mint-total", "100000"]].concat())
}

fn is_of_group(user: u64, group: u32) -> bool {
    LAYOUT.group_of(LAYOUT.set_of(user)) == group
}

/// Expect: when the disk of group 1 is full that group stops money and says so; users of group 0 go on without a
/// refusal or a wait; once there is room and the group is rebuilt, users of both are served, and the audit finds that
/// nothing was lost.
#[test]
fn a_full_disk_stops_one_group_and_a_rebuild_brings_it_back() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let disk = ledger.beside().join("small");
    let Some(disk) = SmallDisk::new(&disk, 600) else { return eprintln!("skipped: this needs root") };
    let server =
        Server::start(&keys, &["--workers", "2", "--groups", "2", "--sets", "8", "--ledger", &ledger.url()]);
    let (status, _, stderr) = server.end(Signal::SIGTERM);
    assert!(status.success(), "{stderr}");
    let file = ledger.path().join("group-1.sqlite");
    let moved = disk.path.join("group-1.sqlite");
    std::fs::copy(&file, &moved).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&moved, &file).unwrap();

    let server = start(&keys, &ledger);
    let mut client = Client::new(server.addr(), &keys, 1..=40, 2, Config::default());
    client.join_all();
    let state = |stats: &serde_json::Value| stats["groups"][1]["state"].as_str() != Some("ok");
    wait_for("the disk to be full", || {
        client.want_shakes(2);
        client.drive_for(Duration::from_millis(50));
        state(&server.stats()).then_some(())
    });
    // The others see nothing.
    let mut others = Client::new(server.addr(), &keys, 1_001..=1_040, 2, Config::default());
    others.join_all();
    let healthy: Vec<u64> = (1_001..=1_040).filter(|user| is_of_group(*user, 0)).collect();
    for _ in 0..10 {
        healthy.iter().for_each(|user| others.want(*user, Call::Shake));
        others.finish();
    }
    assert!(others.tally.refused.is_empty() && others.tally.unknown.is_empty(), "{:?}", others.tally);
    assert!(!others.tally.won.is_empty() && others.tally.opened.len() == others.tally.won.len());

    disk.grow(64 * 1_024);
    let reply = server.ask("POST", "/groups/1/rebuild");
    assert_eq!(reply.status, 200, "{reply:?}");
    server.stats_when("the group to be back", |stats| stats["groups"][1]["state"] == "ok");
    client.finish();
    client.want_shakes(3);
    client.finish();
    let wins = client.tally.won.len() + others.tally.won.len();
    assert!(wins > 0);
    let fen = client.tally.fen() + others.tally.fen();
    let (status, _, stderr) = server.end(Signal::SIGTERM);
    assert!(status.success(), "{stderr}");
    let report = ledger.audit();
    let wallets_fen = report["wallets_fen"].as_u64().unwrap();
    if client.tally.unknown.is_empty() {
        assert_eq!(wallets_fen, fen, "what users were told is what they have");
    } else {
        assert!(wallets_fen >= fen, "{wallets_fen} fen in wallets, and {fen} were told");
    }
}
