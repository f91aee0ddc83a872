//! `/proc/net/softnet_stat`: what the kernel took from drivers, and what it dropped before any protocol saw it.

use serde::{Deserialize, Serialize};

/// Totals of all processors. The kernel counts in 32 bits for each of them; [`read`](Softnet::read) adds those up as
/// they are, so a total goes down when one of them wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Softnet {
    /// Packets taken from drivers.
    pub processed: u64,
    /// Packets dropped because a processor's backlog (`net.core.netdev_max_backlog`) was full.
    pub dropped: u64,
    /// Times that a processor stopped with work left (`net.core.netdev_budget`).
    pub squeezed: u64,
}

impl Softnet {
    /// Reads them; `None` if the kernel does not say.
    pub fn read() -> Option<Softnet> {
        Softnet::parse(&std::fs::read_to_string("/proc/net/softnet_stat").ok()?)
    }

    /// A line for each processor, hexadecimal columns: processed, dropped, squeezed, and more.
    fn parse(text: &str) -> Option<Softnet> {
        let mut sum = Softnet::default();
        for line in text.lines() {
            let mut columns = line.split_whitespace().map(|column| u64::from_str_radix(column, 16).ok());
            sum.processed += columns.next()??;
            sum.dropped += columns.next()??;
            sum.squeezed += columns.next()??;
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_added_up() {
        let text = "1286654d 00000002 0000001b 00000000 00000000\n00000003 00000010 00000001 00000000\n";
        let expected = Softnet { processed: 0x1286_6550, dropped: 0x12, squeezed: 0x1c };
        assert_eq!(Softnet::parse(text), Some(expected));
        assert_eq!(Softnet::parse("12 x 3\n"), None);
        assert_eq!(Softnet::parse("12\n"), None);
        assert!(Softnet::read().unwrap().processed > 0);
    }
}
