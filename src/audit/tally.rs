//! Tallies: what clients were told, beside what the ledger says.

use super::packets::{Packet, Part};
use super::requests::{Asked, PARTS, Request, part_of};
use super::rule::{Difference, Differences, Rule};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::BufRead;

/// One answer that a client has had, or the lack of one. 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    user: u64,
    req: u64,
    /// Known ones first.
    unknown: bool,
    asked: Asked,
    /// Of a refusal, and of an outcome that is not known: 0, or the packet that was asked for.
    packet: u64,
    fen: u64,
}

/// A line as it is written.
#[derive(Deserialize)]
struct Text<'a> {
    user: u64,
    req: u64,
    op: &'a str,
    packet: u64,
    fen: u64,
    outcome: Outcome,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Known,
    Unknown,
}

/// Tallies of clients.
#[derive(Debug)]
pub struct Tallies {
    parts: Vec<Vec<Line>>,
    files: u64,
    lines: u64,
    unknown: u64,
}

/// What the comparison came to, beside differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TallySums {
    /// Files that were read.
    pub files: u64,
    /// Lines in them.
    pub lines: u64,
    /// Lines whose outcome the client does not know.
    pub unknown: u64,
    /// What clients know they have taken, in fen; each packet counts once.
    pub fen_clients: u64,
    /// What those clients have taken as the ledger has it, in fen.
    pub fen_ledger: u64,
    /// Part of the ledger's: what the client does not know of, in fen.
    pub fen_unheard: u64,
    /// Requests of those clients that were executed, and that no line tells of.
    pub unheard: u64,
}

impl Default for Tallies {
    fn default() -> Tallies {
        Tallies { parts: vec![Vec::new(); PARTS], files: 0, lines: 0, unknown: 0 }
    }
}

impl Tallies {
    /// Adds a file of JSON lines. The error names the line.
    pub fn read(&mut self, mut file: impl BufRead) -> Result<(), String> {
        let mut text = Vec::new();
        for number in 1u64.. {
            text.clear();
            if file.read_until(b'\n', &mut text).map_err(|error| error.to_string())? == 0 {
                break;
            }
            self.add(&text).map_err(|why| format!("line {number}: {why}"))?;
        }
        self.files += 1;
        Ok(())
    }

    fn add(&mut self, text: &[u8]) -> Result<(), String> {
        let Text { user, req, op, packet, fen, outcome } =
            serde_json::from_slice(text).map_err(|error| error.to_string())?;
        self.lines += 1;
        let unknown = outcome == Outcome::Unknown;
        self.unknown += u64::from(unknown);
        // Balances and the like move no money.
        if let Some(asked) = Asked::ALL.into_iter().find(|asked| asked.name() == op) {
            self.parts[part_of(user)].push(Line { user, req, unknown, asked, packet, fen });
        }
        Ok(())
    }

    /// What was read.
    pub fn sums(&self) -> TallySums {
        let Tallies { files, lines, unknown, .. } = *self;
        TallySums { files, lines, unknown, ..TallySums::default() }
    }

    /// Compares the lines of one part of the users with their requests, which are sorted.
    pub fn compare(
        &self,
        part: usize,
        requests: &[Request],
        ledger: &impl Decided,
    ) -> (TallySums, Differences) {
        let mut lines = self.parts[part].clone();
        lines.sort_unstable();
        let mut compared =
            Compared { ledger, sums: TallySums::default(), differences: Differences::default() };
        let mut rest = requests;
        for lines in lines.chunk_by(|one, other| one.user == other.user) {
            let user = lines[0].user;
            rest = &rest[rest.partition_point(|request| request.user < user)..];
            let (own, others) = rest.split_at(rest.partition_point(|request| request.user == user));
            rest = others;
            compared.user(lines, own);
        }
        (compared.sums, compared.differences)
    }
}

/// What a ledger has decided.
pub trait Decided {
    /// The machine that made its packets.
    fn machine(&self) -> u16;

    /// A packet, and what this user has had to do with it.
    fn packet(&self, packet: u64, user: u64) -> Option<(&Packet, Part)>;
}

struct Compared<'a, D> {
    ledger: &'a D,
    sums: TallySums,
    differences: Differences,
}

impl<D: Decided> Compared<'_, D> {
    /// All lines and all requests of one user, both sorted by req.
    fn user(&mut self, lines: &[Line], requests: &[Request]) {
        let mut rest = requests;
        for same in lines.chunk_by(|one, other| one.req == other.req) {
            let req = same[0].req;
            let (before, from) = rest.split_at(rest.partition_point(|request| request.req < req));
            let (own, after) = from.split_at(from.partition_point(|request| request.req == req));
            rest = after;
            self.unheard(before);
            self.request(same, own.first());
        }
        self.unheard(rest);
        self.sum(lines, requests);
    }

    /// Requests that no line tells of.
    fn unheard(&mut self, requests: &[Request]) {
        self.sums.unheard += requests.iter().filter(|request| !request.is_told()).count() as u64;
    }

    /// Lines of one request, and the row that it has, if it has one.
    fn request(&mut self, lines: &[Line], row: Option<&Request>) {
        let line = &lines[0];
        let said = || line.to_string();
        let other = lines.iter().find(|other| !other.unknown && **other != *line);
        let found = match (other, row) {
            (Some(other), _) => Some(format!("it was also told {other}")),
            (None, Some(row)) => self.against_row(line, row),
            (None, None) => line.promises().then(|| "no row has this req".to_owned()),
        };
        if let Some(found) = found {
            self.differences.push(Difference {
                rule: Rule::Tally,
                group: row.map(Request::group),
                row: row.map(Request::row),
                packet: (line.packet != 0).then_some(line.packet),
                user: Some(line.user),
                said: said(),
                found,
            });
        }
    }

    /// What the row says, if the line says another thing.
    fn against_row(&self, line: &Line, row: &Request) -> Option<String> {
        let packet = row.packet(self.ledger.machine());
        let fen = self.fen(row);
        let asked = row.asked()?;
        let right = match line {
            _ if line.asked != asked => false,
            Line { unknown: true, packet: 0, .. } => true,
            Line { unknown: true, .. } => line.packet == packet,
            // Nothing was told of, and what was told of nothing is all there is.
            _ if !line.promises() => asked == Asked::Open && fen == 0,
            _ => line.packet == packet && (fen == line.fen || !tells_fen(asked)),
        };
        let name = asked.name();
        (!right).then(|| {
            format!("{name} of packet {packet}, {fen} fen, in row {} of group {}", row.row(), row.group())
        })
    }

    /// What a request's answer tells, in fen.
    fn fen(&self, row: &Request) -> u64 {
        let packet = row.packet(self.ledger.machine());
        let Some((packet, part)) = self.ledger.packet(packet, row.user) else { return 0 };
        match row.asked() {
            Some(Asked::Open) if row.is_of_money() => part.fen(),
            Some(Asked::Send) => packet.total_fen,
            _ => 0,
        }
    }

    /// What the user has taken, on both sides.
    fn sum(&mut self, lines: &[Line], requests: &[Request]) {
        let mut heard = HashSet::new();
        for line in lines.iter().filter(|line| line.asked == Asked::Open && line.promises()) {
            if heard.insert(line.packet) {
                self.sums.fen_clients += line.fen;
            }
        }
        for row in requests.iter().filter(|row| row.asked() == Some(Asked::Open) && !row.is_told()) {
            let fen = self.fen(row);
            self.sums.fen_ledger += fen;
            if !heard.contains(&row.packet(self.ledger.machine())) {
                self.sums.fen_unheard += fen;
            }
        }
    }
}

/// Whether an answer to this tells an amount.
fn tells_fen(asked: Asked) -> bool {
    matches!(asked, Asked::Open | Asked::Send)
}

impl Line {
    /// Whether the client was told of money, or of a right to it.
    fn promises(&self) -> bool {
        !self.unknown && self.packet != 0 && (self.fen != 0 || !tells_fen(self.asked))
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Line { req, packet, fen, .. } = self;
        match self {
            Line { unknown: true, .. } => write!(f, "{} req {req}: not known", self.asked.name()),
            _ if !self.promises() => write!(f, "{} req {req}: nothing", self.asked.name()),
            _ => write!(f, "{} req {req}: packet {packet}, {fen} fen", self.asked.name()),
        }
    }
}

impl TallySums {
    /// Adds what another part came to.
    pub fn add(&mut self, other: TallySums) {
        self.fen_clients += other.fen_clients;
        self.fen_ledger += other.fen_ledger;
        self.fen_unheard += other.fen_unheard;
        self.unheard += other.unheard;
    }
}
