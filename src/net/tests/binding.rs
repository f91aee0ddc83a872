//! Which addresses can be had, and what is said when they cannot.

use super::*;
use crate::net::{BindError, Steering};

fn refused(listen: &[SocketAddr], workers: u32) -> BindError {
    bind(&BindOptions::new(listen, layout(workers))).err().expect("a refusal")
}

#[test]
fn port_0_becomes_one_port_for_all_workers() {
    let engines = engines(&["127.0.0.1:0", "[::1]:0"], 3, |_| ());
    assert_eq!(engines.len(), 3);
    let addrs = engines[0].listen_addrs();
    assert!(addrs.iter().all(|addr| addr.port() != 0));
    assert!(engines.iter().all(|engine| engine.listen_addrs() == addrs));
}

#[test]
fn a_port_taken_by_another_server_of_ours_is_refused() {
    for workers in [1, 2] {
        let first = engines(&["127.0.0.1:0"], workers, |_| ());
        let addr = first[0].listen_addrs()[0];
        for others in [1, 2] {
            let error = refused(&[addr], others);
            assert!(matches!(error, BindError::PortTaken { addr: of } if of == addr), "{error:?}");
            let line = error.to_string();
            assert!(
                line.contains(&format!("--listen {addr}")) && line.contains("choose another port"),
                "{line}"
            );
        }
        let all = SocketAddr::new("0.0.0.0".parse().unwrap(), addr.port());
        assert!(matches!(refused(&[all], 2), BindError::PortTaken { .. }), "a wildcard over it neither");
    }
}

#[test]
fn the_same_address_twice_is_refused() {
    let addr = engines(&["127.0.0.1:0"], 1, |_| ())[0].listen_addrs()[0];
    assert!(matches!(refused(&[addr, addr], 2), BindError::PortTaken { .. }));
}

#[test]
fn an_address_of_another_machine_is_refused() {
    for addr in ["192.0.2.1:7100", "[2001:db8::1]:7100", "224.0.0.1:7100", "[ff02::1]:7100"] {
        let error = refused(&[addr.parse().unwrap()], 1);
        assert!(matches!(error, BindError::NoSuchAddress { .. }), "{addr}: {error:?}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn no_address_and_too_many_are_refused() {
    assert!(matches!(refused(&[], 1), BindError::Count { count: 0 }));
    let many = vec!["127.0.0.1:0".parse().unwrap(); 65];
    assert!(matches!(refused(&many, 1), BindError::Count { count: 65 }));
}

#[test]
fn a_mapped_address_is_an_ipv4_one() {
    let engine = engine(&["[::ffff:127.0.0.1]:0"]);
    assert!(engine.listen_addrs()[0].is_ipv4());
}

#[test]
fn both_wildcards_share_a_port() {
    let v4 = engine(&["0.0.0.0:0"]);
    let port = v4.listen_addrs()[0].port();
    drop(v4);
    let both = engine(&[&format!("0.0.0.0:{port}"), &format!("[::]:{port}")]);
    assert_eq!(both.listen_addrs().len(), 2);
}

#[test]
fn buffers_have_the_size_asked_for() {
    let engine = engines(&["127.0.0.1:0"], 1, |options| options.recv_buffer_bytes = 64 << 10).pop().unwrap();
    assert_eq!(engine.recv_buffer_bytes(), 64 << 10);
}

#[test]
fn steering_is_what_was_asked_for() {
    let steering =
        |workers, asked| engines(&["127.0.0.1:0"], workers, |options| options.steering = asked)[0].steering();
    assert_eq!(steering(1, true), Steering::OneWorker);
    assert_eq!(steering(2, true), Steering::Attached);
    assert_eq!(steering(2, false), Steering::Off);
}
