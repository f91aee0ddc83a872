//! What clients were told, beside what the ledger says.

use super::super::{Report, Tallies};
use super::book::{Book, terms, user};

/// A ledger in which Anna, of SET 0, has won 10 fen and sent 30, of which Bert, of SET 1, has taken 12 and told
/// of it again; and its tally.
fn told() -> (Book, Vec<String>, [u64; 4]) {
    let (anna, bert) = (user(0, 0), user(1, 0));
    let mut book = Book::new();
    book.deposit(anna, 100, "d");
    let won = book.mint(0, 10, terms(1, false));
    book.win(anna, won);
    let win = book.last(0).req;
    book.open(anna, won, 10);
    let open = book.last(0).req;
    let sent = book.send(anna, 30, terms(3, false), &[bert]);
    let send = open + 1;
    book.grab(bert, sent);
    let grab = book.last(0).req;
    book.open(bert, sent, 12);
    let taken = book.last(0).req;
    book.told(17, bert, 900, sent, 12);
    let lines = vec![
        line(anna, win, "shake", won, 0, "known"),
        line(anna, open, "open", won, 10, "known"),
        line(anna, send, "send", sent, 30, "known"),
        line(bert, grab, "grab", sent, 0, "known"),
        line(bert, taken, "open", sent, 12, "known"),
        line(bert, 900, "open", sent, 12, "known"),
        line(anna, 7, "shake", 0, 0, "known"),
        line(bert, 8, "open", won, 0, "known"),
        line(bert, 9, "balance", 0, 12, "known"),
    ];
    (book, lines, [anna, bert, won, sent])
}

fn line(user: u64, req: u64, op: &str, packet: u64, fen: u64, outcome: &str) -> String {
    format!(
        r#"{{"user":{user},"req":{req},"op":"{op}","packet":{packet},"fen":{fen},"outcome":"{outcome}"}}"#
    )
}

fn audit(book: &Book, lines: &[String]) -> Report {
    let mut tallies = Tallies::default();
    tallies.read(lines.join("\n").as_bytes()).unwrap();
    book.audit_with(Some(&tallies))
}

#[test]
fn what_was_told_is_what_was_decided() {
    let (book, lines, _) = told();
    let report = audit(&book, &lines);
    assert!(report.ok, "{:#?}", report.differences);
    let sums = report.tallies.unwrap();
    assert_eq!((sums.files, sums.lines, sums.unknown, sums.unheard), (1, 9, 0, 0));
    assert_eq!((sums.fen_clients, sums.fen_ledger, sums.fen_unheard), (22, 22, 0));
}

/// Expect: for an outcome that is not known either truth is right, and its money is not called heard.
#[test]
fn an_unknown_outcome_may_be_either() {
    let (book, lines, [_, bert, ..]) = told();
    let unknown: Vec<_> = lines
        .iter()
        .map(|line| {
            line.replace("known", "unknown")
                .replace("\"fen\":12", "\"fen\":0")
                .replace("\"fen\":10", "\"fen\":0")
        })
        .collect();
    let more = [unknown, vec![line(bert, 77, "open", 5, 0, "unknown")]].concat();
    let report = audit(&book, &more);
    assert!(report.ok, "{:#?}", report.differences);
    let sums = report.tallies.unwrap();
    assert_eq!((sums.unknown, sums.fen_clients, sums.fen_ledger, sums.fen_unheard), (10, 0, 22, 22));
}

/// Expect: requests that no line tells of are counted, for users of the tallies only.
#[test]
fn what_nobody_heard_of_is_counted() {
    let (book, lines, [anna, ..]) = told();
    let of_anna: Vec<_> = lines
        .iter()
        .filter(|line| line.contains(&format!("\"user\":{anna},")) && !line.contains("open"))
        .cloned()
        .collect();
    let report = audit(&book, &of_anna);
    assert!(report.ok, "{:#?}", report.differences);
    let sums = report.tallies.unwrap();
    assert_eq!((sums.unheard, sums.fen_clients, sums.fen_ledger, sums.fen_unheard), (1, 0, 10, 10));
}

/// Expect: each change of what was told is found, and named once.
#[test]
fn what_contradicts_the_ledger_is_found() {
    let (book, lines, [anna, bert, won, sent]) = told();
    for (at, from, to) in [
        (0, won.to_string(), sent.to_string()),
        (0, won.to_string(), "0".into()),
        (0, "shake".into(), "open".into()),
        (1, "\"fen\":10".into(), "\"fen\":11".into()),
        (1, "\"fen\":10".into(), "\"fen\":0".into()),
        (1, won.to_string(), sent.to_string()),
        (2, "\"fen\":30".into(), "\"fen\":29".into()),
        (2, sent.to_string(), won.to_string()),
        (3, sent.to_string(), "0".into()),
        (4, "\"fen\":12".into(), "\"fen\":13".into()),
        (5, "\"fen\":12".into(), "\"fen\":13".into()),
        (5, "\"fen\":12".into(), "\"fen\":0".into()),
        (6, "\"packet\":0".into(), format!("\"packet\":{won}")),
        (7, "\"fen\":0".into(), "\"fen\":1".into()),
        (3, "\"req\":".into(), "\"req\":5".into()),
    ] {
        let mut lines = lines.clone();
        let changed = lines[at].replace(&from, &to);
        assert_ne!(changed, lines[at]);
        lines[at] = changed;
        let report = audit(&book, &lines);
        assert_eq!(report.by_rule.get("tally"), Some(&1), "{}: {:#?}", lines[at], report.differences);
        assert_eq!(report.by_rule.len(), 1);
    }
    // Two answers to one request; an unknown outcome that the ledger has as something else.
    for more in [
        line(bert, 900, "open", sent, 11, "known"),
        line(anna, 7, "shake", won, 0, "known"),
        line(bert, 900, "open", sent, 0, "known"),
    ] {
        let report = audit(&book, &[lines.clone(), vec![more]].concat());
        assert_eq!(report.by_rule.get("tally"), Some(&1));
    }
    let mut other = lines.clone();
    other[4] = other[4].replace("known", "unknown").replace(&sent.to_string(), &won.to_string());
    assert_eq!(audit(&book, &other).by_rule.get("tally"), Some(&1));
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let mut tallies = Tallies::default();
    let text = format!("{}\n{{\"user\":1}}\n", line(1, 2, "shake", 0, 0, "known"));
    let why = tallies.read(text.as_bytes()).unwrap_err();
    assert!(why.starts_with("line 2: missing field"), "{why}");
}
