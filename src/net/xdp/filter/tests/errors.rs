//! Errors are one line, told apart by type, and name the fix.

use super::frames::{OUR_MAC, scenarios};
use super::{program_or_skip, xdp_socket};
use crate::net::xdp::bpf::LoadError;
use crate::net::xdp::filter::{Filter, FilterError, Mode, Program, Take};
use std::io;
use std::os::fd::AsFd;

fn os(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// Expect: one line that says all of these.
fn says(error: &FilterError, parts: &[&str]) {
    let line = error.to_string();
    assert!(!line.contains('\n') && !line.contains("  "), "{line}");
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
}

#[test]
fn filters_that_cannot_be_are_refused_before_the_kernel_is_asked() {
    let to = |addresses: &[&str]| Take::To(addresses.iter().map(|text| text.parse().unwrap()).collect());
    let from = |server: &str, network: &str, prefix_bits| Take::From {
        server: server.parse().unwrap(),
        network: network.parse().unwrap(),
        prefix_bits,
    };
    let one = || to(&["10.0.0.1:7100"]);
    let many: Vec<String> = (1..=65).map(|port| format!("10.0.0.1:{port}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases = [
        (Some(0), 1, one(), "VLAN 0"),
        (Some(4095), 1, one(), "VLAN 4095"),
        (None, 0, one(), "0 receive queues"),
        (None, 4097, one(), "4097 receive queues"),
        (None, 1, to(&[]), "0 addresses"),
        (None, 1, to(&many), "65 addresses"),
        (None, 1, to(&["0.0.0.0:7100"]), "0.0.0.0:7100"),
        (None, 1, to(&["[::]:7100"]), "[::]:7100"),
        (None, 1, to(&["10.0.0.1:0"]), "10.0.0.1:0"),
        (None, 1, from("10.0.0.1:7100", "fd00::", 64), "one family"),
        (None, 1, from("10.0.0.1:7100", "10.0.0.0", 33), "10.0.0.0/33"),
        (None, 1, from("[fd00::1]:7100", "fd00::", 129), "fd00::/129"),
        (None, 1, from("[fd00::1]:0", "fd00::", 64), "[fd00::1]:0"),
    ];
    for (vlan, queues, take, part) in cases {
        let error = Program::load(&Filter { mac: OUR_MAC, vlan, take }, queues).err().expect(part);
        assert!(matches!(error, FilterError::Impossible { .. }), "{error:?}");
        says(&error, &[part]);
    }
}

#[test]
fn what_the_kernel_says_becomes_a_line_with_the_fix() {
    let attaching = |mode, exists, errno| FilterError::attaching("eth7", mode, exists, os(errno));
    for mode in [Mode::Native, Mode::Generic] {
        for errno in [libc::EBUSY, libc::EEXIST] {
            let error = attaching(mode, true, errno);
            assert!(matches!(error, FilterError::Busy { .. }));
            says(&error, &["`ip link show dev eth7`", "never replaced", "--io mmsg"]);
        }
        let error = attaching(mode, true, libc::EPERM);
        assert!(matches!(error, FilterError::NotPermitted { .. }));
        says(&error, &["eth7", "CAP_BPF", "CAP_NET_ADMIN", "CAP_SYS_ADMIN before Linux 5.8", "CAP_NET_RAW"]);
        let error = attaching(mode, false, libc::EINVAL);
        assert!(matches!(error, FilterError::NoSuchInterface { .. }));
        says(&error, &["eth7", "`ip link`"]);
    }
    for errno in [libc::EOPNOTSUPP, libc::EINVAL, libc::ERANGE] {
        let error = attaching(Mode::Native, true, errno);
        assert!(matches!(error, FilterError::NotOffered { .. }));
        says(&error, &["eth7", "generic", "MTU"]);
    }
    let error = attaching(Mode::Generic, true, libc::EINVAL);
    assert!(matches!(error, FilterError::KernelTooOld { .. }));
    says(&error, &["eth7", "5.15"]);

    for errno in [libc::ENOSYS, libc::EINVAL] {
        let error = FilterError::loading(LoadError { error: os(errno), log: String::new() });
        assert!(matches!(error, FilterError::KernelTooOld { .. }));
        assert!(matches!(FilterError::creating_map(os(errno)), FilterError::KernelTooOld { .. }));
    }
    let log = "0: R1=ctx()\n1: (61) r2 = *(u32 *)(r1 +0)\nR1 invalid mem access 'scalar'\nprocessed 2 insns (limit 1000000)\n";
    let error = FilterError::loading(LoadError { error: os(libc::EACCES), log: log.to_owned() });
    assert!(matches!(error, FilterError::Refused { .. }));
    says(&error, &["R1 invalid mem access 'scalar'", "verifier", "--io mmsg"]);
    assert!(matches!(FilterError::creating_map(os(libc::ENOMEM)), FilterError::Failed { .. }));
}

#[test]
fn the_verifier_is_heard_when_it_refuses() {
    use crate::net::xdp::assembler::{Assembler, Register};
    let mut code = Assembler::default();
    code.exit();
    let refusal = crate::net::xdp::bpf::load_xdp_program("redpkt_bad", &code.finish()).unwrap_err();
    if refusal.error.raw_os_error() == Some(libc::EPERM) {
        return eprintln!("skipped: {}", FilterError::loading(refusal));
    }
    says(&FilterError::loading(refusal), &["R0 !read_ok"]);

    let mut code = Assembler::default();
    code.load(super::super::super::assembler::Size::Word, Register::R0, Register::R2, 0);
    code.exit();
    let refusal = crate::net::xdp::bpf::load_xdp_program("redpkt_bad", &code.finish()).unwrap_err();
    says(&FilterError::loading(refusal), &["R2 !read_ok"]);
}

#[test]
fn sockets_go_only_where_there_is_a_queue_and_must_be_of_the_right_kind() {
    let Some(program) = program_or_skip(&scenarios()[0].filter, 2) else { return };
    let Some(socket) = xdp_socket() else { return };
    program.set_socket(1, socket.as_fd()).unwrap();
    let error = program.set_socket(2, socket.as_fd()).unwrap_err();
    assert!(matches!(error, FilterError::NoSuchQueue { queue: 2, queues: 2 }));
    says(&error, &["queue 2", "2 queues"]);
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = program.set_socket(0, udp.as_fd()).unwrap_err();
    says(&error, &["receive queue 0", "AF_XDP"]);
}
