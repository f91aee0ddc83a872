//! What each Ethernet interface offers to `--io xdp`.

use super::check::Check;
use super::server::Answer;
use crate::net::ethtool::{self, ReceiveQueuesMax};
use crate::net::xdp::{Interface, LinkUse, Mode, Offer};

/// The longest packet that fits one page with all that a driver keeps there in native mode, on pages of 4 KiB.
const NATIVE_MTU_MAX: u32 = 3_498;

/// All about one interface, for so many workers.
pub(super) fn checks(interface: &Interface, server: Option<&Answer>, workers: usize) -> Vec<Check> {
    let name = &interface.name;
    let is_servers = server.is_some_and(|server| server.xdp_interface() == Some(name));
    let offer = Offer::of(interface);
    let mut checks = vec![
        queues(interface, workers as u32, ethtool::receive_queues_max(name).ok()),
        native(interface, offer),
        zero_copy(interface, offer),
    ];
    match LinkUse::of(interface) {
        Ok(used) => checks.extend([program(name, used.program, is_servers), mtu(name, used.mtu)]),
        Err(error) => {
            checks.push(Check::not_known(
                format!("{name}: XDP program"),
                error,
                format!("ip link show dev {name}"),
            ));
        }
    }
    checks
}

/// Receive queues against workers: a queue for each, if the card has so many.
fn queues(interface: &Interface, workers: u32, most: Option<ReceiveQueuesMax>) -> Check {
    let Interface { name, queues, .. } = interface;
    let what = format!("{name}: queues");
    let count = format!("receive queues: {queues} for {workers} workers");
    if *queues == workers {
        return Check::ok(what, format!("{count}: one for each"));
    }
    let effect = match *queues < workers {
        true => "workers without one get their datagrams through the kernel or from the others",
        false => "a worker takes turns between several",
    };
    let fix = match most {
        // It has all that it can have.
        Some(ReceiveQueuesMax { count, .. }) if *queues < workers && count <= *queues => {
            format!(
                "use a card with {workers} queues, this one has {count}; or redpkt serve --workers {count}"
            )
        }
        Some(ReceiveQueuesMax { count, are_combined }) => {
            let kind = if are_combined { "combined" } else { "rx" };
            format!("ethtool -L {name} {kind} {}", workers.min(count))
        }
        None => format!("ethtool -L {name} combined {workers}"),
    };
    Check::could_be_better(what, format!("{count}: {effect}"), fix)
}

fn native(interface: &Interface, offer: Option<Offer>) -> Check {
    let (what, driver) = (format!("{}: native XDP", interface.name), driver(interface));
    match offer {
        Some(Offer { native: true, .. }) => Check::ok(what, format!("{driver} runs XDP programs itself")),
        Some(_) => Check::could_be_better(
            what,
            format!("{driver} runs no XDP programs as it is set up: generic mode, behind the driver, works"),
            format!("redpkt serve --io xdp --iface {} --xdp-mode generic", interface.name),
        ),
        None => not_said(what, "redpkt serve --io xdp --xdp-mode native, which says so if it is refused"),
    }
}

fn zero_copy(interface: &Interface, offer: Option<Offer>) -> Check {
    let (what, driver) = (format!("{}: zero-copy", interface.name), driver(interface));
    match offer {
        Some(Offer { zero_copy: true, .. }) => {
            Check::ok(what, format!("{driver} lets the NIC write into the server's memory"))
        }
        Some(_) => Check::could_be_better(
            what,
            format!("{driver} has none: the kernel copies each frame once"),
            "use a NIC whose driver has it, such as ice, i40e, ixgbe, igc or mlx5_core",
        ),
        None => not_said(what, "redpkt serve --io xdp, whose figures tell what was got"),
    }
}

fn not_said(what: String, fix: &str) -> Check {
    Check::could_be_better(what, "not known: the kernel does not say (Linux 6.3 and newer do)", fix)
}

/// A program that is attached already, and whether it is that of the server that was asked.
fn program(name: &str, attached: Option<Mode>, is_servers: bool) -> Check {
    let what = format!("{name}: XDP program");
    let mode = match attached {
        None => return Check::ok(what, "none is attached: the place is free"),
        Some(Mode::Native) => "native",
        Some(Mode::Generic) => "generic",
    };
    match is_servers {
        true => Check::ok(what, format!("the running server's, in {mode} mode")),
        false => Check::could_be_better(
            what,
            format!("another one is attached in {mode} mode and is never replaced: --io xdp is refused here"),
            format!("ip link show dev {name}  # shows it; end its owner, or: ip link set dev {name} xdp off"),
        ),
    }
}

fn mtu(name: &str, mtu: u32) -> Check {
    let what = format!("{name}: MTU");
    if mtu <= NATIVE_MTU_MAX {
        return Check::ok(what, format!("{mtu} bytes: a frame fits a page, as native mode needs"));
    }
    Check::could_be_better(
        what,
        format!("{mtu} bytes: a frame does not fit a page, so most drivers refuse native mode"),
        format!("ip link set dev {name} mtu 1500"),
    )
}

fn driver(interface: &Interface) -> String {
    match interface.driver.as_str() {
        "" => "the driver".to_owned(),
        driver => format!("driver {driver}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn interface(queues: u32) -> Interface {
        Interface {
            name: "eth0".into(),
            index: 2,
            scope: 2,
            mac: [2; 6],
            addresses: Vec::new(),
            driver: "ice".into(),
            queues,
        }
    }

    #[test]
    fn queues_should_be_as_many_as_workers() {
        assert_eq!(queues(&interface(8), 8, None).state, State::Ok);
        for count in [2, 16] {
            let check = queues(&interface(count), 8, None);
            assert_eq!(
                (check.state, check.fix.as_str()),
                (State::CouldBeBetter, "ethtool -L eth0 combined 8")
            );
        }
    }

    #[test]
    fn queues_that_a_card_has_not_are_not_asked_of_it() {
        let most = |count, are_combined| Some(ReceiveQueuesMax { count, are_combined });
        assert!(queues(&interface(1), 2, most(1, true)).fix.contains("--workers 1"));
        assert_eq!(queues(&interface(2), 8, most(4, true)).fix, "ethtool -L eth0 combined 4");
        assert_eq!(queues(&interface(2), 8, most(4, false)).fix, "ethtool -L eth0 rx 4");
    }

    #[test]
    fn offers_are_told_as_the_kernel_says_them() {
        let states = |offer| {
            let interface = interface(1);
            [native(&interface, offer).state, zero_copy(&interface, offer).state]
        };
        let offer = |native, zero_copy| Some(Offer { native, zero_copy });
        assert_eq!(states(offer(true, true)), [State::Ok, State::Ok]);
        assert_eq!(states(offer(true, false)), [State::Ok, State::CouldBeBetter]);
        assert_eq!(states(offer(false, false)), [State::CouldBeBetter; 2]);
        assert!(native(&interface(1), None).effect.contains("6.3"));
    }

    #[test]
    fn a_program_is_in_the_way_unless_it_is_the_servers() {
        assert_eq!(program("eth0", None, false).state, State::Ok);
        assert_eq!(program("eth0", Some(Mode::Native), true).state, State::Ok);
        let other = program("eth0", Some(Mode::Generic), false);
        assert_eq!(other.state, State::CouldBeBetter);
        assert!(other.fix.contains("ip link show dev eth0"), "{other:?}");
    }

    #[test]
    fn jumbo_frames_are_told() {
        assert_eq!(mtu("eth0", 1_500).state, State::Ok);
        let jumbo = mtu("eth0", 9_000);
        assert_eq!(
            (jumbo.state, jumbo.fix.as_str()),
            (State::CouldBeBetter, "ip link set dev eth0 mtu 1500")
        );
    }
}
