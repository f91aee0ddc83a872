//! What the body of a session frame is made of, as the files name it.

use crate::{Hex, Wide};
use redpkt_proto::body::*;
use redpkt_proto::{Frame, Header};
use serde::Deserialize;
use std::net::IpAddr;

/// The fields of a body. Told apart by their names: an answer has a status, a request none.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Fields {
    Keepalive { token: Wide, server_wall_ms: Wide },
    PathProof { cookie: Hex<12> },
    Request { req: Wide, attempt: u8, packet: Wide, user: Wide },
    Answer { req: Wide, attempt: u8, status: u8, retry_after_ms: u32, packet: Wide, fen: Wide },
    Entry { req: Wide, attempt: u8, status: u8, kind: u8, when_s: u32, packet: Wide, fen: Wide },
    Invite { packet: Wide, from: Wide, expiry_s: u32, shares: u16, total_fen: Wide },
    InviteOk { packet: Wide },
    Relay { req: Wide, attempt: u8, kind: u8, message: String },
    RelayAnswer { req: Wide, attempt: u8, status: u8, kind: u8, message: String },
    Redirect { ip: IpAddr, port: u16, retry_after_ms: u32 },
}

impl Fields {
    /// The status, of an answer.
    pub fn status(&self) -> Option<Status> {
        match *self {
            Fields::Answer { status, .. }
            | Fields::Entry { status, .. }
            | Fields::RelayAnswer { status, .. } => Some(Status::from_wire(status).expect("known")),
            _ => None,
        }
    }

    /// The frame before sealing.
    pub fn frame(&self, header: Header) -> Frame {
        match self {
            Fields::Keepalive { token, server_wall_ms } => {
                let (token, server_wall_ms) = (token.0.into(), server_wall_ms.0.into());
                Frame::new(header, &Keepalive { token, server_wall_ms, reserved: [0; 16] })
            }
            Fields::PathProof { cookie: Hex([a, b, c, d, mac @ ..]) } => {
                let cookie = CookieBytes { made: u32::from_le_bytes([*a, *b, *c, *d]).into(), mac: *mac };
                Frame::new(header, &PathProof { cookie, reserved: [0; 20] })
            }
            Fields::Request { req, attempt, packet, user } => {
                let request = Request::new(req.0, *attempt);
                Frame::new(header, &Request { packet: packet.0.into(), user: user.0.into(), ..request })
            }
            Fields::Answer { req, attempt, status, retry_after_ms, packet, fen } => Frame::new(
                header,
                &Answer {
                    req: req.0.into(),
                    attempt: *attempt,
                    status: *status,
                    reserved: [0; 2],
                    retry_after_ms: (*retry_after_ms).into(),
                    packet: packet.0.into(),
                    fen: fen.0.into(),
                },
            ),
            Fields::Entry { req, attempt, status, kind, when_s, packet, fen } => Frame::new(
                header,
                &Entry {
                    req: req.0.into(),
                    attempt: *attempt,
                    status: *status,
                    kind: *kind,
                    reserved: 0,
                    when_s: (*when_s).into(),
                    packet: packet.0.into(),
                    fen: fen.0.into(),
                },
            ),
            Fields::Invite { packet, from, expiry_s, shares, total_fen } => Frame::new(
                header,
                &Invite {
                    packet: packet.0.into(),
                    from: from.0.into(),
                    expiry_s: (*expiry_s).into(),
                    shares: (*shares).into(),
                    reserved: [0; 2],
                    total_fen: total_fen.0.into(),
                },
            ),
            Fields::InviteOk { packet } => {
                Frame::new(header, &InviteOk { packet: packet.0.into(), reserved: [0; 24] })
            }
            Fields::Relay { req, attempt, kind, message } => {
                let (message, length) = padded(message);
                let (req, attempt, kind) = (req.0.into(), *attempt, *kind);
                Frame::new(header, &Relay { req, attempt, reserved: 0, kind, length, message })
            }
            Fields::RelayAnswer { req, attempt, status, kind, message } => {
                let (message, length) = padded(message);
                let (req, attempt, status, kind) = (req.0.into(), *attempt, *status, *kind);
                Frame::new(header, &RelayAnswer { req, attempt, status, kind, length, message })
            }
            Fields::Redirect { ip, port, retry_after_ms } => {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                    IpAddr::V6(ip) => ip.octets(),
                };
                let (port, retry_after_ms) = ((*port).into(), (*retry_after_ms).into());
                let (reserved1, reserved2) = ([0; 2], [0; 8]);
                Frame::new(header, &Redirect { ip, port, reserved1, retry_after_ms, reserved2 })
            }
        }
    }
}

/// A message filled up with zeros, and its length.
fn padded(digits: &str) -> ([u8; 20], u8) {
    let bytes = hex::decode(digits).expect("hex");
    let mut message = [0; 20];
    message[..bytes.len()].copy_from_slice(&bytes);
    (message, bytes.len() as u8)
}
