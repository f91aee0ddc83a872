//! What sockets get, and what the kernel has lost so far.

use super::check::Check;
use super::read;
use crate::net::bind::{RECV_BUFFER_BYTES, SEND_BUFFER_BYTES};
use crate::net::probe::{Buffer, buffers};
use crate::telemetry::machine::{Softnet, Udp};

/// All about sockets, for so many workers.
pub(super) fn checks(workers: usize) -> Vec<Check> {
    let got = buffers().map_err(|error| error.to_string());
    vec![
        buffer("receive", "rmem_max", got.clone().map(|got| got[0])),
        buffer("send", "wmem_max", got.map(|got| got[1])),
        memory(read::text("/proc/sys/net/ipv4/udp_mem"), workers as u64),
        backlog(Softnet::read(), read::number("/proc/sys/net/core/netdev_max_backlog").ok()),
        losses(Udp::read()),
    ]
}

/// What a buffer is asked for, and what it would get.
fn buffer(which: &str, limit: &str, got: Result<Buffer, String>) -> Check {
    let what = format!("sockets: {which} buffer");
    match got {
        Ok(Buffer { asked_bytes, got_bytes }) if got_bytes >= asked_bytes => {
            Check::ok(what, format!("{} KiB for each worker, as asked for", got_bytes >> 10))
        }
        Ok(Buffer { asked_bytes, got_bytes }) => Check::could_be_better(
            what,
            format!(
                "{} KiB for each worker, {} KiB are asked for: what comes while a worker is away is lost sooner",
                got_bytes >> 10,
                asked_bytes >> 10
            ),
            format!("sudo sysctl -w net.core.{limit}={asked_bytes}  # or grant CAP_NET_ADMIN"),
        ),
        Err(why) => Check::not_known(what, why, format!("sysctl net.core.{limit}")),
    }
}

/// What all UDP sockets together may have, against the buffers of all workers. The kernel reserves twice what a buffer
/// is asked for.
fn memory(udp_mem: Result<String, String>, workers: u64) -> Check {
    let what = "sockets: memory";
    let pages = udp_mem.and_then(|text| {
        let numbers: Vec<u64> = text.split_whitespace().filter_map(|each| each.parse().ok()).collect();
        <[u64; 3]>::try_from(numbers).map_err(|_| format!("{text:?} is not three numbers"))
    });
    let page_bytes = procfs::page_size();
    let needed_bytes = workers * 2 * (RECV_BUFFER_BYTES + SEND_BUFFER_BYTES) as u64;
    match pages {
        Ok([.., max]) if max * page_bytes >= needed_bytes => Check::ok(
            what,
            format!(
                "{} MiB for all UDP sockets: the buffers of {workers} workers take up to {} MiB",
                (max * page_bytes) >> 20,
                needed_bytes >> 20
            ),
        ),
        Ok([min, pressure, max]) => {
            let needed_pages = needed_bytes.div_ceil(page_bytes);
            Check::could_be_better(
                what,
                format!(
                    "{} MiB for all UDP sockets: the buffers of {workers} workers take up to {} MiB, and what is above is lost",
                    (max * page_bytes) >> 20,
                    needed_bytes >> 20
                ),
                format!(
                    "sudo sysctl -w net.ipv4.udp_mem='{min} {} {needed_pages}'",
                    pressure.max(needed_pages * 3 / 4)
                ),
            )
        }
        Err(why) => Check::not_known(what, why, "sysctl net.ipv4.udp_mem  # on the host"),
    }
}

/// What stands between drivers and protocols, and what it has lost.
fn backlog(softnet: Option<Softnet>, length: Option<u64>) -> Check {
    let what = "sockets: backlog";
    let Some(Softnet { dropped, squeezed, processed }) = softnet else {
        return Check::not_known(what, "no /proc/net/softnet_stat", "cat /proc/net/softnet_stat");
    };
    let length_words = length.map_or_else(String::new, |length| format!(" (netdev_max_backlog {length})"));
    if dropped == 0 {
        return Check::ok(
            what,
            format!(
                "of {processed} network packets since the start none was lost before the protocols{length_words}; a core's turn ended early {squeezed} times (netdev_budget)"
            ),
        );
    }
    Check::could_be_better(
        what,
        format!(
            "{dropped} network packets of {processed} since the start were lost before the protocols: a core's backlog was full{length_words}"
        ),
        match length {
            Some(length) => format!("sudo sysctl -w net.core.netdev_max_backlog={}", 4 * length.max(1_000)),
            None => "sysctl net.core.netdev_max_backlog  # on the host; raise it".to_owned(),
        },
    )
}

/// What UDP has lost since this network namespace was made.
fn losses(udp: Option<Udp>) -> Check {
    let what = "sockets: UDP losses";
    let Some(udp) = udp else {
        return Check::not_known(what, "no /proc/net/snmp", "nstat -az | grep Udp");
    };
    let Udp {
        in_datagrams, no_ports, in_errors, rcvbuf_errors, sndbuf_errors, csum_errors, mem_errors, ..
    } = udp;
    if in_errors + sndbuf_errors == 0 {
        return Check::ok(
            what,
            format!("none of {in_datagrams} datagrams; {no_ports} came to ports that nobody has"),
        );
    }
    let counted = [
        (rcvbuf_errors, "to full receive buffers or dropped by a program there"),
        (mem_errors, "for want of memory (udp_mem)"),
        (csum_errors, "with wrong checksums"),
        (in_errors.saturating_sub(rcvbuf_errors + mem_errors + csum_errors), "for other reasons"),
        (sndbuf_errors, "to full send buffers"),
    ];
    let counted = counted.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}"));
    Check::could_be_better(
        what,
        format!(
            "of {in_datagrams} datagrams, by all programs so far: {}",
            counted.collect::<Vec<_>>().join(", ")
        ),
        "redpkt watch  # whether it is ours and goes on; then more workers, or the receive buffer above",
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn buffers_that_are_cut_are_told_with_the_limit() {
        let of = |got_bytes| buffer("receive", "rmem_max", Ok(Buffer { asked_bytes: 8 << 20, got_bytes }));
        assert_eq!(of(8 << 20).state, State::Ok);
        let cut = of(208 << 10);
        assert!(cut.effect.starts_with("208 KiB for each worker, 8192 KiB"), "{cut:?}");
        assert!(cut.fix.starts_with("sudo sysctl -w net.core.rmem_max=8388608"), "{cut:?}");
        assert!(buffer("send", "wmem_max", Err("x".into())).effect.contains("not known"));
    }

    #[test]
    fn memory_of_all_sockets_is_for_all_workers() {
        let of = |text: &str| memory(Ok(text.to_owned()), 2);
        assert_eq!(of("575802\t767738\t1151604").state, State::Ok);
        let little = of("100 200 300");
        let pages = 2 * 2 * (12 << 20) / procfs::page_size();
        assert!(little.fix.ends_with(&format!("{pages}'")), "{little:?}");
        assert!(of("1 2").effect.contains("not known"));
    }

    #[test]
    fn losses_are_told_by_place() {
        let softnet = |dropped| Some(Softnet { processed: 9, dropped, squeezed: 2 });
        assert_eq!(backlog(softnet(0), Some(1_000)).state, State::Ok);
        assert_eq!(backlog(softnet(3), Some(1_000)).fix, "sudo sysctl -w net.core.netdev_max_backlog=4000");
        assert!(backlog(softnet(3), None).fix.contains("on the host"));
        assert!(backlog(None, Some(1)).effect.contains("not known"));
        assert_eq!(losses(Some(Udp { no_ports: 7, ..Udp::default() })).state, State::Ok);
        let lost = losses(Some(Udp { in_errors: 5, rcvbuf_errors: 3, csum_errors: 1, ..Udp::default() }));
        assert_eq!(lost.state, State::CouldBeBetter);
        assert!(lost.effect.contains("3 to full") && lost.effect.contains("1 for other"), "{lost:?}");
        assert!(losses(None).effect.contains("not known"));
    }
}
