//! What the kernel and the drivers count on this machine, or in the network namespace that this process is in: the
//! other side of every figure that we count ourselves.
//!
//! | file | what |
//! |---|---|
//! | `interface` | packets of the network interfaces, by `/proc/net/dev` and by the driver (`ethtool -S`) |
//! | `names` | what drivers call their statistics, mapped to common names |
//! | `udp` | the UDP counters, of both families |
//! | `softnet` | what stands between the driver and the protocols |

mod interface;
mod names;
mod softnet;
mod udp;

pub use interface::{Interface, Queue};
pub use softnet::Softnet;
pub use udp::Udp;

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The machine's counters at one moment. Totals since its start, or since a driver's reset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The network interfaces, by name.
    pub interfaces: Vec<Interface>,
    /// UDP, both families together; `None` where the kernel does not say.
    pub udp: Option<Udp>,
    /// The queues between drivers and protocols, of all processors and namespaces; `None` where the kernel does not
    /// say.
    pub softnet: Option<Softnet>,
}

impl Machine {
    /// Reads all. An interface serves if one of `listen` is its address, or any address of this machine.
    pub fn read(listen: &[SocketAddr]) -> Machine {
        let is_served =
            |own: &IpAddr| listen.iter().any(|addr| addr.ip() == *own || addr.ip().is_unspecified());
        let serves = |addresses: &[IpAddr]| addresses.iter().any(is_served);
        Machine { interfaces: interface::read(serves), udp: Udp::read(), softnet: Softnet::read() }
    }
}
