//! The 32-byte body of each op, a file for each topic. Reserved bytes are zero when sent and ignored when read.

mod entry;
mod handshake;
mod invite;
mod packet_id;
mod presence;
mod relay;
mod request;
mod send;
mod status;

pub use entry::{Entry, EntryKind};
pub use handshake::{Challenge, CookieBytes, Hello, Join, Refusal, RefusalCode, TicketFields, Welcome};
pub use invite::{Invite, InviteOk};
pub use packet_id::PacketId;
pub use presence::{Keepalive, PathProof};
pub use relay::{Redirect, Relay, RelayAnswer};
pub use request::{Answer, Request};
pub use send::{Send, SendMore};
pub use status::Status;

use crate::limits::BODY_BYTES;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A struct that is exactly the body of some op.
pub trait Body: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned + Copy {}

macro_rules! bodies {
    ($($name:ident),*) => {$(
        impl Body for $name {}
        const _: () = assert!(size_of::<$name>() == BODY_BYTES && align_of::<$name>() == 1);
    )*};
}
bodies!(Hello, Challenge, Join, Welcome, Refusal, Keepalive, PathProof, Request, Answer, Entry);
bodies!(Send, SendMore, Invite, InviteOk, Relay, RelayAnswer, Redirect);
