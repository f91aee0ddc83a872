//! What this kernel has, each feature tried on a socket of its own.

use super::check::Check;
use super::read;
use crate::net::probe::{Feature, probe};
use crate::net::xdp::kernel_has_af_xdp;
use std::io;

/// Programs that pick a socket of a group of UDP sockets are as old as this.
const STEERING_SINCE: (u32, u32) = (4, 5);

/// What `--io xdp` needs is as old as this (docs/AF_XDP.md).
const AF_XDP_SINCE: (u32, u32) = (5, 15);

/// All about the kernel.
pub(super) fn checks() -> Vec<Check> {
    let release = nix::sys::utsname::uname().map(|names| names.release().to_string_lossy().into_owned());
    let mut checks = vec![release_of(&release.unwrap_or_default())];
    checks.extend(FEATURES.iter().map(|known| known.check(probe(known.feature))));
    checks.push(af_xdp(kernel_has_af_xdp()));
    checks.push(busy_polling(
        [Feature::BusyPoll, Feature::PreferBusyPoll].map(probe),
        read::number("/proc/sys/net/core/busy_poll").ok(),
    ));
    checks.push(jit(read::number("/proc/sys/net/core/bpf_jit_enable")));
    checks.push(huge_pages(read::text(HUGE_PAGES)));
    checks.push(irqbalance(has_irqbalance()));
    checks
}

/// Whether the release is new enough.
fn release_of(release: &str) -> Check {
    let what = "kernel: release";
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Check::not_known(what, format!("{release:?} is no release"), "uname -r");
    };
    let ((steering_major, steering_minor), (xdp_major, xdp_minor)) = (STEERING_SINCE, AF_XDP_SINCE);
    let effect = format!("Linux {release}");
    if (major, minor) < STEERING_SINCE {
        return Check::broken(
            what,
            format!("{effect}: it cannot bring datagrams to their worker"),
            format!(
                "use Linux {steering_major}.{steering_minor} or newer, {xdp_major}.{xdp_minor} for --io xdp"
            ),
        );
    }
    if (major, minor) < AF_XDP_SINCE {
        return Check::could_be_better(
            what,
            format!("{effect}: enough for sockets, too old for --io xdp"),
            format!("use Linux {xdp_major}.{xdp_minor} or newer"),
        );
    }
    Check::ok(what, format!("{effect}: new enough for all of redpkt"))
}

/// A feature, what it is for, and what is without it.
struct Known {
    feature: Feature,
    name: &'static str,
    with: &'static str,
    without: &'static str,
    since: &'static str,
    /// Whether a server does not start without it.
    is_needed: bool,
}

const FEATURES: [Known; 6] = [
    Known {
        feature: Feature::Steering,
        name: "steering",
        with: "a program brings each datagram to its user's worker",
        without: "datagrams are spread by address, and workers hand them over by rings",
        since: "use Linux 4.5 or newer",
        is_needed: false,
    },
    Known {
        feature: Feature::Shedding,
        name: "shedding",
        with: "a program drops what there is no time for before it takes room in a buffer",
        without: "under overload everything fills the buffers first",
        since: "allow setsockopt(SO_ATTACH_FILTER): a sandbox forbids it",
        is_needed: false,
    },
    Known {
        feature: Feature::ReceiveTimes,
        name: "receive times",
        with: "each datagram tells when it came: the load is known from how long it waited",
        without: "a server does not start: it would not know its load",
        since: "allow setsockopt(SO_TIMESTAMPNS): a sandbox forbids it",
        is_needed: true,
    },
    Known {
        feature: Feature::LossCounts,
        name: "loss counts",
        with: "each socket tells what its full buffer has lost: drops.rxq_overflow is exact",
        without: "a server does not start: it would not know what it loses",
        since: "allow setsockopt(SO_RXQ_OVFL): a sandbox forbids it",
        is_needed: true,
    },
    Known {
        feature: Feature::Gso,
        name: "GSO",
        with: "load clients can send many datagrams to one peer at once (redpkt-bench run --gso); servers do not",
        without: "redpkt-bench run --gso does not work: a load client spends more CPU time",
        since: "use Linux 4.18 or newer on load clients",
        is_needed: false,
    },
    Known {
        feature: Feature::Gro,
        name: "GRO",
        with: "load clients can receive many datagrams of one peer at once (redpkt-bench run --gso); servers do not",
        without: "redpkt-bench run --gso does not work: a load client spends more CPU time",
        since: "use Linux 5.0 or newer on load clients",
        is_needed: false,
    },
];

impl Known {
    fn check(&self, tried: io::Result<()>) -> Check {
        let what = format!("kernel: {}", self.name);
        match tried {
            Ok(()) => Check::ok(what, self.with),
            Err(error) if self.is_needed => {
                Check::broken(what, format!("{} ({error})", self.without), self.since)
            }
            Err(error) => Check::could_be_better(what, format!("{} ({error})", self.without), self.since),
        }
    }
}

/// Whether the kernel has AF_XDP.
fn af_xdp(has_it: bool) -> Check {
    let what = "kernel: AF_XDP";
    match has_it {
        true => Check::ok(what, "--io xdp can bypass the kernel's stack"),
        false => Check::could_be_better(
            what,
            "the kernel has no AF_XDP sockets: datagrams go through its stack (--io mmsg)",
            "use Linux 5.15 or newer with CONFIG_XDP_SOCKETS and CONFIG_BPF_SYSCALL",
        ),
    }
}

/// Asking the card before sleeping: nothing that redpkt asks for, and nothing that hurts it.
fn busy_polling(tried: [io::Result<()>; 2], for_all_us: Option<u64>) -> Check {
    let offer = match tried.map(|tried| tried.map_err(|error| error.raw_os_error())) {
        [Ok(()), Ok(())] => "offered, with and without interrupts".to_owned(),
        [Err(Some(libc::EPERM)), _] | [_, Err(Some(libc::EPERM))] => {
            "offered to who has CAP_NET_ADMIN".to_owned()
        }
        [Ok(()), _] => "offered, but not in place of interrupts (Linux 5.11)".to_owned(),
        _ => "not in this kernel".to_owned(),
    };
    let for_all = match for_all_us {
        Some(us @ 1..) => format!("; net.core.busy_poll has every wait ask the card for {us} µs first"),
        Some(0) | None => String::new(),
    };
    Check::ok(
        "kernel: busy polling",
        format!("{offer}; redpkt does not ask for it: --when-idle spin never sleeps{for_all}"),
    )
}

/// Whether programs at sockets are compiled.
fn jit(enabled: Result<u64, String>) -> Check {
    let (what, fix) = ("kernel: BPF compiler", "sudo sysctl -w net.core.bpf_jit_enable=1");
    match enabled {
        Ok(0) => Check::could_be_better(what, "programs at sockets and interfaces are interpreted", fix),
        Ok(_) => Check::ok(what, "programs at sockets and interfaces are machine code"),
        Err(why) => Check::not_known(what, why, "sysctl net.core.bpf_jit_enable  # on the host"),
    }
}

const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Whether tables get huge pages when they ask for them.
fn huge_pages(enabled: Result<String, String>) -> Check {
    let what = "kernel: huge pages";
    let enabled = match enabled {
        Ok(enabled) => enabled,
        Err(why) => return Check::not_known(what, why, "use a kernel with CONFIG_TRANSPARENT_HUGEPAGE"),
    };
    match read::chosen(&enabled) {
        Some(mode @ ("always" | "madvise")) => Check::ok(
            what,
            format!("{mode}: the tables of sessions ask for huge pages and get them: fewer TLB misses"),
        ),
        _ => Check::could_be_better(
            what,
            "never: the tables of sessions lie in small pages, and nearly every session that is looked up misses the TLB",
            format!("echo madvise | sudo tee {HUGE_PAGES}"),
        ),
    }
}

fn has_irqbalance() -> Result<bool, String> {
    let all = procfs::process::all_processes().map_err(|error| format!("processes: {error}"))?;
    let names: Vec<String> =
        all.flatten().filter_map(|process| process.stat().ok()).map(|stat| stat.comm).collect();
    match names.is_empty() {
        // This one at least is there.
        true => Err("/proc shows no processes".to_owned()),
        false => Ok(names.iter().any(|name| name == "irqbalance")),
    }
}

/// Whether somebody moves interrupts about.
fn irqbalance(runs: Result<bool, String>) -> Check {
    let what = "kernel: irqbalance";
    match runs {
        Ok(false) => Check::ok(what, "does not run: interrupts stay on the cores where they were put"),
        Ok(true) => Check::could_be_better(
            what,
            "runs, and moves the interrupts of cards from core to core under the workers",
            "sudo systemctl disable --now irqbalance",
        ),
        Err(why) => Check::not_known(what, why, "pgrep -l irqbalance"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn releases_are_told_by_what_they_are_enough_for() {
        let state = |release| release_of(release).state;
        assert_eq!(state("6.18.5-cloud"), State::Ok);
        assert_eq!(state("5.15.0"), State::Ok);
        assert_eq!(state("5.4.0-200-generic"), State::CouldBeBetter);
        assert_eq!(state("3.10.0-1160.el7"), State::Broken);
        assert!(release_of("unheard of").effect.starts_with("not known"));
    }

    /// Expect: what a server cannot start without is broken, all else could be better, with the kernel's word.
    #[test]
    fn features_that_are_refused_are_told_with_the_kernels_word() {
        for known in &FEATURES {
            assert_eq!(known.check(Ok(())).state, State::Ok);
            let refused = known.check(Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT)));
            let state = if known.is_needed { State::Broken } else { State::CouldBeBetter };
            assert_eq!(refused.state, state, "{}", known.name);
            assert!(refused.effect.contains("not available") && !refused.fix.is_empty(), "{refused:?}");
        }
    }

    #[test]
    fn busy_polling_is_told_and_no_fault() {
        let error = |errno| Err(io::Error::from_raw_os_error(errno));
        let both = busy_polling([Ok(()), Ok(())], Some(50));
        assert!(both.effect.contains("50 µs") && both.state == State::Ok, "{both:?}");
        assert!(busy_polling([error(libc::EPERM), Ok(())], None).effect.contains("CAP_NET_ADMIN"));
        assert!(busy_polling([Ok(()), error(libc::ENOPROTOOPT)], None).effect.contains("5.11"));
        assert!(busy_polling([error(1_000), error(1_000)], None).effect.contains("not in this kernel"));
    }

    #[test]
    fn switches_are_told() {
        let missing = Err("/x: no such file".to_owned());
        assert_eq!(jit(Ok(1)).state, State::Ok);
        assert_eq!(jit(Ok(0)).fix, "sudo sysctl -w net.core.bpf_jit_enable=1");
        assert!(jit(missing).effect.contains("not known: /x"));
        assert_eq!(huge_pages(Ok("always [madvise] never".into())).state, State::Ok);
        assert_eq!(huge_pages(Ok("always madvise [never]".into())).state, State::CouldBeBetter);
        assert!(huge_pages(Err("/x".into())).effect.starts_with("not known"));
        assert_eq!(irqbalance(Ok(false)).state, State::Ok);
        assert!(irqbalance(Ok(true)).fix.contains("systemctl"));
        assert!(irqbalance(Err("x".into())).effect.starts_with("not known"));
        assert_eq!(af_xdp(true).state, State::Ok);
        assert_eq!(af_xdp(false).state, State::CouldBeBetter);
    }
}
