//! The clock: which one the kernel reads, and whether it is right.

use super::check::Check;
use super::read;
use crate::net::clock::{Discipline, discipline};
use redpkt_proto::SESSION_EPOCH_WALL_MS;

const DIR: &str = "/sys/devices/system/clocksource/clocksource0";

/// Clocks that a process reads without a system call, all in tens of ns.
const FAST: [&str; 5] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "xen"];

/// All about the clock.
pub(super) fn checks() -> Vec<Check> {
    let read = |file| read::text(format!("{DIR}/{file}"));
    let kept = discipline().map_err(|error| format!("adjtimex: {error}"));
    vec![
        source(read("current_clocksource"), &read("available_clocksource").unwrap_or_default()),
        right(kept, crate::telemetry::wall_ms()),
    ]
}

/// What the time is read from: each batch asks once, each receive is stamped.
fn source(current: Result<String, String>, available: &str) -> Check {
    let what = "clock: source";
    let current = match current {
        Ok(current) => current,
        Err(why) => return Check::not_known(what, why, format!("cat {DIR}/current_clocksource")),
    };
    if FAST.contains(&current.as_str()) {
        return Check::ok(what, format!("{current}: read without a system call"));
    }
    let better = FAST.into_iter().find(|fast| available.split_whitespace().any(|each| each == *fast));
    Check::could_be_better(
        what,
        format!(
            "{current}: read by a system call and a slow device, for each batch and each datagram's time"
        ),
        match better {
            Some(fast) => format!("echo {fast} | sudo tee {DIR}/current_clocksource"),
            None => "use a host that offers tsc or kvm-clock; dmesg | grep -i clocksource  # says why not"
                .to_owned(),
        },
    )
}

/// Whether it is kept right: tickets end, sessions are numbered, orders begin and client hosts fire by it.
fn right(kept: Result<Discipline, String>, now_wall_ms: u64) -> Check {
    let what = "clock: right";
    let fix = "sudo systemctl enable --now chrony  # or: sudo timedatectl set-ntp true";
    if now_wall_ms < SESSION_EPOCH_WALL_MS {
        return Check::broken(
            what,
            format!(
                "it says {now_wall_ms} ms since 1970, before 2025: a server does not start, its session numbers come from it"
            ),
            fix,
        );
    }
    match kept {
        Ok(Discipline { is_kept: true, error_us_max }) => Check::ok(
            what,
            format!(
                "kept right to {:.1} ms: so well begin orders with at=, and do several client hosts agree",
                error_us_max as f64 / 1e3
            ),
        ),
        Ok(Discipline { is_kept: false, .. }) => Check::could_be_better(
            what,
            "nobody in this kernel's sight keeps it right: tickets end early or late, orders with at= too, and several client hosts (--hosts) do not agree; in a VM the host may",
            fix,
        ),
        Err(why) => Check::not_known(what, why, "timedatectl timesync-status || chronyc tracking"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn slow_sources_are_told_with_a_fast_one_that_is_there() {
        let of = |current: &str, available| source(Ok(current.to_owned()), available);
        assert_eq!(of("tsc", "tsc kvm-clock").state, State::Ok);
        assert_eq!(of("kvm-clock", "").state, State::Ok);
        let slow = of("hpet", "tsc hpet acpi_pm");
        assert!(slow.state == State::CouldBeBetter && slow.fix.starts_with("echo tsc |"), "{slow:?}");
        assert!(of("acpi_pm", "acpi_pm").fix.starts_with("use a host"));
        assert!(source(Err("x".into()), "").effect.contains("not known"));
    }

    #[test]
    fn a_clock_that_nobody_keeps_is_told() {
        let now = SESSION_EPOCH_WALL_MS + 1;
        let kept = |is_kept| Ok(Discipline { is_kept, error_us_max: 1_500 });
        assert!(right(kept(true), now).effect.starts_with("kept right to 1.5 ms"));
        assert_eq!(right(kept(false), now).state, State::CouldBeBetter);
        assert_eq!(right(kept(true), 1).state, State::Broken);
        assert!(right(Err("x".into()), now).effect.contains("not known"));
    }
}
