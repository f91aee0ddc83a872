//! What one machine gives, and how many it takes.

use super::cost::Costs;
use super::demand::Demand;
use crate::cli::Failure;
use crate::cli::imagined::imagined;
use crate::page::words::{grouped, rate};
use serde::Serialize;

/// One machine, and how much of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Machine {
    /// Cores for workers.
    pub cores: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Mbit/s of its network, each way.
    pub link_mbit: u64,
    /// The share of everything that is kept free.
    pub headroom: f64,
    /// The share of all machines that may fail.
    pub failures: f64,
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Need {
    /// Its name.
    pub resource: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What is asked of all machines together.
    pub asked: f64,
    /// What one machine gives, with the headroom kept free.
    pub one_machine_gives: f64,
    /// How many machines it takes.
    pub machines: u64,
    /// Whether no other resource takes as many.
    pub decides: bool,
    /// The share of all that there is that is in use on each machine, of as many as are told below.
    pub used: f64,
    /// How that was reckoned.
    pub how: String,
}

/// A plan.
#[derive(Clone, Debug)]
pub(super) struct Sizing {
    /// What is asked.
    pub demand: Demand,
    /// Of what.
    pub machine: Machine,
    /// Resource by resource.
    pub needs: Vec<Need>,
    /// Machines that carry all of it.
    pub machines: u64,
    /// Machines of which the share that may fail can fail.
    pub machines_with_failures: u64,
    /// The machines that the figures of use are for: those wished, or those that it takes.
    pub machines_told: u64,
    /// How long it takes until all users have joined, in seconds.
    pub join_s: f64,
}

impl Sizing {
    /// Reckons how many machines it takes, and how busy `wished` ones, or so many, are.
    pub(super) fn of(
        demand: &Demand,
        machine: &Machine,
        costs: &Costs,
        wished: Option<u64>,
    ) -> Result<Sizing, Failure> {
        let mut needs = vec![
            processor(demand, machine, costs),
            network(demand, machine),
            ledger(demand, machine, costs),
            memory(demand, machine)?,
        ];
        let machines = needs.iter().map(|need| need.machines).max().unwrap_or(1).max(1);
        let machines_with_failures = count(machines as f64 / (1.0 - machine.failures));
        let told = wished.unwrap_or(machines_with_failures);
        for need in &mut needs {
            need.decides = need.machines == machines;
            let full = need.one_machine_gives / (1.0 - machine.headroom);
            let asked = match need.resource {
                // Tables do not divide exactly.
                MEMORY => tables_bytes(demand, told, machine.cores)
                    .map_or(f64::INFINITY, |bytes| bytes as f64 / MIB),
                _ => need.asked / told as f64,
            };
            need.used = asked / full;
        }
        // Where one resource alone decides it is marked, and where several are equal, the busiest.
        let busiest = needs.iter().filter(|need| need.decides).map(|need| need.used).fold(0.0, f64::max);
        needs.iter_mut().for_each(|need| need.decides &= need.used >= busiest);
        Ok(Sizing {
            demand: *demand,
            machine: *machine,
            needs,
            machines,
            machines_with_failures,
            machines_told: told,
            join_s: demand.users as f64 / told as f64 / costs.joins_per_s.value,
        })
    }

    /// Whether the machines that are told carry it, all of them working.
    pub(super) fn is_enough(&self) -> bool {
        self.machines_told >= self.machines
    }
}

const MEMORY: &str = "memory";
const MIB: f64 = (1 << 20) as f64;

/// Whole machines; what is above by an error of rounding is not another one.
fn count(machines: f64) -> u64 {
    (machines - 1e-9).ceil().max(1.0) as u64
}

fn need(resource: &'static str, unit: &'static str, asked: f64, one_machine_gives: f64, how: String) -> Need {
    let machines = count(asked / one_machine_gives);
    Need { resource, unit, asked, one_machine_gives, machines, decides: false, used: 0.0, how }
}

/// CPU time: each datagram in is one frame that is opened, handled and answered.
fn processor(demand: &Demand, machine: &Machine, costs: &Costs) -> Need {
    let ns = costs.answer_cpu_ns.value;
    let free = 1.0 - machine.headroom;
    let gives = f64::from(machine.cores) * 1e9 / ns * free;
    let how = format!(
        "{} cores × 1 s / {} ns × {:.0}%; workers share nothing, so cores add up",
        machine.cores,
        grouped(ns.round() as u64),
        100.0 * free
    );
    need("processor", "datagrams/s", demand.datagrams_per_s(), gives, how)
}

fn network(demand: &Demand, machine: &Machine) -> Need {
    let free = 1.0 - machine.headroom;
    let how = format!("{} Mbit/s × {:.0}%, IPv6", grouped(machine.link_mbit), 100.0 * free);
    need("network, each way", "Mbit/s", demand.wire_mbit(), machine.link_mbit as f64 * free, how)
}

fn ledger(demand: &Demand, machine: &Machine, costs: &Costs) -> Need {
    let free = 1.0 - machine.headroom;
    let how = format!("{} rows/s × {:.0}%", grouped(costs.rows_per_s.value as u64), 100.0 * free);
    need("ledger", "rows/s", demand.rows_per_s() as f64, costs.rows_per_s.value * free, how)
}

/// The program's own tables, as `serve` would lay them for a machine's share of the users.
fn memory(demand: &Demand, machine: &Machine) -> Result<Need, Failure> {
    let free = machine.memory_bytes as f64 * (1.0 - machine.headroom);
    let fits =
        |machines| tables_bytes(demand, machines, machine.cores).is_ok_and(|bytes| bytes as f64 <= free);
    let most = demand.users.max(1);
    if !fits(most) {
        // The options' own limits have words of their own.
        // Why it has no tables is in words of the options of `serve`, which nobody gave here.
        let bytes = tables_bytes(demand, most, machine.cores).map_err(|_| {
            Failure::usage(format!(
                "--event {}s: {} packets for {} users are more than machines with one user each have tables for; ask for a shorter one, or for fewer --grants and --sends",
                demand.event_s,
                grouped(demand.packets()),
                grouped(demand.members())
            ))
        })?;
        return Err(Failure::usage(format!(
            "--memory-mib {}: the tables of a machine with one user take {} MiB; give more, or ask for fewer --grants and --sends or a shorter --event",
            machine.memory_bytes >> 20,
            bytes >> 20
        )));
    }
    let (mut too_few, mut enough) = (0, most);
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if fits(middle) { enough = middle } else { too_few = middle }
    }
    let one = tables_bytes(demand, enough, machine.cores)? as f64 / MIB;
    let how = format!(
        "{} MiB × {:.0}%; the tables of {} sessions, {} accounts and {} packets take {} MiB",
        rate(machine.memory_bytes as f64 / MIB),
        100.0 * (1.0 - machine.headroom),
        grouped(demand.users.div_ceil(enough)),
        grouped(demand.accounts().div_ceil(enough)),
        grouped(demand.packets().div_ceil(enough)),
        rate(one)
    );
    Ok(Need { machines: enough, ..need(MEMORY, "MiB", one * enough as f64, free / MIB, how) })
}

/// Bytes of the tables of one of so many machines.
fn tables_bytes(demand: &Demand, machines: u64, cores: u32) -> Result<u64, Failure> {
    let share = |total: u64| total.div_ceil(machines).max(1);
    let option = |name: &str, value: u64| format!("--{name}={value}");
    let options = [
        option("sessions", share(demand.users)),
        option("accounts", share(demand.accounts())),
        option("packets", share(demand.packets())),
        option("members", share(demand.members())),
        option("workers", cores.into()),
        option("groups", cores.into()),
        "--cores=none".to_owned(),
        "--ledger=sqlite:plan".to_owned(),
    ];
    imagined(&options).map(|settings| settings.bytes())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Io;
    use super::super::demand::tests::MILLION;
    use super::*;
    use proptest::prelude::*;

    pub(in super::super) const SMALL: Machine =
        Machine { cores: 2, memory_bytes: 16 << 30, link_mbit: 1_000, headroom: 0.5, failures: 0.0 };

    fn costs() -> Costs {
        let mut costs = Costs::elsewhere(Io::Mmsg);
        (costs.answer_cpu_ns.value, costs.rows_per_s.value, costs.joins_per_s.value) =
            (5_000.0, 100_000.0, 100_000.0);
        costs
    }

    fn sizing(demand: &Demand, machine: &Machine) -> Sizing {
        Sizing::of(demand, machine, &costs(), None).unwrap()
    }

    /// Expect: what the same sums give by hand: two cores at 5,000 ns, half of them, give 200,000 datagrams/s.
    #[test]
    fn a_million_users_fit_on_one_machine() {
        let sizing = sizing(&MILLION, &SMALL);
        assert_eq!((sizing.machines, sizing.machines_with_failures), (1, 1));
        let gives = sizing.needs.iter().map(|need| need.one_machine_gives.round()).collect::<Vec<_>>();
        assert_eq!(gives, [200_000.0, 500.0, 50_000.0, 8_192.0]);
        // 78,568 of 400,000
        assert!((sizing.needs[0].used - 0.196).abs() < 0.001, "{sizing:?}");
        assert_eq!(sizing.join_s, 10.0);
        assert_eq!(sizing.needs.iter().filter(|need| need.decides).count(), 1);
    }

    /// Expect: 1.1 million shakes/s of ten million users are 6 machines of these by the processor, 9 if a third may fail,
    /// and 3 are told to be too few.
    #[test]
    fn many_machines_by_the_processor() {
        let demand =
            Demand { users: 10_000_000, shakes_per_s: 1_100_000, grants_per_s: 0, sends_per_s: 0, ..MILLION };
        let machine = Machine { failures: 1.0 / 3.0, link_mbit: 10_000, ..SMALL };
        let plan = sizing(&demand, &machine);
        // 1,100,000 / (1 − e^(−2.75)) = 1,175,100
        assert_eq!((plan.needs[0].machines, plan.machines, plan.machines_with_failures), (6, 6, 9));
        assert!(plan.needs[0].decides && plan.is_enough());
        let few = Sizing::of(&demand, &machine, &costs(), Some(3)).unwrap();
        assert!(!few.is_enough() && few.needs[0].used > 0.9 && few.machines == 6);
    }

    /// Expect: memory decides where there is little, and the next smaller number of machines would not do.
    #[test]
    fn memory_is_that_of_the_programs_own_tables() {
        let machine = Machine { memory_bytes: 512 << 20, ..SMALL };
        let plan = sizing(&MILLION, &machine);
        let memory = &plan.needs[3];
        assert!(memory.decides && plan.machines > 1, "{plan:?}");
        let bytes = |machines| tables_bytes(&MILLION, machines, 2).unwrap();
        assert!(bytes(plan.machines) <= 256 << 20 && bytes(plan.machines - 1) > 256 << 20);
        let none =
            Sizing::of(&MILLION, &Machine { memory_bytes: 1 << 20, ..SMALL }, &costs(), None).unwrap_err();
        assert!(none.code() == 2 && none.to_string().starts_with("--memory-mib 1:"), "{none}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Expect: more users, requests or grants never take fewer machines, and more cores never more.
        #[test]
        fn more_of_it_takes_no_fewer_machines(
            users in 1u64..100_000_000,
            shakes_per_s in 0u64..10_000_000,
            grants_per_s in 0u64..10_000,
            factor in 1u64..4,
        ) {
            let demand = Demand { users, shakes_per_s, grants_per_s, event_s: 60, ..MILLION };
            let bigger = Demand {
                users: users * factor,
                shakes_per_s: shakes_per_s * factor,
                grants_per_s: grants_per_s * factor,
                ..demand
            };
            let machines = sizing(&demand, &SMALL).needs;
            let more = sizing(&bigger, &SMALL).needs;
            for (before, after) in machines.iter().zip(&more) {
                prop_assert!(after.machines >= before.machines, "{before:?} {after:?}");
            }
            let stronger = sizing(&demand, &Machine { cores: 2 * SMALL.cores, ..SMALL });
            prop_assert!(stronger.needs[0].machines <= machines[0].machines);
        }
    }
}
