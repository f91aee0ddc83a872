//! How an interface and its card bring datagrams to cores, whatever the engine.

use super::check::Check;
use super::read::{self, listed};
use crate::net::affinity::allowed_cores;
use crate::net::ethtool::{self, Coalescing, ReceiveTimestamps, Rings};
use crate::telemetry::machine;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// An interrupt, and the cores that it comes to.
type Interrupt = (u32, Vec<usize>);

/// All about one interface, for so many workers.
pub(super) fn checks(name: &str, workers: usize, counted: Option<&machine::Interface>) -> Vec<Check> {
    let cores: Vec<usize> = allowed_cores().into_iter().take(workers).collect();
    vec![
        rings(name, ethtool::rings(name)),
        coalescing(name, ethtool::coalescing(name)),
        interrupts(name, read_interrupts(name), &cores),
        rps(name, read_rps(name)),
        timestamps(name, ethtool::receive_timestamps(name)),
        losses(name, counted, ethtool::rings(name).ok()),
    ]
}

fn is_unsupported(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EOPNOTSUPP)
}

/// How much the card can hold while nobody takes it.
fn rings(name: &str, rings: io::Result<Rings>) -> Check {
    let what = format!("{name}: rings");
    match rings {
        Ok(Rings { rx, rx_max, .. }) if rx >= rx_max => {
            Check::ok(what, format!("{rx} network packets each receive ring, the most there is"))
        }
        Ok(Rings { rx, rx_max, .. }) => Check::could_be_better(
            what,
            format!(
                "{rx} network packets each receive ring, of {rx_max}: a burst that is longer is lost in the card"
            ),
            format!("sudo ethtool -G {name} rx {rx_max}"),
        ),
        Err(error) if is_unsupported(&error) => Check::ok(what, "it has none of its own to set"),
        Err(error) => Check::not_known(what, error, format!("ethtool -g {name}")),
    }
}

/// How long the card gathers what arrives: a trade that only the operator can make.
fn coalescing(name: &str, found: io::Result<Coalescing>) -> Check {
    let what = format!("{name}: interrupt delay");
    match found {
        Ok(Coalescing { adapts: true, .. }) => Check::ok(
            what,
            format!(
                "set by the driver, by the load; for latency: ethtool -C {name} adaptive-rx off rx-usecs 0"
            ),
        ),
        Ok(Coalescing { rx_us: 0, .. }) => {
            Check::ok(what, "none: good for latency, dear in CPU time at high rates")
        }
        Ok(Coalescing { rx_us, .. }) => Check::ok(
            what,
            format!(
                "{rx_us} µs are added to a lone request, and CPU time is spared; for latency: ethtool -C {name} rx-usecs 0"
            ),
        ),
        Err(error) if is_unsupported(&error) => Check::ok(what, "the driver has nothing to set"),
        Err(error) => Check::not_known(what, error, format!("ethtool -c {name}")),
    }
}

/// The interrupts of an interface that have come at least once and are about receiving.
fn read_interrupts(name: &str) -> Result<Vec<Interrupt>, String> {
    let interface = Path::new("/sys/class/net").join(name);
    if !interface.exists() {
        return Err(format!("{}: not there; /sys is of another network namespace", interface.display()));
    }
    // Interfaces that are made by software have no device.
    let Ok(device) = interface.join("device").canonicalize() else { return Ok(Vec::new()) };
    // A virtio interface is a part of the device that has the interrupts.
    let of = |device: &Path| std::fs::read_dir(device.join("msi_irqs")).ok();
    let Some(listed) = of(&device).or_else(|| of(device.parent()?)) else { return Ok(Vec::new()) };
    let numbers: BTreeSet<u32> =
        listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let text = read::text("/proc/interrupts")?;
    let came = text.lines().filter_map(came_for_receiving).filter(|number| numbers.contains(number));
    let placed = came.map(|number| {
        let directory = PathBuf::from(format!("/proc/irq/{number}"));
        let effective = read::cores(directory.join("effective_affinity_list"));
        let cores = effective.or_else(|_| read::cores(directory.join("smp_affinity_list")))?;
        Ok((number, cores))
    });
    placed.collect()
}

/// The number of an interrupt by its line in `/proc/interrupts`, if it has come and is not for sending or settings.
fn came_for_receiving(line: &str) -> Option<u32> {
    let (number, rest) = line.split_once(':')?;
    let counts = rest.split_whitespace().map_while(|word| word.parse::<u64>().ok());
    let is_other = ["output", "config", "async"].iter().any(|other| rest.contains(other));
    (counts.sum::<u64>() > 0 && !is_other).then(|| number.trim().parse().ok())?
}

/// Whether the interrupts come to as many cores as they can.
fn interrupts(name: &str, found: Result<Vec<Interrupt>, String>, cores: &[usize]) -> Check {
    let what = format!("{name}: interrupts");
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            return Check::not_known(what, why, "grep . /proc/irq/*/smp_affinity_list  # on the host");
        }
    };
    if found.is_empty() {
        return Check::ok(what, "it has no interrupts of its own, or none has come");
    }
    let used: BTreeSet<usize> = found.iter().flat_map(|(_, cores)| cores.iter().copied()).collect();
    let used: Vec<usize> = used.into_iter().collect();
    let wanted = found.len().min(cores.len());
    if used.len() >= wanted {
        return Check::ok(what, format!("{} for receiving, on cores {}", found.len(), listed(&used)));
    }
    let commands = found
        .iter()
        .zip(cores.iter().cycle())
        .map(|((number, _), core)| format!("echo {core} | sudo tee /proc/irq/{number}/smp_affinity_list"));
    Check::could_be_better(
        what,
        format!("{} for receiving come to cores {} only, of {wanted} they could", found.len(), listed(&used)),
        commands.collect::<Vec<_>>().join("; "),
    )
}

/// The masks of all receive queues.
fn read_rps(name: &str) -> Result<Vec<String>, String> {
    let queues = PathBuf::from(format!("/sys/class/net/{name}/queues"));
    let entries = std::fs::read_dir(&queues).map_err(|error| format!("{}: {error}", queues.display()))?;
    let receive = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("rx-"));
    receive.map(|entry| read::text(entry.path().join("rps_cpus"))).collect()
}

/// Whether the kernel moves what arrives to other cores by itself.
fn rps(name: &str, masks: Result<Vec<String>, String>) -> Check {
    let what = format!("{name}: RPS");
    let is_set = |mask: &String| mask.chars().any(|digit| !matches!(digit, '0' | ','));
    match masks {
        Ok(masks) if masks.iter().any(is_set) => Check::could_be_better(
            what,
            "on: the kernel moves what arrives to another core before it looks at it, which halved the rate where that core was not idle",
            format!("echo 0 | sudo tee /sys/class/net/{name}/queues/rx-*/rps_cpus"),
        ),
        Ok(_) => Check::ok(what, "off: what arrives is handled on the core that its interrupt came to"),
        Err(why) => Check::not_known(what, why, format!("grep . /sys/class/net/{name}/queues/rx-*/rps_cpus")),
    }
}

/// Whether the card stamps what it receives. Nothing of redpkt's needs it.
fn timestamps(name: &str, found: io::Result<ReceiveTimestamps>) -> Check {
    let what = format!("{name}: timestamps");
    let software = "the kernel's time of receipt is used, which is some µs later than the wire's";
    match found {
        Ok(ReceiveTimestamps::All) => Check::ok(what, format!("the card could stamp everything; {software}")),
        Ok(ReceiveTimestamps::Some) => {
            Check::ok(what, format!("the card stamps time protocols; for all else {software}"))
        }
        Ok(ReceiveTimestamps::None) => Check::ok(what, format!("the card has none; {software}")),
        Err(error) if is_unsupported(&error) => Check::ok(what, format!("the driver has none; {software}")),
        Err(error) => Check::not_known(what, error, format!("ethtool -T {name}")),
    }
}

/// What the interface has lost so far.
fn losses(name: &str, counted: Option<&machine::Interface>, rings: Option<Rings>) -> Check {
    let what = format!("{name}: losses");
    let show = format!("ethtool -S {name} | grep -iE 'drop|miss|err|no_buf'");
    let Some(counted) = counted else { return Check::not_known(what, "not in /proc/net/dev", show) };
    let longer = rings.filter(|rings| rings.rx < rings.rx_max);
    let for_missed = longer.map_or_else(
        || format!("{show}  # and interrupts on more cores"),
        |rings| format!("sudo ethtool -G {name} rx {}", rings.rx_max),
    );
    let lost = [
        (counted.rx_missed, "the card had no room for", for_missed),
        (counted.rx_dropped, "the driver or the kernel dropped", show.clone()),
        (counted.rx_errors, "came damaged", format!("{show}  # and the cable")),
        (counted.tx_dropped, "were not sent for want of room", show.clone()),
        (counted.tx_errors, "were not sent for errors", show),
    ];
    let lost: Vec<_> = lost.into_iter().filter(|(count, ..)| *count > 0).collect();
    let received = counted.rx_packets;
    match lost.first() {
        None => Check::ok(what, format!("none so far, {received} network packets received")),
        Some((.., fix)) => {
            let words = lost.iter().map(|(count, why, _)| format!("{count} {why}")).collect::<Vec<_>>();
            Check::could_be_better(
                what,
                format!("so far, beside {received} network packets received: {}", words.join(", ")),
                fix,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn refused(errno: i32) -> io::Error {
        io::Error::from_raw_os_error(errno)
    }

    #[test]
    fn rings_should_be_as_long_as_they_can() {
        let of = |rx| rings("eth0", Ok(Rings { rx, rx_max: 4_096, tx: 1, tx_max: 1 }));
        assert_eq!(of(4_096).state, State::Ok);
        assert_eq!(of(512).fix, "sudo ethtool -G eth0 rx 4096");
        assert_eq!(rings("veth", Err(refused(libc::EOPNOTSUPP))).state, State::Ok);
        assert!(rings("eth0", Err(refused(libc::EPERM))).effect.contains("not known"));
    }

    #[test]
    fn interrupts_should_come_to_all_workers() {
        let of = |found: &[(u32, &[usize])]| {
            let found = found.iter().map(|(number, cores)| (*number, cores.to_vec())).collect();
            interrupts("eth0", Ok(found), &[0, 1])
        };
        assert!(of(&[]).effect.contains("no interrupts of its own"));
        assert_eq!(of(&[(38, &[1])]).state, State::Ok);
        assert_eq!(of(&[(38, &[0]), (39, &[1]), (40, &[1])]).state, State::Ok);
        let one = of(&[(38, &[1]), (39, &[1])]);
        let fix = "echo 0 | sudo tee /proc/irq/38/smp_affinity_list; echo 1 | sudo tee /proc/irq/39/smp_affinity_list";
        assert_eq!((one.state, &*one.fix), (State::CouldBeBetter, fix));
        assert!(interrupts("x", Err("/sys".into()), &[0]).effect.contains("not known"));
    }

    #[test]
    fn interrupts_for_receiving_are_told_by_their_names() {
        let line = " 38:          0      18572 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0";
        assert_eq!(came_for_receiving(line), Some(38));
        assert_eq!(came_for_receiving(&line.replace("input", "output")), None);
        assert_eq!(came_for_receiving(&line.replace("18572", "0")), None);
        assert_eq!(came_for_receiving("           CPU0       CPU1"), None);
        assert_eq!(came_for_receiving("NMI:          4          0   Non-maskable interrupts"), None);
    }

    #[test]
    fn what_moves_or_delays_packets_is_told() {
        let of = |masks: &[&str]| rps("eth0", Ok(masks.iter().map(|mask| (*mask).to_owned()).collect()));
        assert_eq!(of(&["0", "00000000,00000000"]).state, State::Ok);
        assert!(of(&["0", "2"]).fix.contains("eth0/queues/rx-*/rps_cpus"));
        assert!(rps("eth0", Err("x".into())).effect.contains("not known"));
        let delay = |rx_us, adapts| coalescing("eth0", Ok(Coalescing { rx_us, adapts })).effect;
        assert!(delay(0, false).starts_with("none") && delay(8, false).starts_with("8 µs"));
        assert!(delay(8, true).starts_with("set by the driver"));
        assert_eq!(coalescing("eth0", Err(refused(libc::EOPNOTSUPP))).state, State::Ok);
        for stamps in [ReceiveTimestamps::None, ReceiveTimestamps::Some, ReceiveTimestamps::All] {
            assert_eq!(timestamps("eth0", Ok(stamps)).state, State::Ok);
        }
    }

    #[test]
    fn losses_are_told_by_place() {
        let none = machine::Interface { rx_packets: 5, ..machine::Interface::default() };
        assert_eq!(losses("eth0", Some(&none), None).state, State::Ok);
        let some = machine::Interface { rx_missed: 3, tx_dropped: 1, ..none };
        let of = |rx| losses("eth0", Some(&some), Some(Rings { rx, rx_max: 4_096, tx: 1, tx_max: 1 }));
        assert!(of(512).effect.contains("3 the card had no room for, 1 were not sent"), "{:?}", of(512));
        assert_eq!(of(512).fix, "sudo ethtool -G eth0 rx 4096");
        assert!(of(4_096).fix.starts_with("ethtool -S eth0"), "{:?}", of(4_096));
        assert!(losses("eth0", None, None).effect.contains("not known"));
    }
}
