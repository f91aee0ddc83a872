//! A server on an interface comes and goes, in order and by force, and nobody else on that interface notices.

use redpkt_bench::child::{ChildCommand, ChildOptions, ServerChild};
use redpkt_bench::lab::{Lab, Side};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the server is started, ended in order, started again and killed.
const ROUNDS: usize = 50;

/// Between two questions of the neighbours.
const PACE: Duration = Duration::from_millis(2);

/// How long an answer may take before it counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// Where the echo listens.
const TCP_PORT: u16 = 7_200;

/// Through 50 times start, SIGTERM, start, SIGKILL pings are answered and every byte of a TCP echo comes back, in
/// generic mode without a ping or a segment lost; after each end no XDP program is on the interface.
fn restarts_disturb_nobody(mode: &str) {
    if let Some(why) = Lab::why_not() {
        return eprintln!("skipped: {why}");
    }
    let lab = Arc::new(Lab::new(1).unwrap());
    let is_over = AtomicBool::new(false);
    let started = Instant::now();
    let (pings, echoes) = std::thread::scope(|scope| {
        let pings = scope.spawn(|| ping(&lab, &is_over));
        let echoes = scope.spawn(|| echo_over_tcp(&lab, &is_over));
        // Ends the neighbours too if a server does not start.
        let over = Over(&is_over);
        restart(&lab, mode);
        drop(over);
        (pings.join().unwrap(), echoes.join().unwrap())
    });
    let segments_lost = segments_lost(&lab);
    println!(
        "{mode}: {pings:?}, {echoes} TCP echoes, {segments_lost} segments lost, in {:?}",
        started.elapsed()
    );
    assert!(pings.sent > 500 && echoes > 500, "{pings:?}, {echoes}");
    // A veth's driver throws away what its ring holds at the moment when a program comes or goes in native mode: a
    // few pings and segments of TCP in 200 comings and goings. Nothing else may get lost.
    let lost_max = if mode == "native" { ROUNDS as u64 / 10 } else { 0 };
    assert!(pings.lost + segments_lost <= lost_max, "{pings:?}, {segments_lost} segments lost");
}

/// Expect: with the program behind the kernel's buffers.
#[test]
fn restarts_in_generic_mode_disturb_nobody() {
    restarts_disturb_nobody("generic");
}

/// Expect: with the program in the driver.
#[test]
fn restarts_in_native_mode_disturb_nobody() {
    restarts_disturb_nobody("native");
}

/// Tells the neighbours that it is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn restart(lab: &Arc<Lab>, mode: &str) {
    let arguments = [
        "--io=xdp",
        "--iface",
        lab.interface(Side::Server),
        "--xdp-mode",
        mode,
        "--workers=1",
        "--cores=none",
        "--sessions=1000",
        "--accounts=1000",
        "--packets=1000",
    ];
    let options = ChildOptions {
        program: env!("CARGO_BIN_EXE_redpkt-bench").into(),
        command: ChildCommand::Serve,
        arguments: arguments.into_iter().map(Into::into).collect(),
    };
    let mut server = ServerChild::start_in(lab, options).unwrap();
    let stats = server.stats().unwrap();
    assert_eq!((&stats["io"]["engine"], &stats["io"]["xdp"]["mode"]), (&"xdp".into(), &mode.into()));
    for round in 0..ROUNDS {
        if round > 0 {
            server.restart().unwrap();
        }
        assert!(has_program(lab), "round {round}");
        server.terminate().unwrap();
        assert!(!has_program(lab), "round {round}: SIGTERM left a program");
        server.restart().unwrap();
        assert!(has_program(lab), "round {round}");
        server.kill();
        assert!(!has_program(lab), "round {round}: SIGKILL left a program");
    }
}

/// Whether an XDP program is on the server's interface.
fn has_program(lab: &Lab) -> bool {
    let show =
        || Command::new("ip").args(["-d", "link", "show", lab.interface(Side::Server)]).output().unwrap();
    let shown = lab.inside(Side::Server, show).unwrap();
    assert!(shown.status.success(), "{shown:?}");
    String::from_utf8_lossy(&shown.stdout).contains("xdp")
}

/// What became of pings.
#[derive(Debug)]
struct Pings {
    sent: u64,
    lost: u64,
}

/// Pings the server's address, one after the other, until it is over.
fn ping(lab: &Lab, is_over: &AtomicBool) -> Pings {
    let socket = lab.inside(Side::Client, || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)));
    let socket = socket.unwrap().unwrap();
    let server = SocketAddr::new(lab.address(Side::Server), 0);
    socket.connect(&server.into()).unwrap();
    socket.set_read_timeout(Some(LOST_AFTER)).unwrap();
    let mut pings = Pings { sent: 0, lost: 0 };
    while !is_over.load(Ordering::Relaxed) {
        pings.sent += 1;
        socket.send(&echo_request(pings.sent as u16)).unwrap();
        pings.lost += u64::from(!is_answered(&socket, pings.sent as u16));
        std::thread::sleep(PACE);
    }
    pings
}

/// An ICMP echo request (RFC 792) with this number and nothing in it.
fn echo_request(number: u16) -> [u8; 8] {
    let [high, low] = number.to_be_bytes();
    // All words but type and number are zero, so the checksum is over these two.
    let sum = u32::from(number) + 0x0800;
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    let [sum_high, sum_low] = checksum.to_be_bytes();
    [8, 0, sum_high, sum_low, 0, 0, high, low]
}

/// Waits for the echo with this number.
fn is_answered(mut socket: &Socket, number: u16) -> bool {
    let mut bytes = [0; 128];
    // After the IP header, which a raw socket gets too: type 0 is the reply.
    while let Ok(len) = socket.read(&mut bytes) {
        let icmp = bytes[..len].get(20..28).unwrap_or_default();
        if icmp.first() == Some(&0) && icmp[6..] == number.to_be_bytes() {
            return true;
        }
    }
    false
}

/// Has bytes come back over one TCP connection until it is over: how often they did.
fn echo_over_tcp(lab: &Lab, is_over: &AtomicBool) -> u64 {
    let addr = SocketAddr::new(lab.address(Side::Server), TCP_PORT);
    let listener = lab.inside(Side::Server, || TcpListener::bind(addr)).unwrap().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            std::io::copy(&mut &stream, &mut &stream).unwrap();
        });
        let mut stream = lab.inside(Side::Client, || TcpStream::connect(addr)).unwrap().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut echoes = 0;
        while !is_over.load(Ordering::Relaxed) {
            let sent: [u8; 64] = std::array::from_fn(|at| (echoes + at as u64) as u8);
            let mut back = [0; 64];
            stream.write_all(&sent).unwrap();
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, sent, "echo {echoes}");
            echoes += 1;
            std::thread::sleep(PACE);
        }
        echoes
    })
}

/// TCP segments of connections, both sides', that were sent again and had not arrived. Other sends for the second time
/// mean no loss: SYNs are those that ask a server over loopback how it does, as it comes and goes; and of what had
/// arrived, only late on a busy machine, the receiver says so (D-SACK, RFC 2883).
fn segments_lost(lab: &Lab) -> u64 {
    let of = |side| {
        let for_nothing =
            ["TCPSynRetrans", "TCPDSACKRecv"].map(|name| counter(lab, side, "netstat", "TcpExt:", name));
        let sent_again = counter(lab, side, "snmp", "Tcp:", "RetransSegs");
        sent_again.saturating_sub(for_nothing.iter().sum())
    };
    of(Side::Server) + of(Side::Client)
}

/// A counter of the kernel, of one side's namespace.
fn counter(lab: &Lab, side: Side, file: &str, group: &str, name: &str) -> u64 {
    let file = format!("/proc/thread-self/net/{file}");
    let text = lab.inside(side, || std::fs::read_to_string(&file)).unwrap().unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|of| of == name).unwrap();
    values.split(' ').nth(place).unwrap().parse().unwrap()
}
