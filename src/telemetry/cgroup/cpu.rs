//! What the CPU cgroups of this process leave: a quota of time in each period (kernel
//! Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst).

use super::{directories, path_of};
use std::path::{Path, PathBuf};

/// Where the second version and the first are mounted.
const V2: &str = "/sys/fs/cgroup";
const V1: &str = "/sys/fs/cgroup/cpu";

/// Cores' worth of CPU time that the tightest of this process's groups allows; `None` where nothing limits it.
pub fn cpu_quota_cores() -> Option<f64> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    quota_of(Path::new(V2), Path::new(V1), &own)
}

fn quota_of(v2: &Path, v1: &Path, own: &str) -> Option<f64> {
    let read = |directory: &PathBuf, file: &str| std::fs::read_to_string(directory.join(file)).ok();
    let second = path_of(own, "").into_iter().flat_map(|path| directories(v2, path));
    let second = second.filter_map(|at| {
        let text = read(&at, "cpu.max")?;
        let (quota, period) = text.trim().split_once(' ')?;
        cores(quota, period)
    });
    let first = path_of(own, "cpu").into_iter().flat_map(|path| directories(v1, path));
    let first =
        first.filter_map(|at| cores(&read(&at, "cpu.cfs_quota_us")?, &read(&at, "cpu.cfs_period_us")?));
    second.chain(first).min_by(f64::total_cmp)
}

/// `max`, and -1 in the first version, is no limit.
fn cores(quota_us: &str, period_us: &str) -> Option<f64> {
    let quota: u64 = quota_us.trim().parse().ok()?;
    let period: u64 = period_us.trim().parse().ok()?;
    (period > 0).then(|| quota as f64 / period as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: the least of all groups on the way up, in both versions; none where there is no number.
    #[test]
    fn the_tightest_quota_decides() {
        let mount = tempfile::tempdir().unwrap();
        let (v2, v1) = (mount.path().join("v2"), mount.path().join("v1"));
        let own = "4:cpu,cpuacct:/pod\n0::/slice/service\n";
        std::fs::create_dir_all(v2.join("slice/service")).unwrap();
        std::fs::create_dir_all(v1.join("pod")).unwrap();
        assert_eq!(quota_of(&v2, &v1, own), None);
        std::fs::write(v2.join("slice/service/cpu.max"), "max 100000\n").unwrap();
        std::fs::write(v1.join("pod/cpu.cfs_quota_us"), "-1\n").unwrap();
        std::fs::write(v1.join("pod/cpu.cfs_period_us"), "100000\n").unwrap();
        assert_eq!(quota_of(&v2, &v1, own), None);
        std::fs::write(v2.join("slice/cpu.max"), "150000 100000\n").unwrap();
        assert_eq!(quota_of(&v2, &v1, own), Some(1.5));
        std::fs::write(v1.join("pod/cpu.cfs_quota_us"), "50000\n").unwrap();
        assert_eq!(quota_of(&v2, &v1, own), Some(0.5));
    }
}
