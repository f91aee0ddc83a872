//! Opens the sockets of all workers, so that each gets the datagrams of its own users.

use super::locals::{LISTENS_MAX, Locals};
use super::mmsg::{Common, Listen, MmsgEngine};
use super::steering::{self, Steering};
use super::syscall::{Direction, raise_buffer, set_option};
use redpkt_proto::steer::Layout;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// Datagrams in one batch at the most, and by default. A system call costs 100 ns and a datagram 1.7 µs
/// in the kernel's stack, so more gain nothing; what lies in 64 buffers still fits the L2 cache.
pub const BATCH_MAX: usize = 64;

/// How long a full send buffer holds a worker up before the rest of its batch is given up.
pub const SEND_TIMEOUT: Duration = Duration::from_millis(20);

/// Default bytes of a socket's receive buffer. The kernel reserves twice that and charges a small datagram
/// 768 bytes, so about 20,000 of them wait there at most: 40 ms at 500,000 a second.
pub const RECV_BUFFER_BYTES: usize = 8 << 20;

/// Default bytes of a socket's send buffer.
pub const SEND_BUFFER_BYTES: usize = 4 << 20;

/// What to bind.
#[derive(Clone, Copy, Debug)]
pub struct BindOptions<'a> {
    /// The addresses to listen at, 1 to [`LISTENS_MAX`]. Port 0 is any free one.
    pub listen: &'a [SocketAddr],
    /// Who owns which user; says how many workers there are.
    pub layout: Layout,
    /// Whether the kernel shall bring each datagram to its owner.
    pub steering: bool,
    /// Datagrams in one batch, 1 to [`BATCH_MAX`].
    pub batch: usize,
    /// Bytes of each socket's receive buffer, as far as the system allows.
    pub recv_buffer_bytes: usize,
    /// Bytes of each socket's send buffer, as far as the system allows.
    pub send_buffer_bytes: usize,
}

impl<'a> BindOptions<'a> {
    /// These addresses and workers, and the defaults of everything else.
    pub fn new(listen: &'a [SocketAddr], layout: Layout) -> BindOptions<'a> {
        BindOptions {
            listen,
            layout,
            steering: true,
            batch: BATCH_MAX,
            recv_buffer_bytes: RECV_BUFFER_BYTES,
            send_buffer_bytes: SEND_BUFFER_BYTES,
        }
    }
}

/// Why there are no sockets. Each message is one line that names the option and the fix.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there already.
    #[error("--listen {addr}: the port is taken; stop the process that has it, or choose another port")]
    PortTaken {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The port is a privileged one, or a policy forbids it.
    #[error("--listen {addr}: not permitted; choose a port of 1024 or above, or grant CAP_NET_BIND_SERVICE")]
    Permission {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The address is not one of this machine's, or is none to answer from.
    #[error(
        "--listen {addr}: this machine has no such address; use one of its own, or 0.0.0.0 or [::] for all"
    )]
    NoSuchAddress {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The number of addresses is not one that a server can have.
    #[error("--listen: {count} addresses; give 1 to {LISTENS_MAX}")]
    Count {
        /// How many were asked for.
        count: usize,
    },
    /// The number of datagrams in a batch is not one that an engine can have.
    #[error("a batch of {batch} datagrams; 1 to {BATCH_MAX} are allowed")]
    Batch {
        /// How many were asked for.
        batch: usize,
    },
    /// The system refused something else.
    #[error("--listen {addr}: cannot {doing}: {error}")]
    Other {
        /// The address asked for.
        addr: SocketAddr,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// Opens one socket for each worker and listen address, and returns one engine for each worker, in order.
///
/// The first socket of an address binds without SO_REUSEPORT, so a port in use is an error instead of a
/// second server that silently shares it; the others then join it in the order of the workers, which is
/// the order that the steering program's result counts in. So all engines must live until the end:
/// closing a socket renumbers the others.
pub fn bind(options: &BindOptions<'_>) -> Result<Vec<MmsgEngine>, BindError> {
    let count = options.listen.len();
    if !(1..=LISTENS_MAX).contains(&count) {
        return Err(BindError::Count { count });
    }
    if !(1..=BATCH_MAX).contains(&options.batch) {
        return Err(BindError::Batch { batch: options.batch });
    }
    let workers = options.layout.workers as usize;
    let mut by_worker: Vec<Vec<Listen>> = (0..workers).map(|_| Vec::with_capacity(count)).collect();
    let mut steering = match (workers, options.steering) {
        (1, _) => Steering::OneWorker,
        (_, true) => Steering::Attached,
        (_, false) => Steering::Off,
    };
    for &addr in options.listen {
        let group = bind_group(addr, workers, options)?;
        if steering == Steering::Attached
            && let Err(errno) = steering::attach(&group[0].socket, &options.layout)
        {
            steering = Steering::Refused(errno as i32);
        }
        for (listens, listen) in by_worker.iter_mut().zip(group) {
            listens.push(listen);
        }
    }
    let common = Common { locals: Arc::new(Locals::new()), steering, batch: options.batch };
    by_worker
        .into_iter()
        .map(|listens| {
            let addr = listens[0].addr;
            MmsgEngine::new(listens, common.clone()).map_err(|error| BindError::Other {
                addr,
                doing: "make an eventfd",
                error,
            })
        })
        .collect()
}

/// The sockets of all workers at one address.
fn bind_group(
    asked: SocketAddr,
    workers: usize,
    options: &BindOptions<'_>,
) -> Result<Vec<Listen>, BindError> {
    // A mapped IPv4 address is an IPv4 one; our IPv6 sockets are for IPv6 only.
    let mut addr = SocketAddr::new(asked.ip().to_canonical(), asked.port());
    if let (SocketAddr::V6(to), SocketAddr::V6(from)) = (&mut addr, asked) {
        to.set_scope_id(from.scope_id());
    }
    if addr.ip().is_multicast() {
        return Err(BindError::NoSuchAddress { addr });
    }
    let mut group = Vec::with_capacity(workers);
    for worker in 0..workers {
        let other = move |doing| move |error| BindError::Other { addr, doing, error };
        let (socket, recv_buffer_bytes) = open(addr, options).map_err(other("open a UDP socket"))?;
        if worker > 0 {
            socket.set_reuse_port(true).map_err(other("set SO_REUSEPORT"))?;
        }
        socket.bind(&addr.into()).map_err(|error| bind_error(addr, error))?;
        if worker == 0 {
            let bound = socket.local_addr().map_err(other("read the bound address"))?;
            addr.set_port(bound.as_socket().map_or(addr.port(), |bound| bound.port()));
            if workers > 1 {
                socket.set_reuse_port(true).map_err(other("set SO_REUSEPORT"))?;
            }
        }
        group.push(Listen { socket, addr, recv_buffer_bytes });
    }
    Ok(group)
}

/// An unbound socket with everything set that must be set before the first datagram comes.
fn open(addr: SocketAddr, options: &BindOptions<'_>) -> io::Result<(Socket, usize)> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if addr.ip().is_unspecified() {
        let (level, option) = match addr {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        };
        set_option(socket.as_fd(), level, option, 1)?;
    }
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
    // When each datagram came, from which the load is known.
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    // Sending blocks, so that a full buffer is back-pressure and not loss, but never for long.
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    let recv_buffer_bytes = raise_buffer(&socket, Direction::Receive, options.recv_buffer_bytes)?;
    raise_buffer(&socket, Direction::Send, options.send_buffer_bytes)?;
    Ok((socket, recv_buffer_bytes))
}

fn bind_error(addr: SocketAddr, error: io::Error) -> BindError {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => BindError::PortTaken { addr },
        Some(libc::EACCES | libc::EPERM) => BindError::Permission { addr },
        Some(libc::EADDRNOTAVAIL | libc::ENODEV) => BindError::NoSuchAddress { addr },
        _ => BindError::Other { addr, doing: "bind", error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_one_line_that_names_the_option_and_the_fix() {
        let addr: SocketAddr = "127.0.0.1:80".parse().unwrap();
        for (errno, fix) in [
            (libc::EADDRINUSE, "choose another port"),
            (libc::EACCES, "CAP_NET_BIND_SERVICE"),
            (libc::EADDRNOTAVAIL, "use one of its own"),
            (libc::ENOMEM, "cannot bind"),
        ] {
            let line = bind_error(addr, io::Error::from_raw_os_error(errno)).to_string();
            assert!(line.starts_with("--listen 127.0.0.1:80: ") && line.contains(fix), "{line}");
            assert_eq!(line.lines().count(), 1);
        }
    }
}
