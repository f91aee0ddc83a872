//! The engine over AF_XDP: datagrams straight from the driver's queue to our ring, past the kernel's stack.
//!
//! | file | what |
//! |---|---|
//! | `interface` | what the kernel says of an interface |
//! | `queue` | one receive queue's socket: its frames and four rings |
//! | `headers` | Ethernet, VLAN, IPv4, IPv6 and UDP, read and written |
//! | `error` | why there is no such engine |

// Until the engine uses all of it.
#![allow(dead_code)]

mod error;
mod filter;
mod headers;
mod interface;
mod queue;

pub use error::XdpError;
pub use interface::Interface;
pub use queue::Copying;
