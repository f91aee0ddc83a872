//! Where servers and clients of a test are: both on loopback, or each on its side of a lab of that test's own.

use redpkt_bench::lab::{Lab, Side};
use std::cell::RefCell;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

/// What a test program says in its `PLACE`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each test program says one of them")]
pub enum Place {
    /// Everything on loopback, over sockets.
    Loopback,
    /// The server on one side of a lab with this `--io`, the test and its sockets on the other.
    Lab { io: &'static str },
}

thread_local! {
    /// The lab that this test, which is a thread, made last.
    static LAB: RefCell<Option<Arc<Lab>>> = const { RefCell::new(None) };
}

/// The arguments that make a server serve here. In a lab this makes one with as many queues as the server can use,
/// unless the test has one already, and moves the test to the client's side.
pub fn arguments(args: &[&str]) -> Vec<&'static str> {
    let Place::Lab { io } = crate::PLACE else { return Vec::new() };
    if args.contains(&"--io") {
        // A test that chooses the engine chooses its lab too.
        return Vec::new();
    }
    let workers = args.iter().position(|arg| *arg == "--workers").and_then(|at| args.get(at + 1));
    let queues = if workers.is_none_or(|workers| *workers == "1") { 1 } else { 2 };
    let interface = lab(queues).interface(Side::Server);
    if io == "mmsg" { vec!["--io", io] } else { vec!["--io", io, "--iface", interface] }
}

/// The lab of this test with so many queues, made if it has none; the test is on the client's side of it then.
pub fn lab(queues: u32) -> Arc<Lab> {
    let lab = LAB.take().filter(|lab| lab.queues() == queues).unwrap_or_else(|| new_lab(queues));
    LAB.set(Some(Arc::clone(&lab)));
    lab
}

/// Runs `body` where the server is.
pub fn at_server<T>(body: impl FnOnce() -> T) -> T {
    // Not borrowed meanwhile: the body may ask too.
    match LAB.with_borrow(Clone::clone) {
        None => body(),
        Some(lab) => lab.inside(Side::Server, body).expect("a lab that was made can be entered"),
    }
}

/// Addresses for `--listen`, the first one the usual: port 0 on each IP that a server may have here.
pub fn listen() -> &'static [&'static str] {
    match crate::PLACE {
        Place::Loopback => &["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"],
        Place::Lab { .. } => &["10.77.0.1:0", "[fd77::1]:0", "10.77.0.1:0"],
    }
}

/// The IPv4 addresses at which a server that listens at the wildcard can be asked.
pub fn wildcard_ips() -> Vec<IpAddr> {
    match crate::PLACE {
        Place::Loopback => ["127.0.0.1", "127.0.0.2", "127.9.8.7"].map(|ip| ip.parse().unwrap()).to_vec(),
        Place::Lab { .. } => vec![Side::Server.ipv4()],
    }
}

fn new_lab(queues: u32) -> Arc<Lab> {
    if let Some(why) = Lab::why_not() {
        // Not one of these tests can run here. Said once, past the capture that hides what passing tests say.
        let _ = writeln!(std::io::stderr(), "skipped, all tests of this program: {why}");
        std::process::exit(0);
    }
    let lab = Lab::new(queues).unwrap_or_else(|failure| panic!("{failure}"));
    lab.enter(Side::Client).unwrap_or_else(|failure| panic!("{failure}"));
    Arc::new(lab)
}
