//! A frame as a line of text.

use crate::datagram::Headers;
use crate::fields::{self, Value};
use crate::follow::{NotRedpkt, Opening, Place, Seen};
use redpkt_proto::{Direction, Op};
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

fn time(out: &mut impl Write, time_ns: u64, first_ns: u64, absolute: bool) -> io::Result<()> {
    if absolute {
        let time = UNIX_EPOCH + Duration::from_nanos(time_ns);
        return write!(out, "{}", humantime::format_rfc3339_micros(time));
    }
    // A record may be earlier than the first one.
    let sign = if time_ns < first_ns { "-" } else { "" };
    let us = time_ns.abs_diff(first_ns) / 1_000;
    write!(out, "{:>12}", format!("{sign}{}.{:06}", us / 1_000_000, us % 1_000_000))
}

/// One frame.
pub fn frame(out: &mut impl Write, seen: &Seen<'_>, first_ns: u64, absolute: bool) -> io::Result<()> {
    time(out, seen.datagram.time_ns, first_ns, absolute)?;
    let header = &seen.frame.header;
    let arrow = if seen.direction == Direction::ToServer { "→" } else { "←" };
    write!(out, " {arrow} {:<8} {:<9}", header.user.get(), fields::op_name(seen.op))?;
    if header.seq.get() > 0 {
        write!(out, " seq {}", header.seq.get())?;
    }
    if seen.direction == Direction::ToClient && header.load_level > 0 {
        write!(out, " load_level {}", header.load_level)?;
    }
    if header.flags > 0 {
        write!(out, " flags {:#04x}", header.flags)?;
    }
    if seen.opening == Opening::Opened || is_clear(seen.op) {
        body(out, seen)?;
    }
    annotations(out, seen)?;
    writeln!(out)
}

/// Whether an op's body is never sealed.
pub fn is_clear(op: Op) -> bool {
    op.is_handshake() || matches!(op, Op::Stale | Op::Error)
}

fn body(out: &mut impl Write, seen: &Seen<'_>) -> io::Result<()> {
    let mut result = Ok(());
    if seen.op == Op::Send && seen.direction == Direction::ToServer {
        write!(out, " attempt {}", seen.frame.header.load_level)?;
    }
    fields::body(seen.frame, seen.op, seen.direction, &mut |name, value| {
        // What is zero says nothing, but for attempts, which are counted from there.
        if result.is_err() || value.is_zero() && name != "attempt" {
            return;
        }
        result = match (name, value) {
            ("req", Value::Number(req)) => write!(out, " req {}:{}", req >> 32, req as u32),
            ("counter", Value::Number(counter)) => write!(out, " req {}:{counter}", seen.session_number),
            _ => write!(out, " {name} {value}"),
        };
    });
    result
}

fn annotations(out: &mut impl Write, seen: &Seen<'_>) -> io::Result<()> {
    if let Opening::Sealed(why) = seen.opening {
        let what = if is_clear(seen.op) { "forged" } else { "sealed" };
        write!(out, "  [{what}: {}]", why.name())?;
    }
    if seen.is_retransmission() {
        write!(out, "  [retransmission]")?;
    }
    match seen.place {
        Some(Place::Duplicate) => write!(out, "  [duplicate]"),
        Some(Place::Reordered) => write!(out, "  [reordered]"),
        Some(Place::TooOld) => write!(out, "  [too old]"),
        _ => Ok(()),
    }
}

/// Something that is not redpkt.
pub fn not_redpkt(out: &mut impl Write, what: &NotRedpkt, first_ns: u64, absolute: bool) -> io::Result<()> {
    time(out, what.time_ns, first_ns, absolute)?;
    write!(out, "   not redpkt: {}", what.reason.name())?;
    match what.headers {
        Some(Headers { from, to, .. }) => writeln!(out, ", {from} to {to}"),
        None => writeln!(out),
    }
}
