//! Packets of one interface of this machine, by name.

use crate::telemetry::machine::{Interface, Machine};
use nix::net::if_::if_nameindex;
use std::path::Path;

/// The interfaces that there are, in the order of the kernel's numbers.
pub fn names() -> Vec<String> {
    let all = if_nameindex();
    let names = |all: &nix::net::if_::Interfaces| {
        all.iter().map(|each| each.name().to_string_lossy().into_owned()).collect()
    };
    all.as_ref().map(names).unwrap_or_default()
}

/// The counters of one; `None` if it is not there.
pub fn read(name: &str) -> Option<Interface> {
    if !names().iter().any(|each| each == name) {
        return None;
    }
    let known = Machine::read(&[]).interfaces.into_iter().find(|interface| interface.name == name);
    // Of very many interfaces, and of those without addresses or packets, that does not tell.
    known.or_else(|| read_files(name))
}

fn read_files(name: &str) -> Option<Interface> {
    let dir = Path::new("/sys/class/net").join(name).join("statistics");
    let value = |file: &str| std::fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok();
    Some(Interface {
        name: name.to_owned(),
        rx_packets: value("rx_packets")?,
        rx_bytes: value("rx_bytes")?,
        rx_errors: value("rx_errors")?,
        rx_dropped: value("rx_dropped")?,
        rx_missed: value("rx_missed_errors")?.max(value("rx_fifo_errors")?),
        tx_packets: value("tx_packets")?,
        tx_bytes: value("tx_bytes")?,
        tx_errors: value("tx_errors")?,
        tx_dropped: value("tx_dropped")?,
        ..Interface::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_there_and_others_are_not() {
        assert!(names().contains(&"lo".to_owned()));
        assert_eq!(read("lo").unwrap().name, "lo");
        assert_eq!(read_files("lo").unwrap().name, "lo");
        assert!(read("no-such").is_none() && read("../lo").is_none());
    }
}
