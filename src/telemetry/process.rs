//! What the kernel says about this process and machine.

use super::cgroup;
use procfs::{Current, WithCurrentSystemInfo};

/// Bytes of this process that are in memory (VmRSS).
pub fn resident_bytes() -> Option<u64> {
    let stat = procfs::process::Process::myself().and_then(|me| me.stat()).ok()?;
    Some(stat.rss_bytes().get())
}

/// Bytes that new work can have without swapping: MemAvailable, or what the memory cgroups of this process
/// leave if that is less.
pub fn memory_available_bytes() -> Option<u64> {
    let machine = procfs::Meminfo::current().ok()?.mem_available?;
    Some(cgroup::memory_left_bytes().map_or(machine, |left| machine.min(left)))
}

/// Now by the system's clock, in ms since 1970.
pub fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_tells_both() {
        assert!(super::resident_bytes().unwrap() > 100_000);
        assert!(super::memory_available_bytes().unwrap() > 1_000_000);
    }
}
