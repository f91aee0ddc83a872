//! Users of both families ask at every address of the interface, and none of it passes the kernel's stack.

use crate::common::*;
use crate::world::{KernelUdp, assert_by_xdp, content, ip_at_server, serve};
use std::net::{IpAddr, SocketAddr};

/// Addresses beside those of the lab.
const SECOND: [&str; 2] = ["10.77.0.9", "fd77::9"];

/// A server that listens at `listens`; users ask at the IPs that follow each of them.
fn all_are_answered(mode: &str, listens: &[(&str, &[&str])]) {
    lab(1);
    ip_at_server(&format!("addr add {}/32 dev redpkt-s", SECOND[0]));
    ip_at_server(&format!("addr add {}/128 dev redpkt-s nodad", SECOND[1]));
    let keys = Keys::new();
    let mut args = vec!["--xdp-mode", mode];
    listens.iter().for_each(|(listen, _)| args.extend(["--listen", listen]));
    let server = serve(&keys, &args);
    let before = KernelUdp::now();
    let (mut first_user, mut asked) = (1, Vec::new());
    for ((_, ips), listen) in listens.iter().zip(&server.listen) {
        for ip in *ips {
            let addr = SocketAddr::new(ip.parse::<IpAddr>().unwrap(), listen.port());
            // Its sockets hear this address only: an answer from another one is none.
            content(addr, &keys, first_user..=first_user + 19);
            first_user += 20;
            asked.push(addr.to_string());
        }
    }
    let stats = server.stats_when("all joins", |stats| stats["joins"] == first_user - 1);
    assert_by_xdp(&stats, mode, 1);
    let taken: Vec<&str> =
        stats["io"]["xdp"]["taken"].as_array().unwrap().iter().map(|addr| addr.as_str().unwrap()).collect();
    assert!(asked.iter().all(|addr| taken.contains(&addr.as_str())), "{asked:?}: {taken:?}");
    assert_eq!(KernelUdp::now(), before, "a datagram passed the kernel's stack");
}

const IPV4: (&str, &[&str]) = ("10.77.0.1:0", &["10.77.0.1"]);
const IPV6: (&str, &[&str]) = ("[fd77::1]:0", &["fd77::1"]);
const ANY_IPV4: (&str, &[&str]) = ("0.0.0.0:0", &["10.77.0.1", SECOND[0]]);
const ANY_IPV6: (&str, &[&str]) = ("[::]:0", &["fd77::1", SECOND[1]]);

#[test]
fn ipv4_in_native_mode() {
    all_are_answered("native", &[IPV4]);
}

#[test]
fn ipv4_in_generic_mode() {
    all_are_answered("generic", &[IPV4]);
}

#[test]
fn ipv6_in_native_mode() {
    all_are_answered("native", &[IPV6]);
}

#[test]
fn ipv6_in_generic_mode() {
    all_are_answered("generic", &[IPV6]);
}

#[test]
fn both_families_in_native_mode() {
    all_are_answered("native", &[IPV4, IPV6]);
}

#[test]
fn both_families_in_generic_mode() {
    all_are_answered("generic", &[IPV4, IPV6]);
}

/// Expect: answers leave from the address that was asked.
#[test]
fn wildcards_in_native_mode() {
    all_are_answered("native", &[ANY_IPV4, ANY_IPV6]);
}

/// Expect: answers leave from the address that was asked.
#[test]
fn wildcards_in_generic_mode() {
    all_are_answered("generic", &[ANY_IPV4, ANY_IPV6]);
}
