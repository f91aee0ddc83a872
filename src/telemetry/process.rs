//! What the kernel says about this process and machine.

use procfs::{Current, WithCurrentSystemInfo};

/// Bytes of this process that are in memory (VmRSS).
pub fn resident_bytes() -> Option<u64> {
    let stat = procfs::process::Process::myself().and_then(|me| me.stat()).ok()?;
    Some(stat.rss_bytes().get())
}

/// Bytes that new work can have without swapping: MemAvailable, or what the memory cgroup leaves if that
/// is less.
pub fn memory_available_bytes() -> Option<u64> {
    let machine = procfs::Meminfo::current().ok()?.mem_available?;
    let read =
        |file: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse().ok();
    let group: Option<u64> = match (read("memory.max"), read("memory.current")) {
        (Some(max), Some(current)) => Some(u64::saturating_sub(max, current)),
        _ => None,
    };
    Some(group.map_or(machine, |group| machine.min(group)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_tells_both() {
        assert!(super::resident_bytes().unwrap() > 100_000);
        assert!(super::memory_available_bytes().unwrap() > 1_000_000);
    }
}
