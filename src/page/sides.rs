//! The same datagrams and frames, counted by clients, server, kernel and interface: where the counts agree, and where
//! they do not.
//!
//! Two counts agree if they differ by no more than 1/1000 once what is known has been taken off: losses that somebody
//! counted, and who else is counted by the kernel; or by no more than passed between two publications of counts, since
//! nobody is asked in the same moment. What is left is lost where nobody counts.

use super::words::grouped;
use crate::record::{Count, Counts, Reading, Second, Series};

/// Counts that differ by less of the greater one agree.
const AGREE: f64 = 0.001;

/// And so do counts that differ by no more than this: of few datagrams each one is more than 1/1000.
const FEW: f64 = 3.0;

/// Two counts of the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// What was counted.
    pub what: &'static str,
    /// Who counted first, and how many.
    pub first: (String, f64),
    /// Who counted then, and how many.
    pub then: (String, f64),
    /// What is known to have gone in between.
    pub known: Vec<(&'static str, f64)>,
    /// What may be the cause of a difference that is left.
    pub cause: &'static str,
    /// Whether the first one sent what the other one got: what is missing was lost. Else both counted in one place.
    pub is_way: bool,
    /// How many may have passed between two publications of counts, at the beginning and at the end.
    pub meanwhile: f64,
}

impl Pair {
    /// What is left of the difference. Below 0 there were more than before.
    pub fn unknown(&self) -> f64 {
        let known: f64 = self.known.iter().map(|(_, count)| count).sum();
        let difference = self.first.1 - self.then.1;
        // What was lost was lost on the way to the second one, if anything is missing there.
        difference - known.min(difference.max(0.0))
    }

    /// Whether they agree within 0.1%.
    pub fn is_exact(&self) -> bool {
        self.unknown().abs() <= (AGREE * self.first.1.max(self.then.1)).max(FEW)
    }

    /// Whether they agree, also if only as far as counts can that are not taken in one moment.
    pub fn agrees(&self) -> bool {
        self.is_exact() || self.unknown().abs() <= self.meanwhile
    }

    /// A sentence.
    pub fn words(&self) -> String {
        let Pair { what, first, then, known, cause, .. } = self;
        let counts = format!("{what}: {} {}, {} {}", first.0, whole(first.1), then.0, whole(then.1));
        let known: Vec<String> = known
            .iter()
            .filter(|(_, count)| *count > 0.0)
            .map(|(place, count)| format!("{} {place}", whole(*count)))
            .collect();
        let difference = first.1 - then.1;
        let taken = if known.is_empty() || difference <= FEW {
            String::new()
        } else {
            format!(", of which are lost: {}", known.join(", "))
        };
        if self.is_exact() {
            return format!("{counts}{taken}: they agree within 0.1%.");
        }
        if self.agrees() {
            return format!(
                "{counts}{taken}: they agree to {}, fewer than passed between two publications of counts.",
                whole(self.unknown().abs())
            );
        }
        let unknown = self.unknown();
        let share = 100.0 * unknown.abs() / first.1.max(then.1).max(1.0);
        let unknown = format!("{} ({share:.2}%)", whole(unknown.abs()));
        match (self.is_way, self.unknown() > 0.0) {
            (true, true) => format!("{counts}{taken}: {unknown} are missing, unknown where: {cause}."),
            (true, false) => format!("{counts}: {unknown} more came than were sent: {cause}."),
            (false, true) => format!("{counts}{taken}: the first has {unknown} more: {cause}."),
            (false, false) => format!("{counts}: the first has {unknown} fewer: {cause}."),
        }
    }
}

fn whole(count: f64) -> String {
    grouped(count.max(0.0).round() as u64)
}

/// A line of the table of totals.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which way.
    pub way: &'static str,
    /// Frames and datagrams by the clients, if there are any.
    pub client: Option<(f64, f64)>,
    /// Frames and datagrams by the servers, if there are any.
    pub server: Option<(f64, f64)>,
    /// UDP datagrams by the kernel.
    pub kernel: f64,
    /// Packets of the interfaces.
    pub interface: f64,
}

/// A run seen from all sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Sides {
    /// To the server, and from it.
    pub rows: [Row; 2],
    /// What can be compared.
    pub pairs: Vec<Pair>,
    /// What explains the numbers: how many of one are one of another.
    pub ratios: Vec<String>,
    /// What is to be known of how it was counted.
    pub notes: Vec<String>,
}

/// Where clients are, seen from the kernel that counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clients {
    None,
    Here,
    Elsewhere,
    Both,
}

/// Looks at a run from all sides.
pub fn sides(series: &Series, seconds: &[Second]) -> Sides {
    let interfaces = seconds.iter().rev().find(|second| !second.interfaces.is_empty());
    let is_xdp = seconds.iter().any(|second| second.is_xdp);
    let total = series.totals();
    let sources = series.sources();
    let names = |is: fn(&Reading) -> bool| -> Vec<&str> {
        sources.iter().filter(|source| is(&source.reading)).map(|source| source.machine_name()).collect()
    };
    let servers = names(|reading| matches!(reading, Reading::Server(_)));
    let clients = names(|reading| matches!(reading, Reading::Client(_)));
    let here = clients.iter().filter(|client| servers.contains(client)).count();
    let place = match here {
        _ if clients.is_empty() => Clients::None,
        0 => Clients::Elsewhere,
        here if here == clients.len() => Clients::Here,
        _ => Clients::Both,
    };
    let of = |is_there: bool, frames, datagrams| is_there.then(|| (total[frames], total[datagrams]));
    let (any_client, any_server) = (!clients.is_empty(), !servers.is_empty());
    let rows = [
        Row {
            way: "to the server",
            client: of(any_client, Count::FramesSent, Count::DatagramsSent),
            server: of(any_server, Count::FramesIn, Count::DatagramsIn),
            kernel: total[Count::UdpIn],
            interface: total[Count::InterfaceIn],
        },
        Row {
            way: "from the server",
            client: of(any_client, Count::FramesReceived, Count::DatagramsReceived),
            server: of(any_server, Count::FramesOut, Count::DatagramsOut),
            kernel: total[Count::UdpOut],
            interface: total[Count::InterfaceOut],
        },
    ];
    let mut pairs = Vec::new();
    if any_client && any_server {
        let sent = between_client_and_server(series);
        pairs.extend(sent.map(|pair| Pair { is_way: true, ..pair }));
    }
    if any_server && !is_xdp && place != Clients::Both {
        pairs.extend(with_the_kernel(total, place));
    }
    if let Some(interfaces) = interfaces.filter(|_| any_server && place != Clients::Both) {
        pairs.extend(with_the_interface(series, interfaces, is_xdp));
    }
    let meanwhile = meanwhile(seconds);
    pairs.iter_mut().for_each(|pair| pair.meanwhile = meanwhile);
    let notes = notes(place, is_xdp, any_client, any_server);
    Sides { rows, pairs, ratios: ratios(total, any_client), notes }
}

fn pair(
    what: &'static str,
    first: (&str, f64),
    then: (&str, f64),
    known: Vec<(&'static str, f64)>,
    cause: &'static str,
) -> Pair {
    Pair {
        what,
        first: (first.0.into(), first.1),
        then: (then.0.into(), then.1),
        known,
        cause,
        is_way: false,
        meanwhile: 0.0,
    }
}

const ON_THE_WAY: &str = "lost on the way where nobody counts, or under way when it was asked";

fn between_client_and_server(series: &Series) -> [Pair; 5] {
    let total = series.totals();
    let shed = refused_in_kernel(series);
    let frames_each = total[Count::FramesSent] / total[Count::DatagramsSent].max(1.0);
    let lost = |times: f64| {
        vec![
            ("at the card", total[Count::LostNic] * times),
            ("at softnet", total[Count::LostSoftnet] * times),
            ("at a socket", total[Count::LostSocket] * times),
            ("refused in the kernel", shed * times),
        ]
    };
    let repeated = total[Count::Repeated];
    [
        pair(
            "datagrams to the server",
            ("the clients sent", total[Count::DatagramsSent]),
            ("the server got", total[Count::DatagramsIn]),
            lost(1.0),
            ON_THE_WAY,
        ),
        pair(
            "frames to the server",
            ("the clients sent", total[Count::FramesSent]),
            ("the server got", total[Count::FramesIn]),
            lost(frames_each),
            ON_THE_WAY,
        ),
        pair(
            "datagrams from the server",
            ("it sent", total[Count::DatagramsOut]),
            ("the clients got", total[Count::DatagramsReceived]),
            vec![],
            ON_THE_WAY,
        ),
        pair(
            "frames from the server",
            ("it sent", total[Count::FramesOut]),
            ("the clients got", total[Count::FramesReceived]),
            vec![],
            ON_THE_WAY,
        ),
        pair(
            "requests answered",
            ("the server says", total[Count::Answers]),
            ("the clients say", total[Count::Answered]),
            vec![("answered once more as before", repeated), ("told to come again", total[Count::Busy])],
            "an answer that is asked for again is answered again, and one that came too late is not counted by a client",
        ),
    ]
}

fn with_the_kernel(total: &Counts, place: Clients) -> [Pair; 2] {
    let together = place == Clients::Here;
    let who = if together { "server and clients" } else { "the server" };
    let both = |own, of_clients| total[own] + if together { total[of_clients] } else { 0.0 };
    let cause = "other programs of this machine speak UDP too";
    let (got, sent) = (format!("{who} got"), format!("{who} sent"));
    [
        pair(
            "UDP datagrams received",
            ("the kernel delivered", total[Count::UdpIn]),
            (&got, both(Count::DatagramsIn, Count::DatagramsReceived)),
            vec![],
            cause,
        ),
        pair(
            "UDP datagrams sent",
            ("the kernel took", total[Count::UdpOut]),
            (&sent, both(Count::DatagramsOut, Count::DatagramsSent)),
            vec![],
            cause,
        ),
    ]
}

fn with_the_interface(series: &Series, interfaces: &Second, is_xdp: bool) -> [Pair; 2] {
    let (total, name) = (series.totals(), interfaces.interface_names());
    let cause = "other packets (TCP, ARP) are counted there too; offloads count several datagrams as one";
    let (first_in, first_out) = (format!("{name} received"), format!("{name} sent"));
    let kernel = if is_xdp { "the AF_XDP engine" } else { "the kernel's UDP" };
    let (got, sent) = (format!("{kernel} got"), format!("{kernel} sent"));
    let lost = vec![
        ("at softnet", total[Count::LostSoftnet]),
        ("at a socket", total[Count::LostSocket]),
        ("refused in the kernel", refused_in_kernel(series)),
    ];
    [
        pair(
            "packets received",
            (&first_in, total[Count::InterfaceIn]),
            (&got, total[Count::UdpIn]),
            lost,
            cause,
        ),
        pair(
            "packets sent",
            (&first_out, total[Count::InterfaceOut]),
            (&sent, total[Count::UdpOut]),
            vec![],
            cause,
        ),
    ]
}

fn refused_in_kernel(series: &Series) -> f64 {
    series.drops().get("shed_in_kernel").copied().unwrap_or(0) as f64
}

/// How often workers and clients publish their counts at the least.
const PUBLISHED_EVERY_S: f64 = 0.25;

/// How many datagrams may have passed between two publications, when the first sample was taken and when the last was.
fn meanwhile(seconds: &[Second]) -> f64 {
    const COUNTS: [Count; 3] = [Count::DatagramsIn, Count::DatagramsSent, Count::UdpIn];
    let most = |second: &Second| COUNTS.iter().map(|count| second.per_s[*count]).fold(0.0, f64::max);
    let ends = [seconds.first(), seconds.last()];
    PUBLISHED_EVERY_S * ends.into_iter().flatten().map(most).sum::<f64>()
}

fn ratios(total: &Counts, any_client: bool) -> Vec<String> {
    let ratio = |one: Count, other: Count| total[one] / total[other].max(1.0);
    let mut ratios = vec![
        format!(
            "{:.2} frames in a datagram to the server, {:.2} from it",
            ratio(Count::FramesIn, Count::DatagramsIn),
            ratio(Count::FramesOut, Count::DatagramsOut)
        ),
        format!(
            "{} answers were repeated as before, {} invitations pushed",
            whole(total[Count::Repeated]),
            whole(total[Count::Pushed])
        ),
    ];
    if any_client {
        ratios.push(format!(
            "{} requests were sent once more, {} not answered in time, {} told to come again",
            whole(total[Count::Retransmits]),
            whole(total[Count::Timeouts]),
            whole(total[Count::Busy])
        ));
    }
    ratios
}

fn notes(place: Clients, is_xdp: bool, any_client: bool, any_server: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if is_xdp {
        notes.push("The server has AF_XDP: the kernel's UDP counters do not see its datagrams, and the engine's own stand in their place.".into());
    }
    match place {
        Clients::Here => notes.push("Clients and server share a machine: its kernel and its interface count both.".into()),
        Clients::Both => notes.push("Some clients are on the server's machine and some are not: kernel and interface are not compared.".into()),
        _ => {}
    }
    if !any_client {
        notes.push("No load client was asked: what was sent to the server is not known.".into());
    }
    if !any_server {
        notes.push("No server was asked: what became of what was sent is not known.".into());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(first: f64, then: f64, known: f64) -> Pair {
        let pair =
            pair("datagrams", ("sent", first), ("got", then), vec![("at a socket", known)], "who knows");
        Pair { is_way: true, ..pair }
    }

    /// Expect: what was counted as lost explains a difference, what was not does not.
    #[test]
    fn known_losses_explain_a_difference() {
        assert!(of(100_000.0, 99_950.0, 0.0).agrees());
        assert!(!of(100_000.0, 99_000.0, 0.0).agrees() && of(100_000.0, 99_000.0, 1_000.0).agrees());
        assert!(of(100_000.0, 100_000.0, 5_000.0).agrees(), "what was lost was not among these");
        assert!(of(10.0, 8.0, 0.0).agrees() && !of(10.0, 4.0, 0.0).agrees());
        let words = of(100_000.0, 98_000.0, 1_500.0).words();
        let expected = "datagrams: sent 100,000, got 98,000, of which are lost: 1,500 at a socket: 500 (0.50%) are missing, unknown where: who knows.";
        assert_eq!(words, expected);
        assert!(of(100.0, 200.0, 0.0).words().contains("100 (50.00%) more came than were sent"));
    }
}
