//! A frame as a line of JSON.

use super::line::is_clear;
use crate::datagram::Headers;
use crate::fields::{self, Value};
use crate::follow::{NotRedpkt, Opening, Place, Seen};
use redpkt_proto::Direction;
use std::io::{self, Write};

fn value(out: &mut impl Write, value: Value<'_>) -> io::Result<()> {
    match value {
        Value::Number(number) => write!(out, "{number}"),
        Value::Users([a, b, c]) => write!(out, "[{a},{b},{c}]"),
        // Names, hex digits and addresses need no escapes.
        Value::Name(_) | Value::Bytes(_) | Value::Ip(_) => write!(out, "\"{value}\""),
    }
}

/// One frame.
pub fn frame(out: &mut impl Write, seen: &Seen<'_>) -> io::Result<()> {
    let datagram = seen.datagram;
    write!(
        out,
        "{{\"time_ns\":{},\"from\":\"{}\",\"to\":\"{}\"",
        datagram.time_ns, datagram.from, datagram.to
    )?;
    let direction = if seen.direction == Direction::ToServer { "to_server" } else { "to_client" };
    write!(out, ",\"direction\":\"{direction}\"")?;
    let mut result = Ok(());
    fields::header(seen.frame, &mut |name, of| {
        if result.is_ok() {
            result = write!(out, ",\"{name}\":").and_then(|()| value(out, of));
        }
    });
    result?;
    write!(out, ",\"opened\":{}", !matches!(seen.opening, Opening::Sealed(_)))?;
    if let Opening::Sealed(why) = seen.opening {
        write!(out, ",\"why\":\"{}\"", why.name())?;
    }
    if seen.session_number > 0 {
        write!(out, ",\"session_number\":{}", seen.session_number)?;
    }
    let notes = [
        ("retransmission", seen.is_retransmission()),
        ("duplicate", seen.is_duplicate()),
        ("reordered", seen.place == Some(Place::Reordered)),
        ("too_old", seen.place == Some(Place::TooOld)),
    ];
    for (name, _) in notes.iter().filter(|(_, is_so)| *is_so) {
        write!(out, ",\"{name}\":true")?;
    }
    if seen.opening == Opening::Opened || is_clear(seen.op) {
        write!(out, ",\"body\":")?;
        body(out, seen)?;
    }
    writeln!(out, "}}")
}

/// The body's fields; what stands before a dot in their names is an object around them.
fn body(out: &mut impl Write, seen: &Seen<'_>) -> io::Result<()> {
    let mut result = Ok(());
    let (mut inside, mut is_first) = ("", true);
    write!(out, "{{")?;
    fields::body(seen.frame, seen.op, seen.direction, &mut |name, of| {
        if result.is_err() {
            return;
        }
        let (group, name) = name.split_once('.').unwrap_or(("", name));
        result = (|| {
            if group != inside {
                if !inside.is_empty() {
                    write!(out, "}}")?;
                }
                if !group.is_empty() {
                    write!(out, "{}\"{group}\":{{", if is_first { "" } else { "," })?;
                    is_first = true;
                }
                inside = group;
            }
            write!(out, "{}\"{name}\":", if is_first { "" } else { "," })?;
            is_first = false;
            value(out, of)
        })();
    });
    result?;
    write!(out, "{}", if inside.is_empty() { "}" } else { "}}" })
}

/// Something that is not redpkt.
pub fn not_redpkt(out: &mut impl Write, what: &NotRedpkt) -> io::Result<()> {
    write!(out, "{{\"time_ns\":{}", what.time_ns)?;
    if let Some(Headers { from, to, .. }) = what.headers {
        write!(out, ",\"from\":\"{from}\",\"to\":\"{to}\"")?;
    }
    writeln!(out, ",\"not_redpkt\":\"{}\"}}", what.reason.name())
}
