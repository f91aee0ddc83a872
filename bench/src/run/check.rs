//! Whether what the server said can be true: the verdict of a run.

use super::report::{Check, Opens, RefusedFrames, Shakes};
use super::server_side::ServerSide;
use super::tally::{Outcome, Row};

/// What is checked.
pub struct Evidence<'a> {
    /// What was counted.
    pub shake: Shakes,
    /// What was counted.
    pub open: Opens,
    /// Answers and unknowns on money.
    pub rows: &'a [Row],
    /// What sessions refused.
    pub refused: RefusedFrames,
    /// Sessions that were renewed: frames under an earlier key are no fault then.
    pub rejoins: u64,
    /// Whether we spoil the wire ourselves.
    pub bad_wire: bool,
    /// Wins whose opens no session took.
    pub unopened: u64,
    /// The server's counters, and whether nobody else uses it.
    pub server: Option<(ServerSide, Alone)>,
}

/// Whether this run was the server's only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// Nobody else shook.
    Yes,
    /// Other hosts did.
    No,
}

/// Checks all of it. Sessions have checked each answer's seal, seq and req before, and told of each request
/// once.
pub fn check(evidence: &Evidence<'_>) -> Check {
    let mut problems = Vec::new();
    let mut expect = |holds: bool, problem: String| {
        if !holds {
            problems.push(problem);
        }
    };
    let Evidence { shake, open, rows, refused, .. } = evidence;
    let ended = shake.miss + shake.win + shake.unknown + shake.busy + shake.other;
    expect(ended == shake.sent, format!("{} shakes were made and {ended} have ended", shake.sent));
    let ended = open.ok + open.empty + open.unknown + open.busy + open.other;
    expect(ended == open.sent, format!("{} opens were made and {ended} have ended", open.sent));
    expect(shake.other == 0, format!("{} shakes got an answer that no shake can get", shake.other));
    expect(open.other == 0, format!("{} opens of packets just won were refused", open.other));
    expect(open.empty == 0, format!("{} opens of packets just won found nothing", open.empty));
    expect(evidence.unopened == 0, format!("{} wins could not be opened", evidence.unopened));
    expect(refused.foreign == 0, format!("{} datagrams came for no user of ours", refused.foreign));
    let forged = refused.bad_tag > 0 && evidence.rejoins == 0 && !evidence.bad_wire;
    expect(!forged, format!("{} frames had a wrong tag", refused.bad_tag));

    let known = |op: &'static str| {
        move |row: &&Row| row.op == op && row.outcome == Outcome::Known && (op == "open" || row.packet != 0)
    };
    let mut won: Vec<u64> = rows.iter().filter(known("shake")).map(|row| row.packet).collect();
    let wins = won.len() as u64;
    won.sort_unstable();
    won.dedup();
    expect(won.len() as u64 == wins, format!("{} packets were won twice", wins - won.len() as u64));
    expect(wins == shake.win, format!("{} wins were counted and {wins} are in the tally", shake.win));
    let paid = || rows.iter().filter(known("open")).filter(|row| row.fen > 0);
    let mut opened: Vec<u64> = paid().map(|row| row.packet).collect();
    let opens = opened.len() as u64;
    opened.sort_unstable();
    opened.dedup();
    let twice = opens - opened.len() as u64;
    expect(twice == 0, format!("{twice} packets of one share were paid twice"));
    expect(opens == open.ok, format!("{} opens took money and {opens} took more than 0 fen", open.ok));
    let strangers = opened.iter().filter(|packet| won.binary_search(packet).is_err()).count();
    expect(strangers == 0, format!("{strangers} packets were paid that nobody won"));
    let fen: u64 = paid().map(|row| row.fen).sum();
    expect(fen == open.fen, format!("opens took {} fen and the tally has {fen}", open.fen));
    if let Some((server, alone)) = &evidence.server {
        problems.extend(compare(shake, open, server, *alone));
    }
    Check { ok: problems.is_empty(), problems }
}

/// Our counters against the server's: it has at least what we know of, and, if nobody else was there, at
/// most what we do not know beside it.
fn compare(shake: &Shakes, open: &Opens, server: &ServerSide, alone: Alone) -> Vec<String> {
    let differs = |what: &str, ours: u64, unknown: u64, theirs: u64| {
        let too_many = alone == Alone::Yes && theirs > ours + unknown;
        (theirs < ours || too_many)
            .then(|| format!("{what}: the server has {theirs}, its clients {ours} and {unknown} unknown"))
    };
    let fen_unknown = if open.unknown > 0 { u64::MAX - open.fen } else { 0 };
    [
        differs("wins", shake.win, shake.unknown, server.shake_win),
        differs("misses", shake.miss, shake.unknown, server.shake_miss),
        differs("opens", open.ok, open.unknown, server.open_ok),
        differs("fen opened", open.fen, fen_unknown, server.open_fen),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIN: Row = Row { user: 1, req: 1, op: "shake", packet: 9, fen: 0, outcome: Outcome::Known };
    const OPEN: Row = Row { user: 1, req: 2, op: "open", packet: 9, fen: 30, outcome: Outcome::Known };

    fn evidence(rows: &[Row]) -> Evidence<'_> {
        Evidence {
            shake: Shakes { sent: 3, miss: 2, win: 1, ..Shakes::default() },
            open: Opens { sent: 1, ok: 1, fen: 30, ..Opens::default() },
            rows,
            refused: RefusedFrames::default(),
            rejoins: 0,
            bad_wire: false,
            unopened: 0,
            server: None,
        }
    }

    #[test]
    fn a_run_that_adds_up_is_right() {
        assert_eq!(check(&evidence(&[WIN, OPEN])), Check { ok: true, problems: Vec::new() });
    }

    /// Expect: each fault is named in one line.
    #[test]
    fn faults_are_named() {
        let twice = [WIN, OPEN, Row { user: 2, ..WIN }];
        let paid_twice = [WIN, OPEN, Row { user: 2, ..OPEN }];
        let stranger = [WIN, Row { packet: 8, ..OPEN }];
        let less = [WIN, Row { fen: 29, ..OPEN }];
        for (rows, what) in [
            (&twice[..], "won twice"),
            (&paid_twice, "paid twice"),
            (&stranger, "nobody won"),
            (&less, "29"),
            (&[WIN], "took more than 0 fen"),
        ] {
            let verdict = check(&evidence(rows));
            let all = verdict.problems.join("\n");
            assert!(!verdict.ok && all.contains(what), "{what}: {all}");
        }
        let mut lost = evidence(&[WIN, OPEN]);
        lost.shake.sent = 4;
        assert_eq!(check(&lost).problems, ["4 shakes were made and 3 have ended"]);
    }

    #[test]
    fn the_server_must_have_what_its_clients_know_of() {
        let server =
            ServerSide { shake_win: 1, shake_miss: 2, open_ok: 1, open_fen: 30, ..ServerSide::default() };
        let verdict = |server: ServerSide, alone, unknown| {
            let mut evidence = evidence(&[WIN, OPEN]);
            (evidence.shake.sent, evidence.shake.unknown) = (3 + unknown, unknown);
            evidence.server = Some((server, alone));
            check(&evidence).ok
        };
        assert!(verdict(server, Alone::Yes, 0));
        let more = ServerSide { shake_win: 2, ..server };
        assert!(!verdict(more, Alone::Yes, 0) && verdict(more, Alone::Yes, 1) && verdict(more, Alone::No, 0));
        assert!(!verdict(ServerSide { open_fen: 29, ..server }, Alone::No, 0));
    }
}
