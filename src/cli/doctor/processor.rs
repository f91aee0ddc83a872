//! The processor: its instructions, and what of its cores a server gets.

use super::check::Check;
use super::read::{self, listed};
use crate::net::affinity::allowed_cores;
use crate::net::lanes::{LANES, Lanes};
use crate::telemetry::{SEALING_COST_IN_HASHES_MAX, cpu_quota_cores, sealing_cost_in_hashes};
use procfs::{CurrentSI as _, KernelStats};

/// The share of time that the host may take away before it is told.
const STOLEN_SHARE_MAX: f64 = 0.01;

/// All about the processor, for so many workers.
pub(super) fn checks(workers: usize) -> Vec<Check> {
    let allowed = allowed_cores();
    let governors: Vec<_> =
        allowed.iter().map(|core| read::text(cpu_file(*core, "cpufreq/scaling_governor"))).collect();
    let siblings = |core: &usize| {
        let others = read::cores(cpu_file(*core, "topology/thread_siblings_list"));
        others.map(|others| (*core, others))
    };
    vec![
        aes(sealing_cost_in_hashes()),
        lanes(Lanes::detect().is_some()),
        cores(&allowed, read::cores("/sys/devices/system/cpu/online"), workers),
        quota(cpu_quota_cores(), workers),
        smt(allowed.iter().map(siblings).collect::<Result<Vec<_>, _>>(), workers),
        governor(&governors),
        isolated(read::cores("/sys/devices/system/cpu/isolated"), &allowed),
        steal(stolen_share()),
    ]
}

fn cpu_file(core: usize, file: &str) -> String {
    format!("/sys/devices/system/cpu/cpu{core}/{file}")
}

/// Whether sealing runs on AES instructions.
fn aes(cost_in_hashes: f64) -> Check {
    let what = "processor: AES";
    if cost_in_hashes <= SEALING_COST_IN_HASHES_MAX {
        return Check::ok(
            what,
            format!("sealing a frame costs {cost_in_hashes:.1} hashes: AES instructions do it"),
        );
    }
    Check::broken(
        what,
        format!(
            "sealing a frame costs {cost_in_hashes:.0} hashes, not about 1: no AES instructions are used"
        ),
        "grep -m1 -ow aes /proc/cpuinfo  # nothing: use another processor; aes: build without the aegis crate's pure-rust feature",
    )
}

/// Whether frames are sealed several at once.
fn lanes(has_them: bool) -> Check {
    let what = "processor: AVX-512 and VAES";
    match has_them {
        true => Check::ok(what, format!("{LANES} frames of a batch are sealed and opened at once")),
        false => Check::could_be_better(
            what,
            "missing: frames are sealed and opened one after another",
            "use a processor with AVX-512F and VAES, such as Ice Lake, Zen 4 or newer; the host may hide them from a VM",
        ),
    }
}

/// Cores that this process may use, against those there are and the workers.
fn cores(allowed: &[usize], online: Result<Vec<usize>, String>, workers: usize) -> Check {
    let what = "processor: cores";
    let count = allowed.len();
    if workers > count {
        return Check::could_be_better(
            what,
            format!("{workers} workers on {count} cores ({}): they wait for each other", listed(allowed)),
            format!("redpkt serve --workers {count}"),
        );
    }
    match online {
        Ok(online) if online.len() > count => Check::could_be_better(
            what,
            format!("only {count} of {} ({}) are allowed to this process", online.len(), listed(allowed)),
            format!(
                "taskset -c {} redpkt serve  # or widen the cpuset of its unit or container",
                listed(&online)
            ),
        ),
        Ok(online) => Check::ok(what, format!("all {} are allowed; {workers} workers", online.len())),
        Err(why) => Check::not_known(what, why, "nproc --all; nproc"),
    }
}

/// The CPU time that cgroups allow, against the workers.
fn quota(quota_cores: Option<f64>, workers: usize) -> Check {
    let what = "processor: quota";
    match quota_cores {
        None => Check::ok(what, "no cgroup limits CPU time"),
        Some(quota) if quota >= workers as f64 => {
            Check::ok(what, format!("a cgroup allows {quota:.1} cores' time, enough for {workers} workers"))
        }
        Some(quota) => Check::could_be_better(
            what,
            format!(
                "a cgroup allows {quota:.1} cores' time to {workers} workers: busy ones stand still for the rest of each period"
            ),
            "systemctl set-property UNIT CPUQuota=  # a container: run it without --cpus, or with as many as workers",
        ),
    }
}

/// Whether two workers share one core's units. Workers take the allowed cores in order.
fn smt(siblings: Result<Vec<(usize, Vec<usize>)>, String>, workers: usize) -> Check {
    let what = "processor: SMT";
    let siblings = match siblings {
        Ok(siblings) => siblings,
        Err(why) => return Check::not_known(what, why, "lscpu --extended"),
    };
    let used: Vec<usize> = siblings.iter().take(workers).map(|(core, _)| *core).collect();
    let shares = |(core, others): &&(usize, Vec<usize>)| {
        used.contains(core) && others.iter().any(|other| other != core && used.contains(other))
    };
    let sharing: Vec<usize> = siblings.iter().filter(shares).map(|(core, _)| *core).collect();
    if sharing.is_empty() {
        return Check::ok(what, "no two workers share a core's units");
    }
    // The first of each core.
    let firsts: Vec<usize> = siblings
        .iter()
        .filter(|(core, others)| others.iter().min().is_none_or(|first| first == core))
        .map(|(core, _)| *core)
        .collect();
    Check::could_be_better(
        what,
        format!("cores {} are two threads of one core each: their workers share its units", listed(&sharing)),
        format!("redpkt serve --cores {}", listed(&firsts)),
    )
}

/// Who decides how fast cores run.
fn governor(governors: &[Result<String, String>]) -> Check {
    let what = "processor: governor";
    let known: Vec<&str> = governors.iter().flatten().map(String::as_str).collect();
    match known.iter().find(|governor| **governor != "performance") {
        _ if known.is_empty() => Check::ok(what, "the kernel has none: the firmware or the host decides"),
        None => Check::ok(what, "performance: cores do not slow down between waves"),
        Some(other) => Check::could_be_better(
            what,
            format!(
                "{other}: cores slow down when idle, and a wave's first requests wait until they are fast"
            ),
            "sudo cpupower frequency-set -g performance",
        ),
    }
}

/// Whether workers have their cores for themselves: a hint, no fault.
fn isolated(isolated: Result<Vec<usize>, String>, allowed: &[usize]) -> Check {
    let what = "processor: isolation";
    let isolated = isolated.unwrap_or_default();
    let own: Vec<usize> = isolated.into_iter().filter(|core| allowed.contains(core)).collect();
    match own.is_empty() {
        true => Check::ok(
            what,
            "no core is kept free of others: isolcpus= on the kernel's command line would, for the last µs",
        ),
        false => Check::ok(what, format!("cores {} are kept free of others", listed(&own))),
    }
}

/// The share of all time since the start that the host gave to others while a core wanted to run.
fn stolen_share() -> Result<f64, String> {
    let total = KernelStats::current().map_err(|error| error.to_string())?.total;
    let stolen = total.steal.ok_or("the kernel does not say")?;
    let idle = total.idle + total.iowait.unwrap_or(0);
    let busy = total.user + total.nice + total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
    Ok(stolen as f64 / (stolen + busy + idle).max(1) as f64)
}

fn steal(share: Result<f64, String>) -> Check {
    let what = "processor: stolen time";
    match share {
        Ok(share) if share <= STOLEN_SHARE_MAX => Check::ok(
            what,
            format!("{:.2}% since the start was given to other machines of the host", 100.0 * share),
        ),
        Ok(share) => Check::could_be_better(
            what,
            format!(
                "{:.1}% since the start was given to other machines of the host: workers stand still meanwhile",
                100.0 * share
            ),
            "use a machine with cores of its own (dedicated CPUs); vmstat 1 shows it as st",
        ),
        Err(why) => Check::not_known(what, why, "vmstat 1 5  # the column st"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn software_sealing_is_broken() {
        assert_eq!(aes(1.1).state, State::Ok);
        let slow = aes(52.0);
        assert_eq!(slow.state, State::Broken);
        assert!(slow.effect.contains("52 hashes") && !slow.fix.is_empty(), "{slow:?}");
        assert_eq!((lanes(true).state, lanes(false).state), (State::Ok, State::CouldBeBetter));
    }

    #[test]
    fn cores_that_are_kept_away_are_told() {
        assert_eq!(cores(&[0, 1], Ok(vec![0, 1]), 2).state, State::Ok);
        let some = cores(&[0, 1], Ok(vec![0, 1, 2, 3]), 2);
        assert!(some.effect.contains("2 of 4") && some.fix.contains("0,1,2,3"), "{some:?}");
        let many = cores(&[0, 1], Ok(vec![0, 1]), 3);
        assert_eq!(many.fix, "redpkt serve --workers 2");
        assert!(cores(&[0], Err("x".into()), 1).effect.contains("not known"));
        assert_eq!(quota(None, 4).state, State::Ok);
        assert_eq!(quota(Some(4.0), 4).state, State::Ok);
        assert!(quota(Some(1.5), 2).effect.contains("1.5 cores"));
    }

    /// Expect: on 2 cores with 2 threads each, numbered as Linux does, 2 workers share nothing, 4 do; numbered in
    /// pairs, 2 share already, and the fix names the first of each.
    #[test]
    fn workers_should_not_share_a_core() {
        let apart = vec![(0, vec![0, 2]), (1, vec![1, 3]), (2, vec![0, 2]), (3, vec![1, 3])];
        assert_eq!(smt(Ok(apart.clone()), 2).state, State::Ok);
        assert_eq!(smt(Ok(apart), 4).fix, "redpkt serve --cores 0,1");
        let pairs = vec![(0, vec![0, 1]), (1, vec![0, 1]), (2, vec![2, 3]), (3, vec![2, 3])];
        let shared = smt(Ok(pairs), 2);
        assert_eq!(shared.fix, "redpkt serve --cores 0,2");
        assert!(shared.effect.starts_with("cores 0,1 "), "{shared:?}");
        assert_eq!(smt(Ok(vec![(0, vec![0]), (1, vec![1])]), 2).state, State::Ok);
        assert!(smt(Err("x".into()), 2).effect.contains("not known"));
    }

    #[test]
    fn what_slows_cores_down_is_told() {
        let of =
            |names: &[&str]| governor(&names.iter().map(|name| Ok((*name).to_owned())).collect::<Vec<_>>());
        assert_eq!(of(&["performance", "performance"]).state, State::Ok);
        assert!(of(&["performance", "powersave"]).effect.starts_with("powersave"));
        assert_eq!(governor(&[Err("x".into())]).state, State::Ok);
        assert_eq!(steal(Ok(0.001)).state, State::Ok);
        assert!(steal(Ok(0.05)).effect.starts_with("5.0%"));
        assert!(steal(Err("x".into())).effect.contains("not known"));
        assert!((0.0..=1.0).contains(&stolen_share().unwrap()));
        assert!(isolated(Ok(vec![1, 9]), &[0, 1]).effect.contains("cores 1 "));
        assert_eq!(isolated(Err("x".into()), &[0]).state, State::Ok);
    }
}
