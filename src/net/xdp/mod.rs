//! The engine over AF_XDP: datagrams straight from the driver's queue to our ring, past the kernel's stack.
//!
//! | file | what |
//! |---|---|
//! | `interface` | what the kernel says of an interface |
//! | `queue` | one receive queue's socket: its frames and four rings |
//! | `filter` | the program at the interface that picks our datagrams; `assembler` and `bpf` build and load it |
//! | `headers` | Ethernet, VLAN, IPv4, IPv6 and UDP, read and written |
//! | `engine` | the engine: queues, and sockets for what the kernel keeps |
//! | `bind` | opens the queues for all workers |
//! | `peers` | a load client's peers: many ends behind the queues of one interface |
//! | `offer` | what kernel, driver and interface offer, asked without touching them |
//! | `error` | why there is no such engine |

mod assembler;
mod bind;
mod bpf;
mod engine;
mod error;
mod filter;
mod headers;
mod interface;
mod offer;
mod peers;
mod queue;
#[cfg(test)]
mod tests;

pub use bind::{XdpBindError, XdpGot, XdpMode, XdpOptions, bind_xdp};
pub use engine::XdpEngine;
pub use error::XdpError;
pub use filter::Mode;
pub use interface::Interface;
pub use offer::{LinkUse, Offer, kernel_has_af_xdp};
pub use peers::{PEERS_PER_ADDRESS_MAX, PeersError, PeersOptions, SourceNetwork, XdpPeers};
pub use queue::{Copying, UMEM_BYTES_PER_QUEUE};
