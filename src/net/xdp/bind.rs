//! Opens the queues of an interface for all workers.

use super::engine::{Attached, XdpEngine};
use super::error::XdpError;
use super::filter::{Filter, FilterError, Link, Mode, Program, Take};
use super::interface::Interface;
use super::queue::{Copying, QueueSocket};
use crate::net::{BindError, BindOptions, MmsgEngine, bind};
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long an interface with another program is asked, and how often.
const BUSY_MAX: Duration = Duration::from_millis(300);
const BUSY_AGAIN: Duration = Duration::from_millis(10);

/// Where the program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// Where it was measured best for the driver; the other if that is refused.
    #[default]
    Auto,
    /// In the driver.
    Native,
    /// In the kernel's common receive path.
    Generic,
}

impl FromStr for XdpMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<XdpMode, &'static str> {
        match text {
            "auto" => Ok(XdpMode::Auto),
            "native" => Ok(XdpMode::Native),
            "generic" => Ok(XdpMode::Generic),
            _ => Err("expected auto, native or generic"),
        }
    }
}

/// Which interface, and how.
#[derive(Clone, Debug)]
pub struct XdpOptions {
    /// The interface's name.
    pub interface: String,
    /// The 802.1Q tag that our frames carry; `None` for frames without one.
    pub vlan: Option<u16>,
    /// Where the program runs.
    pub mode: XdpMode,
}

/// What was got.
#[derive(Clone, Debug)]
pub struct XdpGot {
    /// The interface.
    pub interface: Interface,
    /// Where the program runs.
    pub mode: Mode,
    /// How frames pass.
    pub copying: Copying,
    /// The addresses whose datagrams come past the kernel's stack.
    pub taken: Vec<SocketAddr>,
}

/// Why there are no engines.
#[derive(Debug, thiserror::Error)]
pub enum XdpBindError {
    /// The interface cannot be used.
    #[error(transparent)]
    Xdp(#[from] XdpError),
    /// The sockets beside its queues cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Opens UDP sockets as [`bind`] does, and a socket on every receive queue of an interface; queue `q` is worker
/// `q mod workers`'s. All queues are taken: a datagram that the NIC puts into another would go to the kernel.
pub fn bind_xdp(
    options: &BindOptions<'_>,
    xdp: &XdpOptions,
) -> Result<(Vec<XdpEngine>, XdpGot), XdpBindError> {
    let interface = Interface::read(&xdp.interface)?;
    let interface = match xdp.vlan {
        None => interface,
        Some(vlan) => interface.on_vlan(vlan),
    };
    let sockets = bind(options)?;
    let taken = addresses(&interface, sockets[0].listen_addrs())?;
    let filter = Filter { mac: interface.mac, vlan: xdp.vlan, take: Take::To(taken.clone()) };
    let (mode, opened) = open_interface(&interface, xdp.mode, &filter)?;
    let got = XdpGot { mode, copying: opened.queues[0].copying(), taken, interface };
    Ok((engines(opened, sockets, options.batch, xdp.vlan, &got), got))
}

/// Opens all queues of an interface, in the first of the modes that works; the error is the first one's.
pub(super) fn open_interface(
    interface: &Interface,
    asked: XdpMode,
    filter: &Filter,
) -> Result<(Mode, Opened), XdpError> {
    let mut refused = None;
    for &mode in modes(asked, interface) {
        match open(interface, mode, filter) {
            Ok(opened) => return Ok((mode, opened)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.expect("a mode was tried"))
}

/// A program in its place, with a socket for each queue.
pub(super) struct Opened {
    pub(super) link: Link,
    pub(super) program: Program,
    pub(super) queues: Vec<QueueSocket>,
}

fn open(interface: &Interface, mode: Mode, filter: &Filter) -> Result<Opened, XdpError> {
    let program = Program::load(filter, interface.queues)?;
    // A driver's own memory cannot be shared with a program that runs behind the driver.
    let copying = (mode == Mode::Generic).then_some(Copying::Copy);
    // First the place, so that a driver that has none says so before memory is taken.
    let link = attach(&program, interface, mode)?;
    let open = |queue| {
        let socket = QueueSocket::open(interface.index, queue, copying)?;
        program.set_socket(queue, socket.socket_fd())?;
        Ok(socket)
    };
    let queues: Result<Vec<QueueSocket>, XdpError> = (0..interface.queues).map(open).collect();
    Ok(Opened { link, queues: queues?, program })
}

/// Puts the program in its place. A child that is just being made holds its parent's descriptors until it runs
/// its own program, and so an earlier one of ours may still be there for a moment.
fn attach(program: &Program, interface: &Interface, mode: Mode) -> Result<Link, XdpError> {
    let begun = Instant::now();
    loop {
        match program.attach(interface.index, &interface.name, mode) {
            Err(FilterError::Busy { .. }) if begun.elapsed() < BUSY_MAX => sleep(BUSY_AGAIN),
            result => return Ok(result?),
        }
    }
}

fn engines(
    opened: Opened,
    sockets: Vec<MmsgEngine>,
    batch: usize,
    vlan: Option<u16>,
    got: &XdpGot,
) -> Vec<XdpEngine> {
    let Opened { link, program, queues } = opened;
    let attached = Arc::new(Attached { interface: got.interface.clone(), vlan, _link: link, program });
    let workers = sockets.len();
    let mut by_worker: Vec<Vec<QueueSocket>> = (0..workers).map(|_| Vec::new()).collect();
    for (number, queue) in queues.into_iter().enumerate() {
        by_worker[number % workers].push(queue);
    }
    by_worker
        .into_iter()
        .zip(sockets)
        .enumerate()
        .map(|(worker, (queues, sockets))| {
            XdpEngine::new(queues, sockets, Arc::clone(&attached), worker == 0, batch)
        })
        .collect()
}

/// The addresses that the interface has of those listened at; a wildcard is all of its family's.
fn addresses(interface: &Interface, listens: &[SocketAddr]) -> Result<Vec<SocketAddr>, XdpError> {
    let mut taken: Vec<SocketAddr> = Vec::new();
    for listen in listens {
        let own = interface.addresses.iter().filter(|ip| {
            **ip == listen.ip() || listen.ip().is_unspecified() && ip.is_ipv4() == listen.is_ipv4()
        });
        taken.extend(own.map(|ip| SocketAddr::new(*ip, listen.port())));
    }
    if taken.is_empty() {
        let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
        return Err(XdpError::NoAddress { name: interface.name.clone(), addresses: addresses.join(", ") });
    }
    Ok(taken)
}

/// The modes to try, in order. A veth's frames are socket buffers already, so the common path costs less there
/// than the driver's, which copies them into pages first (docs/AF_XDP.md has the figures); a NIC's are not.
fn modes(asked: XdpMode, interface: &Interface) -> &'static [Mode] {
    match asked {
        XdpMode::Native => &[Mode::Native],
        XdpMode::Generic => &[Mode::Generic],
        XdpMode::Auto if interface.driver == "veth" => &[Mode::Generic, Mode::Native],
        XdpMode::Auto => &[Mode::Native, Mode::Generic],
    }
}
