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
    /// Which network namespace of which start of a machine this is of: processes that tell the same see the same
    /// counters. `None` where the kernel does not say.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The network interfaces, by name.
    pub interfaces: Vec<Interface>,
    /// UDP, both families together; `None` where the kernel does not say.
    pub udp: Option<Udp>,
    /// The queues between drivers and protocols, of all processors and namespaces; `None` where the kernel does not
    /// say.
    pub softnet: Option<Softnet>,
}

impl Machine {
    /// Reads all. An interface serves if one of `listen` is its address, or any address of this machine; all of them
    /// but the loopback serve an address that is the loopback's and reached from outside all the same, as service
    /// addresses are that are announced by several ways.
    pub fn read(listen: &[SocketAddr]) -> Machine {
        let listen: Vec<IpAddr> = listen.iter().map(SocketAddr::ip).collect();
        Machine {
            namespace: namespace(),
            interfaces: interface::read(&listen),
            udp: Udp::read(),
            softnet: Softnet::read(),
        }
    }
}

/// The beginning of the boot's id, and the namespace's number: `net:[4026531840]`.
fn namespace() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/thread-self/ns/net").ok()?;
    Some(format!("{} {}", boot.get(..8)?, namespace.display()))
}
