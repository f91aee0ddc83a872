//! Exports of real files.

use super::*;
use crate::audit::tests::rows::good;
use crate::cli::audit::tests::write;
use rusqlite::Connection;

fn args(dir: &Path, out: &Path) -> ExportArgs {
    let ledger = format!("sqlite:{}", dir.display());
    ExportArgs { ledger, out: out.to_owned(), format: None, force: false }
}

fn ask<T: rusqlite::types::FromSql>(file: &Path, question: &str) -> T {
    Connection::open(file).unwrap().query_row(question, (), |row| row.get(0)).unwrap()
}

/// Expect: all rows and commits of all groups, the views over them, and indexes that are used; also while a
/// server runs.
#[test]
fn an_sqlite_file_answers_questions_over_all_groups() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, out) = (dir.path().join("ledger"), dir.path().join("event.sqlite"));
    let _running = write(&good(), &ledger);
    run(&args(&ledger, &out)).unwrap();
    let count = |question: &str| ask::<i64>(&out, question);
    assert_eq!(count("SELECT count(*) FROM journal"), 26);
    assert_eq!(count("SELECT sum(rows) FROM commits"), 26);
    assert_eq!(count("SELECT count(DISTINCT \"group\") FROM statement"), 2);
    assert_eq!(count("SELECT fen FROM balances WHERE account = 'house'"), -577);
    assert_eq!(count("SELECT sum(fen) FROM balances WHERE account = 'wallet'"), 545);
    assert_eq!(count("SELECT sum(fen) FROM balances"), 0);
    assert_eq!(count("SELECT count(*) FROM packets WHERE state = 'finished'"), 2);
    assert_eq!(count("SELECT count(*) FROM winners WHERE fen > 0"), 5);
    assert_eq!(count("SELECT value FROM meta WHERE name = 'groups'"), 2);
    for (column, index) in [("user", "journal_user"), ("packet", "journal_packet"), ("kind", "journal_kind")]
    {
        let plan = format!("EXPLAIN QUERY PLAN SELECT sum(fen) FROM journal WHERE {column} = 5");
        let mut detail = String::new();
        let connection = Connection::open(&out).unwrap();
        connection.query_row(&plan, (), |row| row.get(3).map(|text| detail = text)).unwrap();
        assert!(detail.contains(index), "{detail}");
    }
}

#[test]
fn a_csv_file_has_a_line_for_each_row() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, out) = (dir.path().join("ledger"), dir.path().join("event.csv"));
    drop(write(&good(), &ledger));
    run(&args(&ledger, &out)).unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    assert_eq!(text.lines().count(), 27);
    assert!(text.contains(",deposit,house,wallet ") && text.contains(",\"d1\"\n"));
}

/// Expect: a file that is there stays as it is without --force, and nothing is left beside it.
#[test]
fn what_exists_is_not_replaced_unless_that_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, out) = (dir.path().join("ledger"), dir.path().join("event.csv"));
    drop(write(&good(), &ledger));
    std::fs::write(&out, "mine").unwrap();
    let failure = run(&args(&ledger, &out)).unwrap_err();
    assert!(failure.code() == 2 && failure.to_string().contains("--force"), "{failure}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
    run(&ExportArgs { force: true, ..args(&ledger, &out) }).unwrap();
    assert!(std::fs::read_to_string(&out).unwrap().starts_with("group,row,"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// Expect: of a damaged ledger nothing is made, exit code 1; a name that says nothing and a place that is not
/// there are refused.
#[test]
fn what_cannot_be_exported_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger");
    drop(write(&good(), &ledger));
    assert_eq!(run(&args(&ledger, &dir.path().join("event.txt"))).unwrap_err().code(), 2);
    assert_eq!(run(&args(&ledger, &dir.path().join("none/event.csv"))).unwrap_err().code(), 3);
    let file = Connection::open(ledger.join("group-1.sqlite")).unwrap();
    file.execute_batch("UPDATE journal SET fen = fen + 1 WHERE row = 2").unwrap();
    for name in ["event.csv", "event.sqlite"] {
        assert_eq!(run(&args(&ledger, &dir.path().join(name))).unwrap_err().code(), 1);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
