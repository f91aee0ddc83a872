//! Who counts what when datagrams pass the kernel's stack by: the interface and its driver count all, the kernel's UDP
//! nothing, and the engine what the kernel would have.

use crate::common::*;
use crate::world::{INTERFACE, content, serve};
use serde_json::Value;

const USERS: u64 = 40;

/// Expect: as many packets at the interface, and by its driver in XDP, as datagrams at our queues and what is no
/// datagram beside (ARP, neighbour discovery); and none by the kernel's UDP.
#[test]
fn the_interface_counts_what_the_kernels_udp_does_not_see() {
    lab(2);
    let keys = Keys::new();
    let server = serve(&keys, &["--xdp-mode", "native"]);
    let before = server.stats();
    content(server.addr(), &keys, 1..=USERS);
    let after = server
        .stats_when("all shakes in the figures", |stats| stats["shake"]["miss"].as_u64() >= Some(5 * USERS));
    let of = |stats: &Value, pointer: &str| {
        let found = stats.pointer(pointer).and_then(Value::as_u64);
        found.unwrap_or_else(|| panic!("{pointer}: {stats}"))
    };
    let grew = |pointer: &str| of(&after, pointer) - of(&before, pointer);
    let interface = &after["machine"]["interfaces"][0];
    assert_eq!((&interface["name"], &interface["serves"]), (&INTERFACE.into(), &true.into()));
    assert_eq!(
        (&interface["driver"], &interface["queues"].as_array().map(Vec::len)),
        (&"veth".into(), &Some(2))
    );
    let datagrams = grew("/datagrams_in");
    let by_driver: u64 =
        (0..2).map(|queue| grew(&format!("/machine/interfaces/0/queues/{queue}/rx_packets"))).sum();
    for packets in [grew("/machine/interfaces/0/rx_packets"), by_driver] {
        assert!((datagrams..=datagrams + 50).contains(&packets), "{packets} for {datagrams}");
    }
    assert_eq!((grew("/machine/udp/in_datagrams"), grew("/machine/udp/out_datagrams")), (0, 0));
}
