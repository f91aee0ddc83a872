//! What the cgroups of this process leave, in both versions (kernel Documentation/admin-guide/cgroup-v2.rst and
//! cgroup-v1/memory.rst): those of its own group and of all that it is in. Here of memory, in `cpu` of time.

mod cpu;

pub use cpu::cpu_quota_cores;

use std::path::{Path, PathBuf};

/// One version of the memory controller: where it is and what its files are called.
struct Version {
    mount: &'static str,
    /// What stands between the first and the second colon of its line in `/proc/self/cgroup`.
    controller: &'static str,
    limit: &'static str,
    used: &'static str,
    /// The line of `memory.stat` that tells page cache which the kernel gives back when asked.
    cache: &'static str,
}

const VERSIONS: [Version; 2] = [
    Version {
        mount: "/sys/fs/cgroup",
        controller: "",
        limit: "memory.max",
        used: "memory.current",
        cache: "inactive_file",
    },
    Version {
        mount: "/sys/fs/cgroup/memory",
        controller: "memory",
        limit: "memory.limit_in_bytes",
        used: "memory.usage_in_bytes",
        cache: "total_inactive_file",
    },
];

/// Bytes that the tightest of this process's groups leaves; `None` where nothing limits it.
pub fn memory_left_bytes() -> Option<u64> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    VERSIONS.iter().filter_map(|version| version.left_bytes(&own)).min()
}

impl Version {
    fn left_bytes(&self, own: &str) -> Option<u64> {
        let left = |directory: PathBuf| {
            let read = |file: &str| std::fs::read_to_string(directory.join(file)).ok();
            let stat = read("memory.stat").unwrap_or_default();
            left_bytes(&read(self.limit)?, &read(self.used)?, &stat, self.cache)
        };
        directories(Path::new(self.mount), path_of(own, self.controller)?).filter_map(left).min()
    }
}

/// The path of the group from the text of `/proc/self/cgroup`, lines of `NUMBER:CONTROLLERS:PATH`.
fn path_of<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

/// The directory of a group and those of all groups around it, up to the mount. A container may see its own
/// group as the mount itself while the path tells where it is on the host; then those in between are missing.
fn directories(mount: &Path, path: &str) -> impl Iterator<Item = PathBuf> {
    // A group outside our namespace is `/..`, which is no directory below the mount.
    let path = if path.split('/').any(|part| part == "..") { "" } else { path.trim_matches('/') };
    let within: Vec<PathBuf> = Path::new(path).ancestors().map(|group| mount.join(group)).collect();
    within.into_iter()
}

/// What a group leaves by the texts of its files; `None` when it has no limit.
fn left_bytes(limit: &str, used: &str, stat: &str, cache: &str) -> Option<u64> {
    // `max` is no number.
    let (limit, used): (u64, u64) = (limit.trim().parse().ok()?, used.trim().parse().ok()?);
    let cache: u64 = stat
        .lines()
        .find_map(|line| line.split_once(' ').filter(|(name, _)| *name == cache)?.1.trim().parse().ok())
        .unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(cache)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "anon 700\nfile 300\ninactive_anon 5\nactive_file 100\ninactive_file 200\n";

    #[test]
    fn cache_that_the_kernel_gives_back_counts_as_free() {
        assert_eq!(left_bytes("4096\n", "1000\n", STAT, "inactive_file"), Some(3_296));
        assert_eq!(left_bytes("4096\n", "1000\n", "", "inactive_file"), Some(3_096));
        assert_eq!(left_bytes("500\n", "1000\n", STAT, "inactive_file"), Some(0));
    }

    #[test]
    fn a_group_without_a_limit_says_nothing() {
        assert_eq!(left_bytes("max\n", "1000\n", STAT, "inactive_file"), None);
        assert_eq!(left_bytes("", "", "", "inactive_file"), None);
        // The first version says it by a number that no machine has.
        let left = left_bytes("9223372036854771712\n", "1000\n", "total_inactive_file 9\n", "inactive_file");
        assert!(left > Some(1 << 62));
    }

    #[test]
    fn the_own_group_is_found_in_both_versions() {
        let only_v2 = "0::/system.slice/redpkt.service\n";
        assert_eq!(path_of(only_v2, ""), Some("/system.slice/redpkt.service"));
        assert_eq!(path_of(only_v2, "memory"), None);
        let both = "9:name=systemd:/\n4:cpu,memory:/pods/a:b\n1:cpuset:/other\n0::/\n";
        assert_eq!(path_of(both, "memory"), Some("/pods/a:b"));
        assert_eq!(path_of(both, ""), Some("/"));
        assert_eq!(path_of("nonsense\n\n::", "memory"), None);
    }

    #[test]
    fn the_groups_around_a_group_count_too() {
        let found = |path| directories(Path::new("/m"), path).map(|at| at.display().to_string());
        assert!(found("/a/b").eq(["/m/a/b", "/m/a", "/m/"]));
        assert!(found("/").eq(["/m/"]));
        assert!(found("/../../x").eq(["/m/"]));
    }

    /// Expect: the least that any group on the way up leaves, read from files as the kernel lays them.
    #[test]
    fn the_tightest_group_decides() {
        let mount = tempfile::tempdir().unwrap();
        let own = mount.path().join("slice/service");
        std::fs::create_dir_all(&own).unwrap();
        let lay = |directory: &Path, limit: &str, used: &str| {
            std::fs::write(directory.join("memory.max"), limit).unwrap();
            std::fs::write(directory.join("memory.current"), used).unwrap();
            std::fs::write(directory.join("memory.stat"), STAT).unwrap();
        };
        lay(&own, "max\n", "900\n");
        lay(own.parent().unwrap(), "2000\n", "1200\n");
        let mount = mount.path().to_str().unwrap().to_owned();
        let version = Version { mount: mount.leak(), ..VERSIONS[0] };
        assert_eq!(version.left_bytes("0::/slice/service\n"), Some(1_000));
        lay(&own, "1500\n", "900\n");
        assert_eq!(version.left_bytes("0::/slice/service\n"), Some(800));
        assert_eq!(version.left_bytes("0::/elsewhere\n"), None);
    }
}
