//! Frames that really come: sent over a veth pair, through the driver, in both modes.

use super::frames::scenarios;
use super::namespace::{NAME, attach, in_a_namespace, index, ip, soon, veth};
use super::program_or_skip;
use crate::net::xdp::filter::{FilterDrops, Mode};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::os::fd::AsRawFd;

/// Sends a whole Ethernet frame out of an interface.
pub(in crate::net::xdp) fn send(socket: &Socket, interface: u32, frame: &[u8]) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: 0,
        sll_ifindex: interface.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: frame and address are live, and their lengths are their own; both are only read.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Expect: in the driver and behind it the program sees each kind of frame as test runs show it: what must
/// be dropped is counted once, what is not ours never.
#[test]
fn frames_through_the_driver_meet_the_same_fate() {
    in_a_namespace(|| {
        if program_or_skip(&scenarios()[0].filter, 1).is_none() {
            return;
        }
        let (Some(interface), Some(other_end)) = (veth(), index("redpkt1")) else { return };
        for end in [NAME, "redpkt1"] {
            ip(&format!("link set {end} up")).expect("an interface of ours goes up");
        }
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0))).unwrap();
        for (scenario, mode) in
            scenarios().iter().flat_map(|scenario| [(scenario, Mode::Native), (scenario, Mode::Generic)])
        {
            let program = program_or_skip(&scenario.filter, 1).unwrap();
            let _link = attach(&program, interface, mode);
            let mut stranger = scenario.frame(63);
            stranger[5] ^= 1;
            let mut version_0 = scenario.frame(64);
            version_0[scenario.udp_at() + 8 + 12] = 0;
            // In this order, so that the last one's count says that all have come.
            for frame in [stranger, scenario.frame(64), scenario.frame(63), version_0] {
                send(&socket, other_end, &frame).unwrap();
            }
            let expected = FilterDrops { length: 1, version: 1, ..FilterDrops::default() };
            assert!(soon(|| program.dropped() == expected), "{mode:?} {scenario:?}: {:?}", program.dropped());
        }
    });
}
