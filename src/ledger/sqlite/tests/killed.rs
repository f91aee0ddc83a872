//! A process that is killed while it commits.

use super::super::JournalOptions;
use super::{mint, open, read, writer};
use crate::ledger::Ledger as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Names the ledger to the process that is killed, which is this test's binary again.
const DIR: &str = "REDPKT_TEST_KILLED_LEDGER";

/// The process that is killed: appends, and says what is durable. Without its variable it does nothing.
#[test]
fn killed_child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let ledger = open(Path::new(&dir));
    let tip = writer(&ledger, 0).tip();
    let options = JournalOptions { rows_waiting_max: 512, wal_frames_to_copy: 64 };
    let mut journal = ledger.journal(0, tip, options, || {}).unwrap();
    let mut told = 0;
    loop {
        while journal.room() > 0 {
            journal.append(&mint(journal.last_row() + 1, 5));
        }
        journal.flush();
        let durable = journal.durable_row();
        if durable != told {
            println!("durable {durable}");
            told = durable;
        }
    }
}

/// Expect: whenever the process is killed, every row that it called durable is there, the chain is whole, and the
/// next one goes on after it. Commits and checkpoints are both hit.
#[test]
fn what_was_called_durable_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let mut told_before = 0;
    for kill in 0..12u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["ledger::sqlite::tests::killed::killed_child", "--exact", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for at in 0.. {
            // After the kill the pipe still holds what was said before.
            let Some(Ok(line)) = lines.next() else { break };
            if let Some(row) = line.strip_prefix("durable ") {
                told = row.parse().unwrap_or(told);
            }
            if at == 5 + kill * 7 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let (rows, tip) = read(dir.path(), 0);
        assert!(told > told_before && tip.rows >= told, "{} rows are there, {told} were durable", tip.rows);
        assert!(rows.iter().zip(1..).all(|((row, _), packet)| row.packet == packet));
        told_before = told;
    }
    drop(open(dir.path()));
}
