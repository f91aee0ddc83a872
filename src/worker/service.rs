//! Levels of service: what is given up at which queueing time, and by the operator's wish.

use super::admission::Admission;
use crate::gate::{CLASSES, Class};
use crate::set::admission::Service;

/// Levels that a table can have.
pub const LEVELS_MAX: usize = 8;

/// What can be given up beside what the load leaves no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Making the operator's packets at their pace: a quarter of them is made.
    Mint,
    /// Telling users of invitations, those to house packets among them: they wait in their users' lists.
    Invites,
    /// Committing at once: answers about money take 20 ms longer, and a commit serves more of them.
    Prompt,
    /// Grab, share and send.
    Give,
    /// Shake.
    Shake,
    /// Handshakes.
    Join,
    /// Balance, history, invitations, relay.
    Read,
}

impl Switch {
    /// All of them.
    pub const ALL: [Switch; 7] = [
        Switch::Mint,
        Switch::Invites,
        Switch::Prompt,
        Switch::Give,
        Switch::Shake,
        Switch::Join,
        Switch::Read,
    ];

    /// Its name in the table, over HTTP and in `/stats.json`.
    pub fn name(self) -> &'static str {
        match self {
            Switch::Mint => "mint",
            Switch::Invites => "invites",
            Switch::Prompt => "prompt",
            Switch::Give => "give",
            Switch::Shake => "shake",
            Switch::Join => "join",
            Switch::Read => "read",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches(u8);

impl Switches {
    /// With one more.
    #[must_use]
    pub fn with(self, switch: Switch) -> Switches {
        Switches(self.0 | switch.bit())
    }

    /// Whether it is among them.
    pub fn has(self, switch: Switch) -> bool {
        self.0 & switch.bit() != 0
    }

    /// As a number, for figures.
    pub fn bits(self) -> u64 {
        self.0.into()
    }

    /// From that number.
    pub fn of_bits(bits: u64) -> Switches {
        Switches(bits as u8)
    }
}

/// One level: when it begins and ends, and what is off in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its name.
    pub name: String,
    /// It begins when datagrams wait for longer, in ns. 0 for the first level.
    pub above_ns: u64,
    /// It ends when they wait for less, in ns.
    pub below_ns: u64,
    /// What is off.
    pub off: Switches,
}

/// What the operator has decided in advance, and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The levels, from full service on, 1 to [`LEVELS_MAX`].
    pub levels: Vec<Level>,
    /// How long a level lasts at least before a lower one follows, in ns.
    pub hold_ns: u64,
    /// The level that is kept to; `None` to follow the queueing time.
    pub forced: Option<usize>,
    /// Off whatever the level.
    pub off: Switches,
    /// On whatever the level.
    pub on: Switches,
}

impl Default for Plan {
    /// What is given up, least value first.
    fn default() -> Plan {
        const MS: u64 = 1_000_000;
        let level = |name: &str, above_ms: u64, below_ms: u64, off: &[Switch]| Level {
            name: name.into(),
            above_ns: above_ms * MS,
            below_ns: below_ms * MS,
            off: off.iter().fold(Switches::default(), |all, switch| all.with(*switch)),
        };
        Plan {
            levels: vec![
                level("full", 0, 0, &[]),
                level("busy", 5, 2, &[Switch::Read]),
                level("loaded", 10, 4, &[Switch::Read, Switch::Invites, Switch::Prompt]),
                level(
                    "overloaded",
                    20,
                    8,
                    &[Switch::Read, Switch::Invites, Switch::Prompt, Switch::Mint, Switch::Join],
                ),
            ],
            hold_ns: 500 * MS,
            forced: None,
            off: Switches::default(),
            on: Switches::default(),
        }
    }
}

/// Which level a worker is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    level: usize,
    since_ns: u64,
}

impl Standing {
    /// Follows the queue that stands: up at once, down one level at a time.
    pub fn follow(&mut self, plan: &Plan, now_ns: u64, waits_ns: u64) {
        let last = plan.levels.len() - 1;
        if let Some(forced) = plan.forced {
            (self.level, self.since_ns) = (forced.min(last), now_ns);
            return;
        }
        self.level = self.level.min(last);
        let above = (self.level + 1..=last).rev().find(|level| waits_ns > plan.levels[*level].above_ns);
        if let Some(above) = above {
            (self.level, self.since_ns) = (above, now_ns);
        } else if self.level > 0
            && waits_ns < plan.levels[self.level].below_ns
            && now_ns.saturating_sub(self.since_ns) >= plan.hold_ns
        {
            (self.level, self.since_ns) = (self.level - 1, now_ns);
        }
    }

    /// The level's number.
    pub fn level(&self) -> usize {
        self.level
    }

    /// What is off now.
    pub fn off(&self, plan: &Plan) -> Switches {
        Switches(plan.levels[self.level].off.0 & !plan.on.0 | plan.off.0)
    }

    /// Classes that are not worked on whatever there is room for.
    pub fn classes_off(&self, plan: &Plan) -> [bool; CLASSES] {
        let off = self.off(plan);
        Class::ALL.map(|class| match class {
            Class::Open => false,
            Class::Give => off.has(Switch::Give),
            Class::Shake => off.has(Switch::Shake),
            Class::Join => off.has(Switch::Join),
            Class::Read => off.has(Switch::Read),
        })
    }

    /// What the core is told.
    pub fn service(&self, plan: &Plan, admission: &Admission) -> Service {
        let off = self.off(plan);
        Service {
            gate: admission.gate(),
            told_max: admission.told_max(),
            mints: !off.has(Switch::Mint),
            invites: !off.has(Switch::Invites),
            prompt: !off.has(Switch::Prompt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_level_begins_at_once_and_ends_after_a_while_one_by_one() {
        let plan = Plan::default();
        let mut standing = Standing::default();
        standing.follow(&plan, 0, 4 * MS);
        assert_eq!(standing.level(), 0);
        standing.follow(&plan, MS, 25 * MS);
        assert_eq!(standing.level(), 3, "straight to the level of that time");
        standing.follow(&plan, 2 * MS, 0);
        assert_eq!(standing.level(), 3, "not so soon");
        standing.follow(&plan, 600 * MS, 9 * MS);
        assert_eq!(standing.level(), 3, "between the two thresholds nothing changes");
        for (at_ms, level) in [(700, 2), (900, 2), (1_300, 1), (1_900, 0), (9_000, 0)] {
            standing.follow(&plan, at_ms * MS, 0);
            assert_eq!(standing.level(), level, "at {at_ms} ms");
        }
    }

    #[test]
    fn the_operators_word_comes_before_the_levels() {
        let mut plan = Plan { forced: Some(3), ..Plan::default() };
        let mut standing = Standing::default();
        standing.follow(&plan, 0, 0);
        assert_eq!(standing.level(), 3);
        plan.on = Switches::default().with(Switch::Join);
        assert!(!standing.off(&plan).has(Switch::Join) && standing.off(&plan).has(Switch::Mint));
        (plan.forced, plan.off) = (Some(0), Switches::default().with(Switch::Mint));
        standing.follow(&plan, 0, 0);
        let service = standing.service(&plan, &Admission::new(0, 0));
        assert_eq!(service, Service { mints: false, ..Service::FULL });
        assert_eq!(standing.classes_off(&plan), [false; CLASSES]);
    }
}
