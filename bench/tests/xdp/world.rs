//! A server on the lab's interface, users who are content with it, and what the kernel saw of them.

use crate::common::*;
use redpkt::telemetry::machine::Udp;
use redpkt_proto::client::Config;
use serde_json::Value;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::process::Command;

/// The interface that the server has.
pub const INTERFACE: &str = "redpkt-s";

/// Shakes of each user.
const SHAKES: usize = 5;

/// A server by AF_XDP.
pub fn serve(keys: &Keys, args: &[&str]) -> Server {
    Server::start(keys, &[&["--io", "xdp", "--iface", INTERFACE], args].concat())
}

/// Has users join at this address and shake: everyone is answered, by whom he asked.
pub fn content(server: SocketAddr, keys: &Keys, users: RangeInclusive<u64>) {
    let count = users.end() - users.start() + 1;
    let mut client = Client::new(server, keys, users, 8, Config::default());
    client.join_all();
    client.want_shakes(SHAKES);
    client.finish();
    let tally = &client.tally;
    assert_eq!((tally.joins, tally.shakes()), (count, count * SHAKES as u64), "{tally:?}");
    assert!(tally.refused.is_empty() && tally.unknown.is_empty(), "{tally:?}");
    assert_eq!(client.bad_frames(), 0);
}

/// That datagrams came by AF_XDP in this mode on so many queues, and not one was dropped.
pub fn assert_by_xdp(stats: &Value, mode: &str, queues: u32) {
    let io = &stats["io"];
    assert_eq!((&io["engine"], &io["why"]), (&"xdp".into(), &Value::Null), "{io}");
    let xdp = &io["xdp"];
    assert_eq!((&xdp["interface"], &xdp["driver"]), (&INTERFACE.into(), &"veth".into()), "{xdp}");
    assert_eq!((&xdp["mode"], &xdp["queues"]), (&mode.into(), &queues.into()), "{xdp}");
    // No memory of ours is under a veth.
    assert_eq!(xdp["zero_copy"], false, "{xdp}");
    let drops = stats["drops"].as_object().unwrap();
    assert!(drops.values().all(|count| *count == 0), "{drops:?}");
}

/// Datagrams that came in and went out through the kernel's UDP where the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelUdp {
    pub received: u64,
    pub sent: u64,
}

impl KernelUdp {
    /// Both families', by now.
    pub fn now() -> KernelUdp {
        let udp = at_server(Udp::read).expect("the kernel tells");
        let received = udp.in_datagrams + udp.no_ports + udp.in_errors;
        KernelUdp { received, sent: udp.out_datagrams }
    }
}

/// Has `ip` do something on the calling thread's side.
pub fn ip(args: &str) {
    let output = Command::new("ip").args(args.split(' ')).output().expect("ip");
    assert!(output.status.success(), "ip {args}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Has `ip` do something on the server's side.
pub fn ip_at_server(args: &str) {
    at_server(|| ip(args));
}
