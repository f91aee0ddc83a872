//! What is practised: the article's figures, made larger or smaller.

use redpkt::cli::Failure;
use serde::Serialize;
use std::time::Duration;

/// Users of the article, each with a session.
const USERS: u64 = 1_000_000;

/// The same where all of it is to take a minute.
const USERS_QUICK: u64 = 100_000;

/// The article's rates of shakes, by phase.
const SHAKES_PER_S: [(u32, u64); 2] = [(2, 30_000), (3, 60_000)];

/// Packets a second that are minted, and that are sent, in the article.
const PACKETS_PER_S: u64 = 200;

/// Packets that are minted in a phase of the article, and in a quick one: long enough for a window of 10 s.
const MINTED: [u64; 2] = [40_000, 4_800];

/// Packets that are sent in a phase of the article, and in a quick one.
const SENT: [u64; 2] = [20_000, 1_000];

/// Users that each sent packet is for, and its shares.
pub const RECIPIENTS: u64 = 3;

/// Phases there are.
pub const PHASES: [u32; 3] = [1, 2, 3];

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Users, each with a session.
    pub users: u64,
    /// Client hosts.
    pub hosts: u32,
    /// Whether it is told how the sessions were opened.
    pub tells_sessions: bool,
    /// Phases with shakes.
    pub phases: Vec<PhasePlan>,
    /// The share of the users that leaves and comes again in each second of these.
    pub churn_per_s: f64,
}

/// One phase with shakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PhasePlan {
    /// Its number.
    pub number: u32,
    /// Shakes a second of all users together.
    pub qps: u64,
    /// Packets to shake for.
    pub mint: Packets,
    /// Packets of the house, each for [`RECIPIENTS`] users.
    pub send: Packets,
}

/// Packets at a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Packets {
    /// A second.
    pub per_s: u64,
    /// In all.
    pub total: u64,
}

impl Packets {
    /// How long making them takes.
    pub fn time(&self) -> Duration {
        Duration::from_secs_f64(self.total as f64 / self.per_s.max(1) as f64)
    }
}

impl Plan {
    /// The article's figures times `scale`; with `quick` fewer users and packets, so that it takes about a minute.
    pub fn new(
        scale: f64,
        quick: bool,
        phases: &[u32],
        hosts: u32,
        churn_per_s: f64,
    ) -> Result<Plan, Failure> {
        let times = |figure: u64| ((figure as f64 * scale).round() as u64).max(1);
        let packets = |total: [u64; 2]| Packets {
            per_s: times(PACKETS_PER_S),
            total: times(total[usize::from(quick)]),
        };
        let phase = |&(number, qps): &(u32, u64)| PhasePlan {
            number,
            qps: times(qps),
            mint: packets(MINTED),
            send: packets(SENT),
        };
        let users = times(if quick { USERS_QUICK } else { USERS });
        if users < u64::from(hosts).max(RECIPIENTS) {
            return Err(Failure::usage(format!(
                "--scale {scale}: {users} users are too few for {hosts} hosts; ask for more, or fewer --hosts"
            )));
        }
        Ok(Plan {
            users,
            hosts,
            tells_sessions: phases.contains(&1),
            phases: SHAKES_PER_S.iter().filter(|(number, _)| phases.contains(number)).map(phase).collect(),
            churn_per_s,
        })
    }

    /// The same with so many packets minted in each phase, and half as many sent.
    pub fn with_packets(mut self, packets: u64) -> Plan {
        for phase in &mut self.phases {
            (phase.mint.total, phase.send.total) = (packets.max(1), (packets / 2).max(1));
        }
        self
    }

    /// Packets of all phases.
    pub fn packets(&self) -> u64 {
        self.phases.iter().map(|phase| phase.mint.total + phase.send.total).sum()
    }

    /// Users that these are for, counted once for each.
    pub fn shares(&self) -> u64 {
        self.phases.iter().map(|phase| phase.mint.total + RECIPIENTS * phase.send.total).sum()
    }
}

/// `1,2,3`, or some of them.
pub fn parse_phases(text: &str) -> Result<Vec<u32>, String> {
    let phase = |word: &str| {
        let number = word.trim().parse().ok().filter(|number| PHASES.contains(number));
        number
            .ok_or_else(|| format!("{word:?} is no phase: 1 opens the sessions, 2 and 3 shake, as in 1,2,3"))
    };
    text.split(',').map(phase).collect()
}

/// How much larger or smaller.
pub fn parse_scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.001..=10.0).contains(scale));
    scale.ok_or_else(|| format!("{text:?}: 0.001 to 10 is allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_articles_figures_are_the_default() {
        let plan = Plan::new(1.0, false, &PHASES, 17, 0.0).unwrap();
        assert_eq!((plan.users, plan.hosts, plan.tells_sessions), (1_000_000, 17, true));
        let [two, three] = plan.phases[..] else { panic!("{plan:?}") };
        assert_eq!((two.qps, three.qps, two.mint, two.send), (30_000, 60_000, three.mint, three.send));
        assert_eq!((two.mint.per_s, two.mint.total, two.send.total), (200, 40_000, 20_000));
        assert_eq!((plan.packets(), plan.shares()), (120_000, 200_000));
        assert_eq!(two.mint.time(), Duration::from_secs(200));
    }

    /// Expect: rates and counts scaled alike, none below 1; fewer phases where fewer are asked for.
    #[test]
    fn a_scale_keeps_the_shape() {
        let plan = Plan::new(0.001, false, &[3], 1, 0.0).unwrap();
        assert_eq!((plan.users, plan.tells_sessions, plan.phases.len()), (1_000, false, 1));
        let [three] = plan.phases[..] else { panic!("{plan:?}") };
        assert_eq!((three.qps, three.mint.per_s, three.mint.total, three.send.total), (60, 1, 40, 20));
        let few = plan.with_packets(7).phases[0];
        assert_eq!((few.mint.total, few.send.total, few.mint.per_s), (7, 3, 1));
        let why = Plan::new(0.001, true, &[3], 64, 0.0).map(|plan| plan.users);
        assert_eq!(why.ok(), Some(100));
    }

    #[test]
    fn phases_and_scales_are_read() {
        assert_eq!(parse_phases("1, 3"), Ok(vec![1, 3]));
        for bad in ["", "4", "1,,2", "x"] {
            assert!(parse_phases(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_scale("0.5"), Ok(0.5));
        for bad in ["", "0", "11", "NaN", "x"] {
            assert!(parse_scale(bad).is_err(), "{bad}");
        }
    }
}
