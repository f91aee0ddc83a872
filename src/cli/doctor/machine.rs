//! The processor, the kernel, and what this process may do.

use super::check::Check;
use crate::net::xdp::kernel_has_af_xdp;
use crate::telemetry::{SEALING_COST_IN_HASHES_MAX, sealing_cost_in_hashes};
use procfs::process::Process;

/// What an AF_XDP engine needs, by number (capabilities(7)) and name.
const CAPABILITIES: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (39, "CAP_BPF")];

/// Whether sealing runs on AES instructions.
pub(super) fn aes() -> Check {
    aes_at(sealing_cost_in_hashes())
}

fn aes_at(cost_in_hashes: f64) -> Check {
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

/// Whether the kernel has AF_XDP.
pub(super) fn kernel() -> Check {
    let what = "kernel: AF_XDP";
    match kernel_has_af_xdp() {
        true => Check::ok(what, "--io xdp can bypass the kernel's stack"),
        false => Check::could_be_better(
            what,
            "the kernel has no AF_XDP sockets: datagrams go through its stack (--io mmsg)",
            "use Linux 5.15 or newer with CONFIG_XDP_SOCKETS and CONFIG_BPF_SYSCALL",
        ),
    }
}

/// Whether a server started like this process may use AF_XDP.
pub(super) fn privileges() -> Check {
    match Process::myself().and_then(|myself| myself.status()) {
        Ok(status) => privileges_of(status.capeff),
        Err(error) => Check::could_be_better(
            "process: AF_XDP",
            format!("what it may do is not known: {error}"),
            "mount -t proc proc /proc",
        ),
    }
}

/// The same of a set of capabilities.
fn privileges_of(effective: u64) -> Check {
    let what = "process: AF_XDP";
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

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn software_sealing_is_broken() {
        assert_eq!(aes_at(1.1).state, State::Ok);
        let slow = aes_at(52.0);
        assert_eq!(slow.state, State::Broken);
        assert!(slow.effect.contains("52 hashes") && !slow.fix.is_empty(), "{slow:?}");
    }

    #[test]
    fn missing_capabilities_are_named() {
        assert_eq!(privileges_of(u64::MAX).state, State::Ok);
        let none = privileges_of(0);
        assert_eq!(none.state, State::CouldBeBetter);
        assert!(none.effect.contains("CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF"), "{none:?}");
        let some = privileges_of(1 << 12 | 1 << 13);
        assert!(some.effect.contains("lacks CAP_BPF:") && some.fix.contains("setcap"), "{some:?}");
    }
}
