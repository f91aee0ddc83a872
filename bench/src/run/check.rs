//! Whether what the server said can be true: the verdict of a run.

use super::book::Invitation;
use super::counts::Counts;
use super::outcomes::{Opens, Requests, Shakes};
use super::report::{Check, RefusedFrames};
use super::server_side::ServerSide;
use super::tally::{Outcome, Row};
use std::collections::HashMap;

/// What is checked.
pub struct Evidence<'a> {
    /// What was counted.
    pub counts: Counts,
    /// Answers and unknowns on money.
    pub rows: &'a [Row],
    /// Who was invited to what.
    pub invitations: &'a [Invitation],
    /// What sessions refused.
    pub refused: RefusedFrames,
    /// Whether we spoil the wire, or the server, ourselves.
    pub is_disturbed: bool,
    /// Requests of users that no session took.
    pub not_taken: u64,
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
    let Evidence { counts, refused, .. } = evidence;
    let (shake, open) = (&counts.shake, &counts.open);
    for (what, sent, ended, other) in ends(counts) {
        expect(ended == sent, format!("{sent} {what} were made and {ended} have ended"));
        expect(other == 0, format!("{other} {what} got an answer that they cannot get"));
    }
    let empty = open.empty.saturating_sub(counts.invites.empty);
    expect(empty == 0, format!("{empty} opens of packets just won found nothing"));
    expect(evidence.not_taken == 0, format!("{} requests of users could not be made", evidence.not_taken));
    expect(
        counts.not_made == 0,
        format!("{} sends have more frames than the server allows", counts.not_made),
    );
    expect(refused.foreign == 0, format!("{} datagrams came for no user of ours", refused.foreign));
    let forged = refused.bad_tag > 0 && counts.rejoins == 0 && !evidence.is_disturbed;
    expect(!forged, format!("{} frames had a wrong tag", refused.bad_tag));
    let taken = Taken::of(evidence.rows, evidence.invitations, &mut expect);
    expect(
        taken.wins == shake.win,
        format!("{} wins were counted and {} are in the tally", shake.win, taken.wins),
    );
    expect(
        taken.answers == open.ok,
        format!("{} opens took money and {} took more than 0 fen", open.ok, taken.answers),
    );
    expect(
        taken.fen_answers == open.fen,
        format!("opens took {} fen and the tally has {}", open.fen, taken.fen_answers),
    );
    if let Some((server, alone)) = &evidence.server {
        // An open that was made again is told again, and is no other one to the server.
        let open = Opens { ok: taken.opens, fen: taken.fen, ..*open };
        problems.extend(compare(shake, &open, server, *alone));
    }
    Check { ok: problems.is_empty(), problems }
}

/// Of each op: its name, requests made, requests that have ended, and those that ended as they cannot.
fn ends(counts: &Counts) -> [(&'static str, u64, u64, u64); 7] {
    let Counts { shake, open, .. } = counts;
    let ended = |what, count: &Requests| {
        let Requests { sent, ok, refused, unknown, busy, not_done, other, .. } = *count;
        (what, sent, ok + refused + unknown + busy + not_done + other, other)
    };
    let shakes = shake.miss + shake.win + shake.unknown + shake.busy + shake.other + shake.not_now;
    let opens = open.ok + open.empty + open.unknown + open.busy + open.other;
    [
        ("shakes", shake.sent, shakes, shake.other),
        ("opens", open.sent, opens, open.other),
        ended("sends", &counts.send),
        ended("shares", &counts.share),
        ended("grabs", &counts.grab),
        ended("questions for the balance", &counts.balance),
        ended("questions for the history", &counts.history),
    ]
}

/// What users have taken, as they were told.
#[derive(Default)]
struct Taken {
    /// Shakes that won.
    wins: u64,
    /// Opens that took money, also those made again.
    answers: u64,
    fen_answers: u64,
    /// The same, each user's of each packet once.
    opens: u64,
    fen: u64,
}

/// What is known of one packet.
#[derive(Clone, Copy, Default)]
struct Packet {
    winner: Option<u64>,
    /// 0: not known.
    total_fen: u64,
    taken_fen: u64,
}

impl Taken {
    /// Adds up what users were told, and looks for what cannot be.
    fn of(rows: &[Row], invitations: &[Invitation], expect: &mut impl FnMut(bool, String)) -> Taken {
        let mut taken = Taken::default();
        let mut packets: HashMap<u64, Packet> = HashMap::new();
        let told = |op: &'static str| {
            let is_told = move |row: &&Row| row.op == op && row.outcome == Outcome::Known && row.packet != 0;
            rows.iter().filter(is_told)
        };
        let mut twice = 0u64;
        for row in told("shake") {
            let packet = packets.entry(row.packet).or_default();
            twice += u64::from(packet.winner.replace(row.user).is_some());
            taken.wins += 1;
        }
        expect(twice == 0, format!("{twice} packets were won twice"));
        let mut twice = 0u64;
        for row in told("send") {
            let packet = packets.entry(row.packet).or_default();
            twice += u64::from(packet.winner.is_some() || packet.total_fen != 0);
            packet.total_fen = row.fen;
        }
        expect(twice == 0, format!("{twice} packets were made twice"));
        let mut invited = HashMap::with_capacity(invitations.len());
        let mut other = 0u64;
        for Invitation { user, packet, total_fen } in invitations {
            invited.insert((*user, *packet), ());
            let packet = packets.entry(*packet).or_default();
            other += u64::from(packet.total_fen != 0 && *total_fen != 0 && packet.total_fen != *total_fen);
            packet.total_fen = packet.total_fen.max(*total_fen);
        }
        expect(other == 0, format!("{other} invitations told another total than was sent"));
        let (mut strangers, mut otherwise) = (0u64, 0u64);
        let mut opened: HashMap<(u64, u64), u64> = HashMap::new();
        for row in told("open").filter(|row| row.fen > 0) {
            taken.answers += 1;
            taken.fen_answers += row.fen;
            let packet = packets.entry(row.packet).or_default();
            if let Some(fen) = opened.insert((row.user, row.packet), row.fen) {
                otherwise += u64::from(fen != row.fen);
                continue;
            }
            taken.opens += 1;
            taken.fen += row.fen;
            let is_winner = packet.winner == Some(row.user);
            strangers += u64::from(!is_winner && !invited.contains_key(&(row.user, row.packet)));
            packet.taken_fen += row.fen;
        }
        expect(
            strangers == 0,
            format!("{strangers} packets were paid to users who had not won them or been invited"),
        );
        expect(otherwise == 0, format!("{otherwise} opens told another amount when they were made again"));
        let more = |packet: &&Packet| packet.total_fen != 0 && packet.taken_fen > packet.total_fen;
        let more = packets.values().filter(more).count();
        expect(more == 0, format!("{more} packets paid more than was in them"));
        taken
    }
}

/// Our counters against the server's: it has at least what we know of, and, if nobody else was there, at
/// most what we do not know beside it.
fn compare(shake: &Shakes, open: &Opens, server: &ServerSide, alone: Alone) -> Vec<String> {
    let differs_by = |what: &str, ours: u64, unsure: u64, unknown: u64, theirs: u64| {
        let too_many = alone == Alone::Yes && theirs > ours + unknown;
        (theirs < ours - unsure || too_many)
            .then(|| format!("{what}: the server has {theirs}, its clients {ours} and {unknown} unknown"))
    };
    let differs = |what, ours, unknown, theirs| differs_by(what, ours, 0, unknown, theirs);
    let fen_unknown = if open.unknown > 0 { u64::MAX - open.fen } else { 0 };
    [
        differs("wins", shake.win, shake.unknown, server.shake_win),
        differs_by("misses", shake.miss, shake.repeated_miss, shake.unknown, server.shake_miss),
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
        let counts = Counts {
            shake: Shakes { sent: 3, miss: 2, win: 1, ..Shakes::default() },
            open: Opens { sent: 1, ok: 1, fen: 30, ..Opens::default() },
            ..Counts::default()
        };
        Evidence {
            counts,
            rows,
            invitations: &[],
            refused: RefusedFrames::default(),
            is_disturbed: false,
            not_taken: 0,
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
            (&paid_twice, "had not won"),
            (&stranger, "had not won"),
            (&less, "29"),
            (&[WIN], "took more than 0 fen"),
        ] {
            let verdict = check(&evidence(rows));
            let all = verdict.problems.join("\n");
            assert!(!verdict.ok && all.contains(what), "{what}: {all}");
        }
        let mut lost = evidence(&[WIN, OPEN]);
        lost.counts.shake.sent = 4;
        assert_eq!(check(&lost).problems, ["4 shakes were made and 3 have ended"]);
    }

    #[test]
    fn the_server_must_have_what_its_clients_know_of() {
        let server =
            ServerSide { shake_win: 1, shake_miss: 2, open_ok: 1, open_fen: 30, ..ServerSide::default() };
        let verdict = |server: ServerSide, alone, unknown| {
            let mut evidence = evidence(&[WIN, OPEN]);
            let shake = &mut evidence.counts.shake;
            (shake.sent, shake.unknown) = (3 + unknown, unknown);
            evidence.server = Some((server, alone));
            check(&evidence).ok
        };
        assert!(verdict(server, Alone::Yes, 0));
        let more = ServerSide { shake_win: 2, ..server };
        assert!(!verdict(more, Alone::Yes, 0) && verdict(more, Alone::Yes, 1) && verdict(more, Alone::No, 0));
        assert!(!verdict(ServerSide { open_fen: 29, ..server }, Alone::No, 0));
        // A miss that was looked up may not have been counted; another one must.
        let with_looked_up = |repeated_miss| {
            let mut evidence = evidence(&[WIN, OPEN]);
            evidence.counts.shake.repeated_miss = repeated_miss;
            evidence.server = Some((ServerSide { shake_miss: 1, ..server }, Alone::Yes));
            check(&evidence).ok
        };
        assert!(with_looked_up(1) && !with_looked_up(0));
    }

    const INVITED: Invitation = Invitation { user: 5, packet: 7, total_fen: 50 };
    const TAKEN: Row = Row { user: 5, req: 3, op: "open", packet: 7, fen: 20, outcome: Outcome::Known };

    fn verdict(rows: &[Row], invitations: &[Invitation]) -> Vec<String> {
        let mut evidence = Evidence { invitations, ..evidence(rows) };
        let known = || rows.iter().filter(|row| row.op == "open");
        evidence.counts.shake = Shakes::default();
        let (ok, fen) = (known().count() as u64, known().map(|row| row.fen).sum());
        evidence.counts.open = Opens { sent: ok, ok, fen, ..Opens::default() };
        check(&evidence).problems
    }

    /// Expect: the invited may take, once each and no more than there is; an open that is made again tells the same.
    #[test]
    fn packets_for_others_are_checked_by_user() {
        let other = Invitation { user: 6, ..INVITED };
        let rest = Row { user: 6, fen: 30, ..TAKEN };
        assert!(verdict(&[TAKEN, rest, Row { req: 4, ..TAKEN }], &[INVITED, other]).is_empty());
        for (rows, what) in [
            ([TAKEN, Row { user: 8, ..TAKEN }], "had not won them or been invited"),
            ([TAKEN, Row { req: 4, fen: 21, ..TAKEN }], "another amount"),
            ([TAKEN, Row { fen: 31, ..rest }], "more than was in them"),
            ([TAKEN, Row { op: "send", fen: 51, ..TAKEN }], "another total"),
        ] {
            let problems = verdict(&rows, &[INVITED, other]).join("; ");
            assert!(problems.contains(what), "{what}: {problems}");
        }
    }
}
