//! What kernel, driver and interface offer to an AF_XDP engine. Asking changes nothing.

use super::filter::Mode;
use super::interface::Interface;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read as _};
use std::time::Duration;
use xdp::nic::{NicIndex, XdpAct};

/// What a driver says that it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Programs run in the driver, and may pass frames to AF_XDP sockets.
    pub native: bool,
    /// The NIC can read and write our memory.
    pub zero_copy: bool,
}

impl Offer {
    /// Asks the driver of an interface; `None` where the kernel does not say (before Linux 6.3).
    pub fn of(interface: &Interface) -> Option<Offer> {
        let said = NicIndex::new(interface.index).query_capabilities().ok()?;
        let wanted = XdpAct::Basic as u64 | XdpAct::Redirect as u64;
        let native = said.xdp_features.0 & wanted == wanted;
        Some(Offer { native, zero_copy: native && said.zero_copy.is_available() })
    }
}

/// Whether the kernel has AF_XDP sockets, whoever may open them.
pub fn kernel_has_af_xdp() -> bool {
    let missing = [libc::EAFNOSUPPORT, libc::EPROTONOSUPPORT, libc::EINVAL];
    match Socket::new(Domain::from(libc::AF_XDP), Type::RAW, None) {
        Ok(_) => true,
        Err(error) => !error.raw_os_error().is_some_and(|errno| missing.contains(&errno)),
    }
}

/// An interface as it is used now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkUse {
    /// Bytes of the longest packet.
    pub mtu: u32,
    /// Where an XDP program runs, if one is attached.
    pub program: Option<Mode>,
}

/// Numbers of linux/rtnetlink.h and linux/if_link.h.
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const NLM_F_REQUEST: u16 = 1;
const IFLA_MTU: u16 = 4;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_ATTACHED: u16 = 2;
const ATTACHED_NONE: u8 = 0;
const ATTACHED_GENERIC: u8 = 2;
/// Marks attributes that hold others.
const NLA_TYPE_MASK: u16 = 0x3fff;
/// `struct nlmsghdr` and `struct ifinfomsg`, which come before the attributes.
const HEADER_BYTES: usize = 16;
const LINK_BYTES: usize = 16;

impl LinkUse {
    /// Asks the kernel.
    pub fn of(interface: &Interface) -> io::Result<LinkUse> {
        let domain = Domain::from(libc::AF_NETLINK);
        let mut socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::NETLINK_ROUTE)))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut question = [0; HEADER_BYTES + LINK_BYTES];
        question[..4].copy_from_slice(&((HEADER_BYTES + LINK_BYTES) as u32).to_ne_bytes());
        question[4..6].copy_from_slice(&RTM_GETLINK.to_ne_bytes());
        question[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
        question[HEADER_BYTES + 4..HEADER_BYTES + 8].copy_from_slice(&interface.index.to_ne_bytes());
        socket.send(&question)?;
        let mut answer = [0; 16_384];
        let len = socket.read(&mut answer)?;
        LinkUse::parse(&answer[..len]).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Reads an answer; `None` if it is none.
    fn parse(answer: &[u8]) -> Option<LinkUse> {
        if answer.get(4..6)? != RTM_NEWLINK.to_ne_bytes() {
            return None;
        }
        let mut link = LinkUse::default();
        for (kind, value) in attributes(answer.get(HEADER_BYTES + LINK_BYTES..)?) {
            match kind {
                IFLA_MTU => link.mtu = u32::from_ne_bytes(value.try_into().ok()?),
                IFLA_XDP => {
                    let attached = attributes(value).find(|(kind, _)| *kind == IFLA_XDP_ATTACHED);
                    link.program = match attached.and_then(|(_, value)| value.first().copied()) {
                        None | Some(ATTACHED_NONE) => None,
                        Some(ATTACHED_GENERIC) => Some(Mode::Generic),
                        Some(_) => Some(Mode::Native),
                    };
                }
                _ => {}
            }
        }
        Some(link)
    }
}

/// Attributes one after another: length, kind, value, each begun at a multiple of 4. What is cut off is left out.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (head, _) = bytes.split_first_chunk::<4>()?;
        let len = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]) & NLA_TYPE_MASK;
        let value = bytes.get(4..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [(4 + value.len() as u16).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn answer(attached: u8) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES + LINK_BYTES];
        bytes[4..6].copy_from_slice(&RTM_NEWLINK.to_ne_bytes());
        bytes.extend(attribute(IFLA_MTU, &1_500u32.to_ne_bytes()));
        bytes.extend(attribute(IFLA_XDP | 0x8000, &attribute(IFLA_XDP_ATTACHED, &[attached])));
        bytes
    }

    #[test]
    fn answers_tell_mtu_and_program() {
        for (attached, program) in
            [(0, None), (1, Some(Mode::Native)), (2, Some(Mode::Generic)), (4, Some(Mode::Native))]
        {
            assert_eq!(LinkUse::parse(&answer(attached)), Some(LinkUse { mtu: 1_500, program }));
        }
    }

    /// Expect: an answer that is cut anywhere is no panic.
    #[test]
    fn answers_that_are_cut_are_read_as_far_as_they_go() {
        let whole = answer(1);
        for len in 0..whole.len() {
            let _ = LinkUse::parse(&whole[..len]);
        }
    }

    /// Expect: every interface of this machine can be asked, by anybody.
    #[test]
    fn the_kernel_answers() {
        for interface in Interface::read_all().unwrap() {
            assert!(LinkUse::of(&interface).unwrap().mtu > 0, "{interface:?}");
            let _ = Offer::of(&interface);
        }
    }
}
