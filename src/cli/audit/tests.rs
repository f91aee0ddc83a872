//! Audits of real files.

use super::*;
use crate::audit::tests::book::{Book, GROUPS, MACHINE, SETS, place, terms};
use crate::audit::tests::{history::History, rows::good};
use crate::ledger::Terms;
use crate::ledger::sqlite::{Directory, Identity};

const IDENTITY: Identity = Identity { machine: MACHINE, sets: SETS, groups: GROUPS };

/// Writes the journals of a book, in commits of a few rows. Whoever has the result runs on them.
pub fn write(book: &Book, dir: &Path) -> Directory {
    let ledger = Directory::open(dir, IDENTITY, 1_700_000_000_000).unwrap();
    for (journal, group) in book.journals.iter().zip(0..) {
        let mut writer = ledger.writer(group, ledger.reader(group).unwrap().tip().unwrap()).unwrap();
        for rows in journal.chunks((journal.len() / 100).max(7)) {
            writer.commit(rows.iter().map(|(row, note)| (row, note.as_deref()))).unwrap();
        }
    }
    ledger
}

fn args(dir: &Path, tally: &[&Path]) -> AuditArgs {
    let tally = tally.iter().map(|path| path.to_path_buf()).collect();
    AuditArgs { ledger: format!("sqlite:{}", dir.display()), tally, json: false }
}

fn sql(dir: &Path, group: u32, change: &str) {
    let file = dir.join(format!("group-{group}.sqlite"));
    rusqlite::Connection::open(file).unwrap().execute_batch(change).unwrap();
}

/// Expect: the same as of the rows alone, with the ends of the journals, also while a server runs on them.
#[test]
fn a_ledger_on_disk_is_audited_while_a_server_runs_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = write(&good(), dir.path());
    let report = audit(&args(dir.path(), &[])).unwrap();
    assert!(report.ok, "{:#?}", report.differences);
    assert_eq!((report.rows, report.house_fen, report.on_its_way_fen), (26, -577, 25));
    assert_eq!(report.commits, report.groups.iter().map(|group| group.commits).sum::<u64>());
    for group in &report.groups {
        let tip = running.reader(group.group).unwrap().tip().unwrap();
        assert_eq!((group.rows, group.commits, &group.hash), (tip.rows, tip.commits, &hex(&tip.hash)));
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["differences"], serde_json::json!([]));
    assert_eq!(json["packets"]["made"], 4);
}

/// Expect: whatever was changed in the files is found: a row, a row less, a commit, a note. Exit code 1.
#[test]
fn a_changed_file_is_found() {
    for change in [
        "UPDATE journal SET fen = 9 WHERE row = 6",
        "UPDATE journal SET detail = 1 WHERE row = 1",
        "UPDATE journal SET note = 'd9' WHERE row = 3",
        "UPDATE journal SET fen = -9 WHERE row = 6",
        "DELETE FROM journal WHERE row = 12",
        "DELETE FROM commits WHERE number = 2",
        "DELETE FROM journal WHERE row > 7; DELETE FROM commits WHERE number > 1",
    ] {
        let dir = tempfile::tempdir().unwrap();
        drop(write(&good(), dir.path()));
        sql(dir.path(), 0, change);
        let report = audit(&args(dir.path(), &[])).unwrap();
        assert!(!report.ok, "{change}");
        // A journal that ends earlier is whole by itself; what others have had of it tells.
        let cut_at_a_commit = change.contains("number > 1");
        assert_eq!(
            report.by_rule.contains_key("chain"),
            !cut_at_a_commit,
            "{change}: {:#?}",
            report.differences
        );
        assert_eq!(run(&args(dir.path(), &[])).unwrap_err().code(), 1);
    }
}

#[test]
fn a_journal_that_is_missing_is_a_difference() {
    let dir = tempfile::tempdir().unwrap();
    drop(write(&good(), dir.path()));
    std::fs::remove_file(dir.path().join("group-1.sqlite")).unwrap();
    let report = audit(&args(dir.path(), &[])).unwrap();
    assert_eq!(report.by_rule.into_iter().collect::<Vec<_>>(), [("chain", 1)]);
}

/// Expect: what is no ledger is refused with one line and exit code 2.
#[test]
fn what_is_no_ledger_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = dir.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("group-0.sqlite"), "x".repeat(200)).unwrap();
    let code = |ledger: String| {
        let failure = audit(&AuditArgs { ledger, tally: vec![], json: false }).unwrap_err();
        assert!(!failure.to_string().contains('\n'), "{failure}");
        failure.code()
    };
    assert_eq!(code("memory:".into()), 2);
    assert_eq!(code("ledger".into()), 2);
    assert_eq!(code(format!("sqlite:{}", dir.path().join("none").display())), 2);
    assert_eq!(code(format!("sqlite:{}", foreign.display())), 2);
}

/// Expect: a tally that cannot be read names file and line, exit code 2; one that contradicts, exit code 1.
#[test]
fn tallies_are_files() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger");
    let book = good();
    drop(write(&book, &ledger));
    let tally = dir.path().join("clients.jsonl");
    let (win, _) = book.journals[0].iter().find(|(row, _)| row.kind == crate::ledger::Kind::Win).unwrap();
    let line = |packet: u64| {
        let (user, req) = (win.user, win.req);
        format!(r#"{{"user":{user},"req":{req},"op":"shake","packet":{packet},"fen":0,"outcome":"known"}}"#)
    };
    std::fs::write(&tally, line(win.packet) + "\n").unwrap();
    let report = audit(&args(&ledger, &[&tally])).unwrap();
    assert!(report.ok, "{:#?}", report.differences);
    assert_eq!(report.tallies.unwrap().lines, 1);
    std::fs::write(&tally, line(win.packet + 1)).unwrap();
    assert_eq!(audit(&args(&ledger, &[&tally])).unwrap().by_rule["tally"], 1);
    std::fs::write(&tally, line(1) + "\n{}\n").unwrap();
    let failure = audit(&args(&ledger, &[&tally])).unwrap_err();
    assert!(failure.code() == 2 && failure.to_string().contains("clients.jsonl: line 2"), "{failure}");
    assert_eq!(audit(&args(&ledger, &[Path::new("none.jsonl")])).unwrap_err().code(), 2);
}

/// How fast it is, and how much memory it takes: `REDPKT_ROWS=10000000 cargo test --release -p redpkt --lib
/// measures -- --ignored --nocapture`.
#[test]
#[ignore = "it measures"]
fn measures() {
    let rows: usize = std::env::var("REDPKT_ROWS").map_or(1_000_000, |rows| rows.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let ledger = Directory::open(dir.path(), IDENTITY, 1_700_000_000_000).unwrap();
    // Packets of 1 share that are won and opened, by a million users.
    let mut writers: Vec<_> =
        (0..GROUPS).map(|group| ledger.writer(group, ledger.found()[group as usize].tip).unwrap()).collect();
    let users: Vec<Vec<u64>> = (0..SETS)
        .map(|set| (1..4_000_000).filter(|user| place(0).layout.set_of(*user) == set).collect())
        .collect();
    let mut book = Book::new();
    let mut made = 0;
    while made < rows {
        for at in 0..3_000 {
            let set = at % SETS;
            let own = &users[set as usize];
            let user = own[(made + at as usize).wrapping_mul(2_654_435_761) % own.len()];
            let packet = book.mint(set, 50, Terms { expiry_s: u32::MAX, ..terms(1, false) });
            book.win(user, packet);
            book.open(user, packet, 50);
        }
        for (journal, writer) in book.journals.iter_mut().zip(&mut writers) {
            made += journal.len();
            writer.commit(journal.iter().map(|(row, note)| (row, note.as_deref()))).unwrap();
            journal.clear();
        }
    }
    drop((writers, ledger));
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1_024.0
    };
    let before = resident();
    let report = audit(&args(dir.path(), &[])).unwrap();
    assert!(report.ok, "{:#?}", report.differences);
    let bytes = (resident() - before) / report.rows as f64;
    println!(
        "{} rows in {:.2} s: {:.0} rows/s",
        report.rows,
        report.took_s,
        report.rows as f64 / report.took_s
    );
    println!("{bytes:.0} bytes a row at the most");
}

/// Expect: a history of the model, written to files, is as right as in memory.
#[test]
fn histories_survive_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let book = History::of(8, 400);
    drop(write(&book, dir.path()));
    let (on_disk, in_memory) = (audit(&args(dir.path(), &[])).unwrap(), book.audit());
    assert!(on_disk.ok);
    assert_eq!((on_disk.rows, on_disk.wallets_fen), (in_memory.rows, in_memory.wallets_fen));
}
