//! Both sides' tallies, side by side.

use crate::run::{Report, ServerSide};

/// One thing that both sides counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    what: &'static str,
    clients: u64,
    server: u64,
    way: Way,
    /// So many of the clients' the server may not have counted.
    unsure: u64,
}

/// How the two counts belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// An outcome, known to both: equal.
    Outcome,
    /// Datagrams: the server may have taken fewer than the clients sent.
    ToServer,
    /// Datagrams: the clients may have taken fewer than the server sent.
    ToClients,
}

impl Line {
    /// How many were lost on the way, `None` if the two contradict each other.
    fn lost(&self) -> Option<u64> {
        match self.way {
            Way::Outcome => {
                let may_be = self.clients - self.unsure..=self.clients;
                may_be.contains(&self.server).then_some(0)
            }
            Way::ToServer => self.clients.checked_sub(self.server),
            Way::ToClients => self.server.checked_sub(self.clients),
        }
    }

    fn mark(&self) -> String {
        match self.lost() {
            Some(0) if self.way == Way::Outcome && self.clients != self.server => {
                format!("{} looked up after joining again", self.clients - self.server)
            }
            Some(0) => "equal".to_owned(),
            Some(lost) => format!("{lost} lost on the way"),
            None => format!("DIFFERENT by {}", self.clients.abs_diff(self.server)),
        }
    }
}

/// Everything that both sides counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallies(Vec<Line>);

impl Tallies {
    /// What the clients of a run counted, and the server meanwhile.
    pub fn of(report: &Report, server: &ServerSide) -> Tallies {
        let (shake, open) = (report.shake, report.open);
        let line = |what, clients, server, way| Line { what, clients, server, way, unsure: 0 };
        let outcome = |what, clients, server| line(what, clients, server, Way::Outcome);
        let shakes =
            |what, clients, server| Line { unsure: shake.repeated_miss, ..outcome(what, clients, server) };
        let (sent, received) = (report.datagrams_sent, report.datagrams_received);
        Tallies(vec![
            shakes("shakes answered", shake.miss + shake.win, server.shake_miss + server.shake_win),
            shakes("misses", shake.miss, server.shake_miss),
            outcome("wins", shake.win, server.shake_win),
            outcome("packets opened", open.ok, server.open_ok),
            outcome("fen taken", open.fen, server.open_fen),
            line("datagrams to it", sent, server.datagrams_in, Way::ToServer),
            line("datagrams from it", received, server.datagrams_out, Way::ToClients),
        ])
    }

    /// Whether the two sides contradict each other nowhere.
    pub fn agree(&self) -> bool {
        self.0.iter().all(|line| line.lost().is_some())
    }

    /// The table.
    pub fn lines(&self) -> Vec<String> {
        let head = format!("  {:<20} {:>14} {:>14}", "", "clients", "server");
        let line = |line: &Line| {
            format!("  {:<20} {:>14} {:>14}   {}", line.what, line.clients, line.server, line.mark())
        };
        std::iter::once(head).chain(self.0.iter().map(line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(way: Way, clients: u64, server: u64) -> Line {
        Line { what: "", clients, server, way, unsure: 0 }
    }

    /// Expect: datagrams can be lost, outcomes cannot, and nobody takes what was not sent.
    #[test]
    fn what_is_lost_is_told_from_what_contradicts() {
        assert_eq!(line(Way::Outcome, 5, 5).mark(), "equal");
        assert_eq!(line(Way::Outcome, 5, 4).mark(), "DIFFERENT by 1");
        assert_eq!(line(Way::ToServer, 5, 4).mark(), "1 lost on the way");
        assert_eq!(line(Way::ToServer, 4, 5).mark(), "DIFFERENT by 1");
        assert_eq!(line(Way::ToClients, 3, 5).mark(), "2 lost on the way");
        let unsure = |server| Line { unsure: 2, ..line(Way::Outcome, 5, server) };
        assert_eq!(
            (unsure(5).mark(), unsure(3).mark()),
            ("equal".into(), "2 looked up after joining again".into())
        );
        assert_eq!((unsure(2).mark(), unsure(6).mark()), ("DIFFERENT by 3".into(), "DIFFERENT by 1".into()));
        assert!(!Tallies(vec![line(Way::ToServer, 5, 5), line(Way::Outcome, 1, 2)]).agree());
        assert!(Tallies(vec![line(Way::ToServer, 5, 3), line(Way::Outcome, 2, 2)]).agree());
    }
}
