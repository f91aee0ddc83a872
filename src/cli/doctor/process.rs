//! What this process, and so a server that is started like it, may do and have.

use super::check::Check;
use crate::cli::Failure;
use crate::cli::imagined::imagined;
use crate::net::xdp::UMEM_BYTES_PER_QUEUE;
use crate::telemetry::memory_available_bytes;
use nix::sys::resource::{Resource, getrlimit};
use procfs::process::Process;

/// What an AF_XDP engine needs, by number (capabilities(7)) and name.
const CAPABILITIES: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (39, "CAP_BPF")];

/// Locks memory without limit.
const IPC_LOCK: u32 = 14;

/// A resource's soft and hard limit.
type Limits = Result<(u64, u64), String>;

/// All about the process, for so many workers.
pub(super) fn checks(workers: usize) -> Vec<Check> {
    let status = Process::myself().and_then(|myself| myself.status());
    let effective = status.map(|status| status.capeff).map_err(|error| error.to_string());
    let limits = |resource| getrlimit(resource).map_err(|error| error.to_string());
    vec![
        privileges(effective.clone()),
        locked_memory(limits(Resource::RLIMIT_MEMLOCK), effective),
        open_files(limits(Resource::RLIMIT_NOFILE), workers as u64),
        memory(default_bytes(workers), memory_available_bytes()),
    ]
}

/// Whether a server started like this process may use AF_XDP.
fn privileges(effective: Result<u64, String>) -> Check {
    let what = "process: AF_XDP";
    let effective = match effective {
        Ok(effective) => effective,
        Err(why) => return Check::not_known(what, why, "mount -t proc proc /proc"),
    };
    let lacks = |(bit, name): &(u32, &'static str)| (effective & (1 << bit) == 0).then_some(*name);
    let missing: Vec<&str> = CAPABILITIES.iter().filter_map(lacks).collect();
    if missing.is_empty() {
        return Check::ok(what, "a server started like this may use AF_XDP");
    }
    Check::could_be_better(
        what,
        format!("a server started like this lacks {}: --io mmsg only", missing.join(", ")),
        "sudo setcap cap_net_admin,cap_net_raw,cap_bpf+ep \"$(command -v redpkt)\"",
    )
}

/// Memory that AF_XDP queues lock.
fn locked_memory(limits: Limits, effective: Result<u64, String>) -> Check {
    let what = "process: locked memory";
    let queue_mib = UMEM_BYTES_PER_QUEUE >> 20;
    if effective.is_ok_and(|effective| effective & (1 << IPC_LOCK) != 0) {
        return Check::ok(what, "no limit for who has CAP_IPC_LOCK");
    }
    match limits {
        Ok((soft, _)) if soft >= UMEM_BYTES_PER_QUEUE => Check::ok(
            what,
            match soft {
                u64::MAX => "no limit".to_owned(),
                soft => {
                    format!("{} MiB: enough for {} AF_XDP queues", soft >> 20, soft / UMEM_BYTES_PER_QUEUE)
                }
            },
        ),
        Ok((soft, _)) => Check::could_be_better(
            what,
            format!("{} KiB: --io xdp is refused, which locks {queue_mib} MiB for each queue", soft >> 10),
            "ulimit -l unlimited  # a unit: LimitMEMLOCK=infinity",
        ),
        Err(why) => Check::not_known(what, why, "ulimit -l"),
    }
}

/// Files that a server opens: of each worker its sockets, its event and its journal's three files, twice as many to have
/// some to spare, and those of the process.
fn files_needed(workers: u64) -> u64 {
    64 + 2 * 8 * workers
}

fn open_files(limits: Limits, workers: u64) -> Check {
    let (what, needed) = ("process: open files", files_needed(workers));
    match limits {
        Ok((soft, _)) if soft >= needed => Check::ok(
            what,
            format!(
                "{soft}: a server of {workers} workers needs fewer than {needed}; a load client one for each of --source-ports"
            ),
        ),
        Ok((soft, hard)) => Check::broken(
            what,
            format!("{soft}: a server of {workers} workers needs up to {needed}"),
            match hard >= needed {
                true => format!("ulimit -n {hard}"),
                false => format!("sudo prlimit --nofile={needed} --pid $$  # a unit: LimitNOFILE={needed}"),
            },
        ),
        Err(why) => Check::not_known(what, why, "ulimit -n"),
    }
}

/// Bytes of the tables of `serve` with all its defaults.
fn default_bytes(workers: usize) -> Result<(u64, u64), Failure> {
    let options = ["--cores".to_owned(), "none".to_owned(), format!("--workers={workers}")];
    imagined(&options).map(|settings| (settings.totals.sessions, settings.bytes()))
}

fn memory(needed: Result<(u64, u64), Failure>, available_bytes: Option<u64>) -> Check {
    let what = "process: memory";
    let (sessions, bytes) = match needed {
        Ok(needed) => needed,
        Err(why) => return Check::not_known(what, why, "redpkt plan"),
    };
    let mib = bytes >> 20;
    match available_bytes {
        Some(available) if available >= bytes => Check::ok(
            what,
            format!(
                "{} MiB free, cgroups included: the tables of `serve` for {sessions} sessions take {mib} MiB",
                available >> 20
            ),
        ),
        Some(available) => Check::broken(
            what,
            format!(
                "{} MiB free, cgroups included, and the tables of `serve` for {sessions} sessions take {mib} MiB: it does not start",
                available >> 20
            ),
            format!(
                "redpkt serve --sessions {}  # or give it more memory",
                sessions * available / bytes.max(1) / 2
            ),
        ),
        None => Check::not_known(what, "the kernel does not say what is free", "free -m"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        let privileges_of = |effective| privileges(Ok(effective));
        assert_eq!(privileges_of(u64::MAX).state, State::Ok);
        let none = privileges_of(0);
        assert_eq!(none.state, State::CouldBeBetter);
        assert!(none.effect.contains("CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF"), "{none:?}");
        let some = privileges_of(1 << 12 | 1 << 13);
        assert!(some.effect.contains("lacks CAP_BPF:") && some.fix.contains("setcap"), "{some:?}");
        assert!(privileges(Err("x".into())).effect.contains("not known: x"));
    }

    #[test]
    fn locked_memory_is_for_queues() {
        let of = |soft, effective| locked_memory(Ok((soft, soft)), Ok(effective));
        assert_eq!(of(0, 1 << IPC_LOCK).state, State::Ok);
        assert_eq!(of(u64::MAX, 0).effect, "no limit");
        assert!(of(3 * UMEM_BYTES_PER_QUEUE, 0).effect.contains("enough for 3 AF_XDP queues"));
        let little = of(64 << 10, 0);
        assert!(little.state == State::CouldBeBetter && little.effect.starts_with("64 KiB"), "{little:?}");
    }

    #[test]
    fn open_files_are_for_workers() {
        assert_eq!(open_files(Ok((1_024, 4_096)), 2).state, State::Ok);
        assert_eq!(open_files(Ok((64, 4_096)), 2).fix, "ulimit -n 4096");
        assert!(open_files(Ok((64, 64)), 2).fix.contains("LimitNOFILE=96"));
        assert!(open_files(Err("x".into()), 2).effect.contains("not known"));
    }

    /// Expect: the tables of the default server, as `serve` itself reckons them, against what is free.
    #[test]
    fn memory_is_for_the_tables() {
        let (sessions, bytes) = default_bytes(2).unwrap();
        assert!(sessions == 1_000_000 && bytes > 96 * sessions, "{bytes}");
        let of = |available| memory(Ok((sessions, bytes)), available);
        assert_eq!(of(Some(bytes)).state, State::Ok);
        let little = of(Some(bytes / 2));
        assert_eq!(
            (little.state, &*little.fix),
            (State::Broken, "redpkt serve --sessions 250000  # or give it more memory")
        );
        assert!(of(None).effect.contains("not known"));
    }
}
