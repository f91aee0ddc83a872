//! Losses by place, each counted once.

use super::*;
use std::collections::BTreeMap;

const TOP: u64 = 1 << 32;

fn machine(in_errors: u64, softnet_dropped: u64, rx_missed: u64) -> Machine {
    let interface = Interface {
        name: "eth0".into(),
        serves: true,
        rx_missed,
        rx_packets: rx_missed,
        ..Interface::default()
    };
    let other = Interface { name: "eth1".into(), rx_missed: 999 * rx_missed, ..Interface::default() };
    Machine {
        namespace: None,
        interfaces: vec![interface, other],
        udp: Some(Udp {
            in_errors,
            rcvbuf_errors: in_errors,
            in_datagrams: 10 * in_errors,
            ..Udp::default()
        }),
        softnet: Some(Softnet { dropped: softnet_dropped, ..Softnet::default() }),
    }
}

fn sample(second: u64, engine: &str, drops: &[(&str, u64)], machine: Machine) -> Sample {
    let drops: BTreeMap<String, u64> = drops.iter().map(|(name, count)| ((*name).into(), *count)).collect();
    let io = IoReading { engine: engine.into() };
    let datagrams_in = 700 * second;
    at(
        second,
        vec![of_server(
            "http://a:1",
            ServerReading { drops, machine, io, datagrams_in, ..server(9.0 + second as f64, 0) },
        )],
    )
}

/// Expect: what the filter at our sockets drops is ours, what the socket's buffer has lost is the socket's, and neither
/// is counted twice; an interface that does not serve is left out.
#[test]
fn each_loss_has_one_place() {
    let mut series = Series::new();
    series.push(&sample(0, "mmsg", &[], machine(100, 5, 40)));
    let drops = [("shed_in_kernel", 30), ("tag", 4), ("rxq_overflow", 20)];
    let second = series.push(&sample(1, "mmsg", &drops, machine(150, 8, 47))).unwrap();
    let losses = Losses::of(&second.counts);
    assert_eq!(losses, Losses { nic: 7.0, softnet: 3.0, socket: 20.0, us: 34.0 });
    assert_eq!(
        second.drops,
        [("rxq_overflow".into(), 20), ("shed_in_kernel".into(), 30), ("tag".into(), 4)].into()
    );
    assert_eq!((second.counts[Count::UdpIn], second.counts[Count::InterfaceIn]), (500.0, 7.0));
    assert_eq!(second.interfaces, ["eth0"]);
}

/// Expect: softnet's wrap and a driver's reset are no flood of losses.
#[test]
fn counters_that_wrap_or_begin_anew_are_no_losses() {
    let mut series = Series::new();
    series.push(&sample(0, "mmsg", &[], machine(0, 2 * TOP - 1, TOP - 2)));
    let second = series.push(&sample(1, "mmsg", &[], machine(0, TOP + 1, 1))).unwrap();
    let losses = Losses::of(&second.counts);
    assert_eq!((losses.softnet, losses.nic), (2.0, 3.0));
    let second = series.push(&sample(2, "mmsg", &[], machine(0, TOP + 1, 0))).unwrap();
    assert_eq!(Losses::of(&second.counts).nic, 0.0);
}

/// Expect: over AF_XDP the engine's datagrams stand where the kernel's do not count, and what the program sheds is not
/// taken off the socket's losses.
#[test]
fn with_af_xdp_the_engine_counts() {
    let mut series = Series::new();
    series.push(&sample(0, "xdp", &[], machine(0, 0, 0)));
    let second = series.push(&sample(1, "xdp", &[("shed_in_kernel", 50)], machine(6, 0, 0))).unwrap();
    assert!(second.is_xdp);
    assert_eq!((second.counts[Count::UdpIn], second.counts[Count::LostSocket]), (700.0, 6.0));
}

/// Expect: two servers of one machine tell the same of it, and it counts once.
#[test]
fn a_machine_counts_once() {
    let both = |second: u64, errors: u64| {
        let mut one = sample(second, "mmsg", &[], machine(errors, 0, errors));
        let mut other = one.sources[0].clone();
        other.url = "http://a:2".into();
        one.sources.push(other);
        one
    };
    let mut series = Series::new();
    series.push(&both(0, 0));
    let second = series.push(&both(1, 5)).unwrap();
    assert_eq!((second.counts[Count::LostSocket], second.counts[Count::LostNic]), (5.0, 5.0));
}

/// Expect: the interface that was named takes the place of the machine's own.
#[test]
fn an_interface_that_was_named_is_the_one_that_counts() {
    let own = |rx_packets| Some(Interface { name: "br0".into(), rx_packets, ..Interface::default() });
    let mut series = Series::new();
    series.push(&Sample { interface: own(1_000), ..sample(0, "mmsg", &[], machine(0, 0, 0)) });
    let with = Sample { interface: own(1_060), ..sample(1, "mmsg", &[], machine(0, 0, 9)) };
    let second = series.push(&with).unwrap();
    assert_eq!((second.per_s[Count::InterfaceIn], second.counts[Count::LostNic]), (60.0, 0.0));
    assert_eq!(second.interfaces, ["br0"]);
    // It goes, and comes back as another one: what it counts since then.
    series.push(&sample(2, "mmsg", &[], machine(0, 0, 9)));
    let back = Sample { interface: own(5), ..sample(3, "mmsg", &[], machine(0, 0, 9)) };
    assert_eq!(series.push(&back).unwrap().counts[Count::InterfaceIn], 5.0);
}
