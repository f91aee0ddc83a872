//! What the whole machine did, and which cores a measurement takes.

use procfs::{CurrentSI, KernelStats};
use redpkt::cli::Failure;

/// Time that all cores together were not idle since the machine's start, in ns. The kernel counts in ticks
/// of 10 ms. Time that the hypervisor gave to others is not ours and left out.
pub fn busy_ns() -> Result<u64, Failure> {
    let stat = KernelStats::current()
        .map_err(|error| Failure::machine(format!("reading the machine's busy time: {error}")))?;
    let total = &stat.total;
    let ticks = total.user + total.nice + total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
    Ok(ticks * (1_000_000_000 / procfs::ticks_per_second()))
}

/// Where the server's worker and the client run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CorePair {
    /// The server's worker.
    pub server: usize,
    /// The client's thread.
    pub client: usize,
}

impl CorePair {
    /// A core each, as far as there are enough. With more than two, core 0 is left to interrupts and to the
    /// rest, and the client gets none that shares its processor with the server's.
    pub fn choose(allowed: &[usize], siblings: impl Fn(usize) -> Vec<usize>) -> CorePair {
        let spare = if allowed.len() > 2 { &allowed[1..] } else { allowed };
        let server = spare.first().copied().unwrap_or(0);
        let beside = siblings(server);
        let client = spare.iter().skip(1).find(|core| !beside.contains(core)).or(spare.get(1));
        CorePair { server, client: client.copied().unwrap_or(server) }
    }
}

/// The cores that share a processor with `core`, itself among them, as the kernel lists them: `0-1` or
/// `0,8`. Empty if it does not say.
pub fn siblings(core: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    parse_list(&std::fs::read_to_string(path).unwrap_or_default())
}

fn parse_list(text: &str) -> Vec<usize> {
    let ranges = text.trim().split(',').filter_map(|part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse().ok()?..=to.parse().ok()?)
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_busy_at_times() {
        assert!(busy_ns().unwrap() > 0);
    }

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(parse_list("0-1\n"), [0, 1]);
        assert_eq!(parse_list("0,8\n"), [0, 8]);
        assert!(parse_list("").is_empty());
    }

    #[test]
    fn server_and_client_get_processors_of_their_own_where_there_are_enough() {
        let pairs = |core: usize| vec![core & !1, core | 1];
        let alone = |core: usize| vec![core];
        let cores = |server, client| CorePair { server, client };
        assert_eq!(CorePair::choose(&[0], alone), cores(0, 0));
        assert_eq!(CorePair::choose(&[0, 1], alone), cores(0, 1));
        assert_eq!(CorePair::choose(&[0, 1], pairs), cores(0, 1));
        assert_eq!(CorePair::choose(&[0, 1, 2, 3], alone), cores(1, 2));
        assert_eq!(CorePair::choose(&[0, 2, 3, 4, 5], pairs), cores(2, 4));
        assert_eq!(CorePair::choose(&[], alone), cores(0, 0));
    }
}
