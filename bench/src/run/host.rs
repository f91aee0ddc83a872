//! What a measurement was taken on: every result carries it.

use serde::Serialize;

/// A machine and what was built for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Host {
    /// The commit this was built from.
    pub commit: String,
    /// The kernel's release.
    pub kernel: String,
    /// The processor's model.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Runnable threads over the last minute, before the measurement.
    pub load_average: f32,
    /// When, in seconds since 1970.
    pub started_s: u64,
    /// Whether this was built without optimisation: figures of such a build say nothing.
    pub debug_build: bool,
}

impl Host {
    /// Reads it. What the system does not say is left empty.
    pub fn read() -> Host {
        use procfs::Current;
        let cpus = procfs::CpuInfo::current().ok();
        let model = cpus.as_ref().and_then(|cpus| cpus.model_name(0)).unwrap_or_default().to_owned();
        let memory = procfs::Meminfo::current().map_or(0, |memory| memory.mem_total >> 20);
        let uname = nix::sys::utsname::uname().ok();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Host {
            commit: redpkt::COMMIT.to_owned(),
            kernel: uname.map_or_else(String::new, |name| name.release().to_string_lossy().into_owned()),
            cpu: model,
            cores: redpkt::net::affinity::allowed_cores().len(),
            memory_mib: memory,
            load_average: procfs::LoadAverage::current().map_or(0.0, |load| load.one),
            started_s: now.as_secs(),
            debug_build: cfg!(debug_assertions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_it_is() {
        let host = Host::read();
        assert!(!host.kernel.is_empty() && host.cores > 0 && host.memory_mib > 0, "{host:?}");
    }
}
