//! Exports of real files.

use super::*;
use crate::audit::tests::book::{Book, terms, user};
use crate::audit::tests::history::draw;
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

/// A ledger of packets of 2 to 6 random shares, all opened, as the rule cuts them; or with a bias: a share that
/// is above the mean is drawn again, and the lower one counts.
fn event(packets: u64, biased: bool) -> Book {
    let mut rng: redpkt_proto::Rng = rand::SeedableRng::seed_from_u64(1);
    let users: Vec<u64> = (0..60).map(|at| user(at % 4, (at / 4) as usize)).collect();
    let mut book = Book::new();
    for packet in 0..packets {
        let shares = 2 + packet % 5;
        let mut left = 100 * shares + packet % 17;
        let members: Vec<u64> = (0..shares).map(|at| users[(packet * 7 + at * 11) as usize % 60]).collect();
        let id = book.house_send((packet % 4) as u32, left, terms(shares as u16, false), &members);
        for (member, n) in members.iter().zip((1..=shares).rev()) {
            let mut fen = draw(&mut rng, left, n);
            if biased && fen * n > left {
                fen = fen.min(draw(&mut rng, left, n));
            }
            left -= fen;
            book.open(*member, id, fen);
        }
    }
    book
}

/// Expect: the questions that docs/LEDGER.md asks an export can be asked.
#[test]
fn the_page_on_the_ledger_asks_what_can_be_answered() {
    let page = include_str!("../../../docs/LEDGER.md");
    let (_, export) = page.split_once("## Export").unwrap();
    let (export, _) = export.split_once("\n## ").unwrap();
    let (_, questions) = export.split_once("    -- ").unwrap();
    let (questions, _) = questions.split_once("\n\n").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (ledger, out) = (dir.path().join("ledger"), dir.path().join("event.sqlite"));
    drop(write(&good(), &ledger));
    run(&args(&ledger, &out)).unwrap();
    let connection = Connection::open(&out).unwrap();
    let questions: Vec<_> = questions.lines().filter(|line| line.contains("SELECT")).collect();
    assert_eq!(questions.len(), 3);
    for question in questions {
        connection
            .query_row(question, (), |_| Ok(()))
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(()),
                error => Err(error),
            })
            .unwrap();
    }
}

/// The questions of docs/FAIRNESS.md, with their answers, each column as a text.
fn answers(file: &Path) -> Vec<Vec<Vec<String>>> {
    let page = include_str!("../../../docs/FAIRNESS.md");
    let connection = Connection::open(file).unwrap();
    let questions: Vec<_> =
        page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let ask = |question: &&str| {
        let mut question = connection.prepare(question).unwrap();
        let columns = question.column_count();
        let mut rows = question.query(()).unwrap();
        let mut answer = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let text = |at| match row.get::<_, rusqlite::types::Value>(at).unwrap() {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Real(number) => number.to_string(),
                other => format!("{other:?}"),
            };
            answer.push((0..columns).map(text).collect());
        }
        answer
    };
    questions.iter().map(ask).collect()
}

/// Expect: every question of the page can be asked, a fair event passes, and a biased one does not.
#[test]
fn the_page_on_fairness_tells_a_fair_event_from_another() {
    for biased in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, out) = (dir.path().join("ledger"), dir.path().join("event.sqlite"));
        drop(write(&event(2_000, biased), &ledger));
        run(&args(&ledger, &out)).unwrap();
        let answers = answers(&out);
        assert_eq!(answers.len(), 7);
        let number = |row: &Vec<String>, at: usize| row[at].parse::<f64>().unwrap();
        assert_eq!(answers[1], [["0"]], "bounds");
        let worst_z2 = answers[2].iter().map(|row| number(row, 4)).fold(0.0, f64::max);
        let chi2: f64 = answers[4].iter().map(|row| number(row, 3)).sum();
        assert_eq!((worst_z2 > 15.0, chi2 > 27.9), (biased, biased), "{worst_z2} {chi2}");
        assert_eq!(answers[3].len(), 2 + 3 + 4 + 5 + 6);
        assert!((answers[5].len(), answers[6].len()) == (10, 3), "{:?}", answers[6]);
    }
}
