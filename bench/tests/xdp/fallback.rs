//! `--io auto` with an interface that cannot be used: sockets serve, and why is said in the log and in the figures.

use crate::common::*;
use crate::refusals::{NO_MEMORY, UNPRIVILEGED, is_missing};
use crate::world::{INTERFACE, content, ip, ip_at_server, serve};

fn falls_back(wrapper: &[&str], args: &[&str], parts: &[&str]) {
    let keys = Keys::new();
    let server = Server::start_under(wrapper, &keys, &[&["--io", "auto"], args].concat());
    let stats = server.stats();
    let io = &stats["io"];
    assert_eq!((&io["engine"], io["xdp"].is_null()), (&"mmsg".into(), true), "{io}");
    let why = io["why"].as_str().unwrap();
    let warned = server.logged("datagrams go through the kernel's sockets");
    assert_eq!((warned.len(), warned[0]["error"].as_str()), (1, Some(why)), "{}", server.stderr());
    assert_eq!(why.lines().count(), 1);
    for part in parts {
        assert!(why.contains(part), "{args:?}: no {part:?} in {why}");
    }
    if !server.addr().ip().is_loopback() {
        content(server.addr(), &keys, 1..=10);
    }
}

#[test]
fn from_an_interface_that_cannot_be_used() {
    lab(1);
    falls_back(&[], &["--iface", "redpkt-none"], &["no such interface"]);
    falls_back(&[], &["--iface", "lo"], &["no Ethernet interface"]);
    falls_back(&[], &["--iface", INTERFACE, "--listen", "127.0.0.1:0"], &["none of the --listen addresses"]);
    ip_at_server("link set redpkt-s mtu 9000");
    ip("link set redpkt-c mtu 9000");
    falls_back(&[], &["--iface", INTERFACE, "--xdp-mode", "native"], &["native mode", "MTU"]);
}

#[test]
fn from_an_interface_that_another_server_has() {
    lab(1);
    let keys = Keys::new();
    let _first = serve(&keys, &["--listen", "10.77.0.1:7100"]);
    falls_back(&[], &["--iface", INTERFACE], &["another XDP program"]);
}

#[test]
fn without_privilege() {
    lab(1);
    if !is_missing(&UNPRIVILEGED) {
        falls_back(&UNPRIVILEGED, &["--iface", INTERFACE], &["CAP_NET_RAW", "CAP_BPF"]);
    }
}

#[test]
fn without_memory_for_frames() {
    lab(1);
    if !is_missing(&NO_MEMORY) {
        falls_back(&NO_MEMORY, &["--iface", INTERFACE], &["ulimit -l", "CAP_IPC_LOCK"]);
    }
}

/// Expect: an interface that can be used is used, and that is told too; without one there is nothing to warn of.
#[test]
fn auto_takes_what_works() {
    lab(1);
    let keys = Keys::new();
    let server = Server::start(&keys, &["--io", "auto", "--iface", INTERFACE]);
    let io = &server.stats()["io"];
    assert_eq!((&io["engine"], &io["xdp"]["mode"]), (&"xdp".into(), &"generic".into()), "{io}");
    assert!(io["why"].as_str().unwrap().contains("can be used"), "{io}");
    drop(server);
    let server = Server::start(&keys, &["--io", "auto"]);
    let io = &server.stats()["io"];
    assert_eq!(io["engine"], "mmsg", "{io}");
    assert!(io["why"].as_str().unwrap().contains("--iface"), "{io}");
    assert!(server.logged("datagrams go through the kernel's sockets").is_empty());
}
