//! What users ask for, reckoned from a handful of numbers.

use super::report::{Figure, Unit};
use crate::page::words::grouped;
use redpkt_proto::FRAME_BYTES;

/// What stands around a frame on an Ethernet: UDP, IPv6 (IPv4: 20 less), Ethernet, its checksum, preamble and gap
/// (RFC 768, RFC 8200, IEEE 802.3).
const UDP_BYTES: u64 = 8;
const IPV6_BYTES: u64 = 40;
const IPV4_BYTES: u64 = 20;
const ETHERNET_BYTES: u64 = 14 + 4 + 20;

/// Users that a sent packet is for.
const RECIPIENTS: u64 = 3;

/// Journal rows of a packet that is won: Mint, Win, Open.
const ROWS_PER_GRANT: u64 = 3;

/// Journal rows of a packet that is sent: Send, and for each recipient Invite and Open.
const ROWS_PER_SEND: u64 = 1 + 2 * RECIPIENTS;

/// What is asked of all machines together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    /// Users who are there at once.
    pub users: u64,
    /// Shakes a second at the peak.
    pub shakes_per_s: u64,
    /// After how much silence a client sends a keepalive.
    pub keepalive_s: u64,
    /// Packets won by shaking, and opened, a second.
    pub grants_per_s: u64,
    /// Packets made for [`RECIPIENTS`] users each, and opened by them, a second.
    pub sends_per_s: u64,
    /// How long.
    pub event_s: u64,
}

impl Demand {
    /// Opens a second.
    pub(super) fn opens_per_s(&self) -> u64 {
        self.grants_per_s + RECIPIENTS * self.sends_per_s
    }

    /// Requests a second.
    pub(super) fn requests_per_s(&self) -> u64 {
        self.shakes_per_s + self.sends_per_s + self.opens_per_s()
    }

    /// Keepalives a second while nobody asks for anything.
    pub(super) fn idle_keepalives_per_s(&self) -> f64 {
        self.users as f64 / self.keepalive_s as f64
    }

    /// Keepalives a second beside the requests, which come at random: a client sends one after so much silence, and a
    /// request ends a silence. At λ requests a second of each user that is λ / (e^(λ × keepalive) − 1).
    pub(super) fn peak_keepalives_per_s(&self) -> f64 {
        let rate = self.requests_per_s() as f64 / self.users as f64;
        if rate == 0.0 {
            return self.idle_keepalives_per_s();
        }
        self.users as f64 * rate / (rate * self.keepalive_s as f64).exp_m1()
    }

    /// Datagrams a second in each direction, one frame in each: requests, keepalives, and invitations with what says that
    /// they came.
    pub(super) fn datagrams_per_s(&self) -> f64 {
        (self.requests_per_s() + RECIPIENTS * self.sends_per_s) as f64 + self.peak_keepalives_per_s()
    }

    /// Mbit/s in each direction on the wire, with IPv6.
    pub(super) fn wire_mbit(&self) -> f64 {
        self.mbit(wire_bytes(IPV6_BYTES))
    }

    fn mbit(&self, bytes: u64) -> f64 {
        self.datagrams_per_s() * bytes as f64 * 8.0 / 1e6
    }

    /// Rows a second in the journals.
    pub(super) fn rows_per_s(&self) -> u64 {
        ROWS_PER_GRANT * self.grants_per_s + ROWS_PER_SEND * self.sends_per_s
    }

    /// Packets that are made in all.
    pub(super) fn packets(&self) -> u64 {
        (self.grants_per_s + self.sends_per_s).saturating_mul(self.event_s)
    }

    /// Users that packets are for, each time counted.
    pub(super) fn members(&self) -> u64 {
        self.opens_per_s().saturating_mul(self.event_s)
    }

    /// Users who get money.
    pub(super) fn accounts(&self) -> u64 {
        self.members().min(self.users)
    }

    /// All of it, with how each was reckoned.
    pub(super) fn figures(&self, row_bytes: f64) -> Vec<Figure> {
        let mut figures = self.request_figures();
        figures.extend(self.network_figures());
        figures.extend(self.money_figures(row_bytes));
        figures
    }

    fn request_figures(&self) -> Vec<Figure> {
        let Demand { users, shakes_per_s, keepalive_s, grants_per_s, sends_per_s, .. } = *self;
        let per_s = |what, value, how: String| Figure::new(what, value, Unit::PerSecond, how);
        let [won, sent, requests] = [grants_per_s, sends_per_s, self.requests_per_s()].map(grouped);
        let each = match shakes_per_s {
            0 => String::new(),
            shakes => format!(": one of each user in {:.1} s", users as f64 / shakes as f64),
        };
        vec![
            Figure::new("users", users as f64, Unit::None, "--users".into()),
            per_s("shakes", shakes_per_s as f64, format!("--qps{each}")),
            per_s("sends", sends_per_s as f64, "--sends".into()),
            per_s(
                "opens",
                self.opens_per_s() as f64,
                format!("{won} won + {sent} sent × {RECIPIENTS} recipients"),
            ),
            per_s("requests (QPS)", self.requests_per_s() as f64, "shakes + sends + opens".into()),
            per_s(
                "keepalives, all idle",
                self.idle_keepalives_per_s(),
                format!("{} users / {keepalive_s} s, each way: each is answered", grouped(users)),
            ),
            per_s(
                "keepalives at the peak",
                self.peak_keepalives_per_s(),
                format!("of who was silent for {keepalive_s} s, where {requests} requests/s come at random"),
            ),
        ]
    }

    fn network_figures(&self) -> Vec<Figure> {
        let (wire6, wire4) = (wire_bytes(IPV6_BYTES), wire_bytes(IPV4_BYTES));
        let mbit = |what, bytes, how: String| Figure::new(what, self.mbit(bytes), Unit::Mbit, how);
        let invitations = grouped(RECIPIENTS * self.sends_per_s);
        let around = format!("{FRAME_BYTES} + UDP {UDP_BYTES} + IP {IPV4_BYTES} + Ethernet {ETHERNET_BYTES}");
        vec![
            Figure::new(
                "datagrams (PPS), each way",
                self.datagrams_per_s(),
                Unit::PerSecond,
                format!("requests + keepalives + {invitations} invitations, one frame each"),
            ),
            mbit("payload, each way", FRAME_BYTES as u64, format!("{FRAME_BYTES} bytes a datagram")),
            mbit(
                "on the wire with IPv4, each way",
                wire4,
                format!("{wire4} bytes: {around} (header 14, checksum 4, preamble and gap 20)"),
            ),
            mbit("on the wire with IPv6, each way", wire6, format!("{wire6} bytes: IP {IPV6_BYTES}")),
        ]
    }

    fn money_figures(&self, row_bytes: f64) -> Vec<Figure> {
        let (rows, event_s) = (self.rows_per_s() as f64, self.event_s);
        vec![
            Figure::new(
                "journal rows",
                rows,
                Unit::PerSecond,
                format!("{ROWS_PER_GRANT} for a packet won, {ROWS_PER_SEND} for one sent"),
            ),
            Figure::new(
                "journals on disk",
                rows * event_s as f64 * row_bytes,
                Unit::Bytes,
                format!("rows × {event_s} s × {row_bytes:.0} bytes"),
            ),
            Figure::new("packets", self.packets() as f64, Unit::None, format!("won and sent in {event_s} s")),
        ]
    }
}

fn wire_bytes(ip_bytes: u64) -> u64 {
    FRAME_BYTES as u64 + UDP_BYTES + ip_bytes + ETHERNET_BYTES
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A million users as in the article, with keepalives every 25 s.
    pub(in super::super) const MILLION: Demand = Demand {
        users: 1_000_000,
        shakes_per_s: 60_000,
        keepalive_s: 25,
        grants_per_s: 200,
        sends_per_s: 200,
        event_s: 3_600,
    };

    /// Expect: what the same sums give by hand.
    #[test]
    fn a_million_users_by_hand() {
        assert_eq!(MILLION.opens_per_s(), 800);
        assert_eq!(MILLION.requests_per_s(), 61_000);
        assert_eq!(MILLION.idle_keepalives_per_s(), 40_000.0);
        // 61,000 / (e^(0.061 × 25) − 1) = 61,000 / 3.5951
        assert!(
            (MILLION.peak_keepalives_per_s() - 16_967.5).abs() < 5.0,
            "{}",
            MILLION.peak_keepalives_per_s()
        );
        assert!((MILLION.datagrams_per_s() - 78_567.5).abs() < 5.0);
        assert_eq!((wire_bytes(IPV4_BYTES), wire_bytes(IPV6_BYTES)), (130, 150));
        assert!((MILLION.wire_mbit() - 94.3).abs() < 0.1, "{}", MILLION.wire_mbit());
        // 200 × 3 + 200 × 7
        assert_eq!(MILLION.rows_per_s(), 2_000);
        assert_eq!(
            (MILLION.packets(), MILLION.members(), MILLION.accounts()),
            (1_440_000, 2_880_000, 1_000_000)
        );
    }

    #[test]
    fn nobody_who_asks_is_everybody_who_is_idle() {
        let idle = Demand { shakes_per_s: 0, grants_per_s: 0, sends_per_s: 0, ..MILLION };
        assert_eq!(idle.peak_keepalives_per_s(), idle.idle_keepalives_per_s());
        assert_eq!(idle.datagrams_per_s(), 40_000.0);
    }

    proptest! {
        /// Expect: more of anything is never fewer datagrams, and they are never fewer than those of idle users.
        #[test]
        fn more_users_and_requests_are_more_datagrams(
            users in 1u64..1 << 32,
            more_users in 0u64..1 << 32,
            shakes_per_s in 0u64..1 << 24,
            more_shakes in 0u64..1 << 24,
            keepalive_s in 1u64..3_600,
        ) {
            let demand = Demand { users, shakes_per_s, keepalive_s, ..MILLION };
            let bigger = Demand {
                users: users + more_users,
                shakes_per_s: shakes_per_s + more_shakes,
                ..demand
            };
            let slack = 1.0 + 1e-9;
            prop_assert!(bigger.datagrams_per_s() * slack >= demand.datagrams_per_s());
            prop_assert!(demand.datagrams_per_s() * slack >= demand.idle_keepalives_per_s());
            prop_assert!(demand.peak_keepalives_per_s() <= demand.idle_keepalives_per_s() * slack);
        }
    }
}
