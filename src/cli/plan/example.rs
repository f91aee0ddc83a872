//! The arithmetic of the night of 2015 and of the article that rebuilt one machine of it: each sum redone from the figures
//! that it is made of.

use super::demand::Demand;
use crate::page::words::grouped;
use serde::Serialize;

/// The night, as quoted.
mod night {
    pub const SHAKES: f64 = 11e9;
    pub const PEAK_PER_S: f64 = 14e6;
    pub const PEAK_PER_MINUTE: f64 = 810e6;
    pub const DESIGNED_PER_S: f64 = 40e6;
    pub const PACKETS: f64 = 1.01e9;
    pub const GRANTS_PER_S: f64 = 50_000.0;
    pub const WAVE_PACKETS: f64 = 120e6;
    pub const YEAR_BEFORE_PER_MINUTE: f64 = 25_000.0;
    pub const ACCESS_MACHINES: f64 = 638.0;
    pub const CAPACITY_USERS: f64 = 1.43e9;
    pub const ACTIVE_USERS: f64 = 540e6;
    pub const FRONT_PER_S: f64 = 10e6;
    pub const BACK_PER_S: f64 = 100_000.0;
}

/// The article's own figures.
mod article {
    pub const MACHINES: f64 = 600.0;
    pub const SHAKES: f64 = 10e9;
    pub const HOURS: f64 = 4.0;
    pub const QPS: [f64; 2] = [30_000.0, 60_000.0];
    pub const USERS: f64 = 1e6;
    pub const GROUPED_QPS: f64 = 50_000.0;
    pub const CLIENT_HOSTS: f64 = 17.0;
}

/// One sum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Step {
    /// What is asked, in words.
    pub what: &'static str,
    /// The sum, in numbers.
    pub sum: String,
    /// What is said that it comes to.
    pub claimed: f64,
    /// What it comes to.
    pub recomputed: f64,
    /// Of both.
    pub unit: &'static str,
    /// Whether they are the same, as exactly as it is said.
    pub follows: bool,
    /// What to make of that.
    pub note: String,
}

/// A claim that is said so exactly: `exact` is one of its last digit.
fn step(
    what: &'static str,
    sum: String,
    claimed: f64,
    exact: f64,
    recomputed: f64,
    unit: &'static str,
) -> Step {
    let follows = (claimed - recomputed).abs() < exact;
    Step { what, sum, claimed, recomputed, unit, follows, note: String::new() }
}

impl Step {
    fn noted(self, note: impl Into<String>) -> Step {
        Step { note: note.into(), ..self }
    }
}

fn whole(value: f64) -> String {
    grouped(value.round() as u64)
}

/// All sums, in the order of the argument.
pub(super) fn steps() -> Vec<Step> {
    let mut steps = users();
    steps.extend(rates());
    steps.extend(durations());
    steps.extend(packets());
    steps.extend(practice());
    steps
}

/// How many users a machine has.
fn users() -> Vec<Step> {
    use night::{ACCESS_MACHINES, ACTIVE_USERS, CAPACITY_USERS};
    let by = |users, machines| format!("{} users / {} machines", whole(users), whole(machines));
    let implied = CAPACITY_USERS / 2.28e6;
    vec![
        step(
            "users a machine, by capacity",
            by(CAPACITY_USERS, ACCESS_MACHINES),
            2.28e6,
            0.01e6,
            CAPACITY_USERS / ACCESS_MACHINES,
            "users",
        )
        .noted(format!("2.28 million would be {} machines", whole(implied))),
        step(
            "users a machine, by monthly actives",
            by(ACTIVE_USERS, article::MACHINES),
            900_000.0,
            1.0,
            ACTIVE_USERS / article::MACHINES,
            "users",
        )
        .noted("every active user at once, and 600 machines where 638 are quoted: the safe side twice"),
    ]
}

/// What a machine is asked at the peak.
fn rates() -> Vec<Step> {
    use night::{DESIGNED_PER_S, GRANTS_PER_S, PEAK_PER_MINUTE, PEAK_PER_S};
    let by = |rate: f64| format!("{}/s / {} machines", whole(rate), whole(article::MACHINES));
    vec![
        step(
            "shakes a machine at the peak",
            by(PEAK_PER_S),
            23_000.0,
            1_000.0,
            PEAK_PER_S / article::MACHINES,
            "/s",
        ),
        step(
            "shakes a machine as designed",
            by(DESIGNED_PER_S),
            66_000.0,
            1_000.0,
            DESIGNED_PER_S / article::MACHINES,
            "/s",
        ),
        step(
            "packets handed out a machine",
            by(GRANTS_PER_S),
            83.0,
            1.0,
            GRANTS_PER_S / article::MACHINES,
            "/s",
        )
        .noted("the article asks 200/s of itself"),
        step(
            "shakes in the peak minute",
            format!("{}/s × 60 s", whole(PEAK_PER_S)),
            PEAK_PER_MINUTE,
            10e6,
            PEAK_PER_S * 60.0,
            "shakes",
        )
        .noted(format!(
            "no contradiction: the minute's mean is {} million/s, a little below its peak second",
            PEAK_PER_MINUTE / 60.0 / 1e6
        )),
        step(
            "tens of millions become tens of thousands",
            format!("{}/s / {}/s at the back end", whole(night::FRONT_PER_S), whole(night::BACK_PER_S)),
            1_000.0,
            1.0,
            night::FRONT_PER_S / night::BACK_PER_S,
            "times",
        )
        .noted("by the figures quoted the access layer answers 99%, and that is what is rebuilt"),
    ]
}

/// How long the night's shakes take.
fn durations() -> Vec<Step> {
    use night::PEAK_PER_S;
    let shakes = whole(article::SHAKES);
    let fast = article::MACHINES * article::QPS[1];
    let long = article::SHAKES / (article::HOURS * 3_600.0 * article::MACHINES);
    vec![
        step(
            "10 billion in 4 hours, a machine",
            format!("{shakes} / {} h / {} machines", article::HOURS, whole(article::MACHINES)),
            1_157.0,
            1.0,
            long,
            "/s",
        )
        .noted(format!(
            "a mean: the peak is {:.0} times as much, and the peak is what a machine must carry",
            PEAK_PER_S / article::MACHINES / long
        )),
        step(
            "10 billion at the peak rate",
            format!("{shakes} / {}/s", whole(PEAK_PER_S)),
            714.0,
            1.0,
            article::SHAKES / PEAK_PER_S,
            "s",
        ),
        step(
            "10 billion at 60,000 QPS a machine",
            format!("{shakes} / ({} × {}/s)", whole(article::MACHINES), whole(article::QPS[1])),
            7.0 * 60.0,
            60.0,
            article::SHAKES / fast,
            "s",
        )
        .noted(format!(
            "7 minutes would be {} QPS a machine",
            whole(article::SHAKES / 420.0 / article::MACHINES)
        )),
    ]
}

/// What was handed out.
fn packets() -> Vec<Step> {
    use night::{PACKETS, PEAK_PER_MINUTE, SHAKES, WAVE_PACKETS, YEAR_BEFORE_PER_MINUTE};
    vec![
        step(
            "a wave against the year before",
            format!("{} / {}", whole(WAVE_PACKETS), whole(YEAR_BEFORE_PER_MINUTE)),
            4_800.0,
            1.0,
            WAVE_PACKETS / YEAR_BEFORE_PER_MINUTE,
            "times",
        )
        .noted(format!(
            "at {} packets/s in the whole country the wave alone would take {:.0} minutes: that rate is no wave's",
            whole(night::GRANTS_PER_S),
            WAVE_PACKETS / night::GRANTS_PER_S / 60.0
        )),
        step(
            "packets of the night, at 50,000/s",
            format!("{}/s × {} h", whole(night::GRANTS_PER_S), article::HOURS),
            PACKETS,
            0.01e9,
            night::GRANTS_PER_S * article::HOURS * 3_600.0,
            "packets",
        )
        .noted("1.01 billion are sent and received: most go between users and not by shaking"),
        step(
            "shakes of the night",
            format!("{} are quoted of the night, the article reckons with 10 billion", whole(SHAKES)),
            article::SHAKES,
            1e9,
            SHAKES,
            "shakes",
        )
        .noted(format!("all of them are {:.1} minutes of the peak minute", SHAKES / PEAK_PER_MINUTE)),
    ]
}

/// What the article practises.
fn practice() -> Vec<Step> {
    let users = whole(article::USERS);
    vec![
        step(
            "a user's requests at 30,000 QPS, one in",
            format!("{users} users / {}/s", whole(article::QPS[0])),
            33.0,
            1.0,
            article::USERS / article::QPS[0],
            "s",
        ),
        step(
            "groups of users that take turns at 50,000 QPS",
            format!("{users} users / {}/s", whole(article::GROUPED_QPS)),
            20.0,
            1.0,
            article::USERS / article::GROUPED_QPS,
            "groups",
        )
        .noted("all of a group fire within its second; redpkt-bench spreads them evenly, or at random"),
        step(
            "connections of a client host",
            format!("{users} / {} hosts", whole(article::CLIENT_HOSTS)),
            60_000.0,
            10_000.0,
            article::USERS / article::CLIENT_HOSTS,
            "users",
        )
        .noted(
            "one address has about 64,000 ports to one server: so many TCP connections need so many hosts",
        ),
    ]
}

/// The same night asked of redpkt: its peak, and what it was designed for.
pub(super) fn demands(keepalive_s: u64) -> [Demand; 2] {
    let night = |shakes_per_s: f64| Demand {
        users: night::ACTIVE_USERS as u64,
        shakes_per_s: shakes_per_s as u64,
        keepalive_s,
        grants_per_s: night::GRANTS_PER_S as u64,
        sends_per_s: 0,
        event_s: (article::HOURS * 3_600.0) as u64,
    };
    [night(night::PEAK_PER_S), night(night::DESIGNED_PER_S)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(what: &str) -> Step {
        steps().into_iter().find(|step| step.what == what).unwrap_or_else(|| panic!("no {what}"))
    }

    /// Expect: what the same sums give by hand.
    #[test]
    fn sums_that_do_not_follow_are_found() {
        let capacity = of("users a machine, by capacity");
        assert!((capacity.recomputed - 2_241_379.0).abs() < 1.0 && !capacity.follows, "{capacity:?}");
        let fast = of("10 billion at 60,000 QPS a machine");
        assert!(
            (fast.recomputed - 277.8).abs() < 0.1 && !fast.follows && fast.note.contains("39,683"),
            "{fast:?}"
        );
        let minute = of("shakes in the peak minute");
        assert!(minute.recomputed == 840e6 && !minute.follows && minute.note.contains("13.5"), "{minute:?}");
        let packets = of("packets of the night, at 50,000/s");
        assert!(packets.recomputed == 720e6 && !packets.follows, "{packets:?}");
        let back = of("tens of millions become tens of thousands");
        assert!(back.recomputed == 100.0 && !back.follows, "{back:?}");
    }

    #[test]
    fn sums_that_follow_are_found_too() {
        for (what, value) in [
            ("users a machine, by monthly actives", 900_000.0),
            ("shakes a machine at the peak", 23_333.3),
            ("shakes a machine as designed", 66_666.7),
            ("packets handed out a machine", 83.3),
            ("10 billion in 4 hours, a machine", 1_157.4),
            ("10 billion at the peak rate", 714.3),
            ("a wave against the year before", 4_800.0),
            ("groups of users that take turns at 50,000 QPS", 20.0),
        ] {
            let step = of(what);
            assert!(step.follows && (step.recomputed - value).abs() < 0.1, "{step:?}");
        }
    }
}
