//! What is compared: servers of several kinds, each a child process with a client of its own.

use super::client::{Client, Load, Tally};
use super::join::join;
use super::machine::{self, CorePair};
use super::measure::Sample;
use super::users::{Answerer, User};
use crate::child::{ChildCommand, ChildOptions, ServerChild, guard};
use crate::lab::{Lab, PEERS, Side};
use redpkt::cli::Failure;
use redpkt::net::affinity;
use redpkt::net::client::{ClientSockets, Peers};
use redpkt::net::xdp::{PeersOptions, XdpMode, XdpOptions, XdpPeers};
use redpkt_proto::Rng;
use serde::Serialize;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A kind of server, by the name that results carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// In `variants` and `ratios`.
    pub name: &'static str,
    /// Who answers.
    pub answerer: Answerer,
    /// How its datagrams move.
    pub io: ServerIo,
    /// Its workers. One is pinned to the server's core; several have to share what the process may use.
    pub workers: u32,
    /// More options of its own.
    pub options: &'static [&'static str],
    /// Whose datagrams it writes into a capture, as `--pcap-sample` has it; `None` for nobody's.
    pub capture: Option<&'static str>,
}

/// How a server's datagrams move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerIo {
    /// recvmmsg and sendmmsg on UDP sockets.
    Mmsg,
    /// AF_XDP, in this mode, on the lab's interface.
    Xdp(XdpMode),
}

/// How the client's datagrams move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientIo {
    /// The kernel's sockets, so many.
    Sockets {
        /// Each is a peer of its own.
        ports: usize,
    },
    /// AF_XDP on the lab's interface: each user has an address and port of its own.
    Xdp,
}

/// The bare echo by recvmmsg and sendmmsg: what the others are compared with.
pub const ECHO_MMSG: Kind = Kind {
    name: "echo_mmsg",
    answerer: Answerer::Echo,
    io: ServerIo::Mmsg,
    workers: 1,
    options: &[],
    capture: None,
};

/// The server by recvmmsg and sendmmsg.
pub const REDPKT_MMSG: Kind = Kind { name: "redpkt_mmsg", answerer: Answerer::Server, ..ECHO_MMSG };

/// The server without any measuring of its own work, and with it; whoever asks for the figures is beside it.
pub const TELEMETRY: [Kind; 2] = [
    Kind { name: "telemetry_off", options: &["--telemetry=off"], ..REDPKT_MMSG },
    Kind { name: "telemetry_on", options: &["--telemetry=on"], ..REDPKT_MMSG },
];

/// The server without a capture, with one of a few users, and with one of all.
pub const CAPTURE: [Kind; 3] = [
    Kind { name: "capture_off", ..REDPKT_MMSG },
    Kind { name: "capture_1_in_1000", capture: Some("1/1000"), ..REDPKT_MMSG },
    Kind { name: "capture_all", capture: Some("1/1"), ..REDPKT_MMSG },
];

/// What all kinds of one comparison have in common.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Users, each with a session.
    pub users: usize,
    /// The way they come.
    pub client: ClientIo,
    /// Where server and client run.
    pub cores: CorePair,
    /// The wire between server and client; without one both are on loopback. In a lab all of the server's threads
    /// are kept to its core, and the thread that starts it to the client's.
    pub lab: Option<Arc<Lab>>,
}

impl Setup {
    fn start_child(&self, kind: Kind, captures: &Path) -> Result<ServerChild, Failure> {
        let options = self.child_options(kind, captures)?;
        let Some(lab) = &self.lab else { return ServerChild::start(options) };
        // Children inherit the cores that the thread may use.
        pin("--server-core", self.cores.server)?;
        let child = ServerChild::start_in(lab, options)?;
        pin("--client-core", self.cores.client)?;
        Ok(child)
    }

    fn child_options(&self, kind: Kind, captures: &Path) -> Result<ChildOptions, Failure> {
        let (core, sessions) = (self.cores.server.to_string(), self.users.to_string());
        let workers = kind.workers.to_string();
        let mut arguments = match kind.answerer {
            Answerer::Echo => vec!["--core", &core],
            Answerer::Server => {
                let cores = if kind.workers == 1 { core.as_str() } else { "none" };
                let fixed = ["--shakes-per-s=0", "--keepalive=1h", "--idle=2h", "--workers", &workers];
                let io = if kind.io == ServerIo::Mmsg { "--io=mmsg" } else { "--io=xdp" };
                fixed.into_iter().chain(["--cores", cores, "--sessions", &sessions, io]).collect()
            }
        };
        if let ServerIo::Xdp(mode) = kind.io {
            arguments.extend(["--iface", Side::Server.interface(), "--xdp-mode", mode_name(mode)]);
        }
        arguments.extend(kind.options);
        let mut arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        if let Some(sample) = kind.capture {
            arguments.extend(["--pcap".into(), captures.join(kind.name).into()]);
            arguments.extend(["--pcap-sample".into(), sample.into()]);
        }
        let command = match kind.answerer {
            Answerer::Echo => ChildCommand::Echo,
            Answerer::Server => ChildCommand::Serve,
        };
        ChildOptions::new(command, arguments)
    }

    fn peers(&self, child: &ServerChild) -> Result<Peers, Failure> {
        let target = child.listen();
        let connect = || match self.client {
            ClientIo::Sockets { ports } => ClientSockets::connect(target, ports, false)
                .map(Peers::Sockets)
                .map_err(|error| Failure::machine(format!("--source-ports: {error}"))),
            ClientIo::Xdp => {
                let options = PeersOptions {
                    server: target,
                    count: self.users,
                    network: Some(PEERS[0].parse().map_err(Failure::machine)?),
                    server_mac: Some(Side::Server.mac()),
                    // The same for all, so that no variant finds another client.
                    xdp: XdpOptions {
                        interface: Side::Client.interface().to_owned(),
                        vlan: None,
                        mode: XdpMode::Auto,
                    },
                };
                let opened = XdpPeers::open(&options);
                opened.map(|(peers, _)| Peers::Xdp(peers)).map_err(|error| {
                    if error.is_usage() { Failure::usage(error) } else { Failure::machine(error) }
                })
            }
        };
        match &self.lab {
            None => connect(),
            Some(lab) => lab.inside(Side::Client, connect)?,
        }
    }
}

/// Keeps the calling thread, and children that it starts from now on, to a core.
pub fn pin(option: &str, core: usize) -> Result<(), Failure> {
    affinity::pin_current_thread(core).map_err(|error| Failure::usage(format!("{option} {core}: {error}")))
}

/// As options have it.
pub fn mode_name(mode: XdpMode) -> &'static str {
    match mode {
        XdpMode::Auto => "auto",
        XdpMode::Native => "native",
        XdpMode::Generic => "generic",
    }
}

/// What became of a variant's capture.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Captured {
    /// The variant.
    pub name: &'static str,
    /// Datagrams written.
    pub datagrams: u64,
    /// Datagrams not written: the disk did not keep up, or was full.
    pub datagrams_lost: u64,
}

/// A server that runs, and the client that asks it.
pub struct Variant {
    kind: Kind,
    child: ServerChild,
    client: Client,
    /// Holds its capture, and goes with it.
    _captures: TempDir,
}

impl Variant {
    /// Starts the server and opens the sessions.
    pub fn start(kind: Kind, setup: &Setup, rng: &mut Rng) -> Result<Variant, Failure> {
        let captures = guard::directory()
            .map_err(|error| Failure::machine(format!("making a temporary directory: {error}")))?;
        let child = setup.start_child(kind, captures.path())?;
        let mut sockets = setup.peers(&child)?;
        let users = match kind.answerer {
            Answerer::Echo => User::strangers(setup.users, rng),
            Answerer::Server => join(&mut sockets, child.keys(), setup.users, rng)?,
        };
        Ok(Variant { kind, child, client: Client::new(sockets, users, kind.answerer)?, _captures: captures })
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The server.
    pub fn child(&self) -> &ServerChild {
        &self.child
    }

    /// Puts it under load for a while that counts, after one that does not.
    pub fn measure(&mut self, load: Load, warm_up: Duration, time: Duration) -> Result<Sample, Failure> {
        self.client.drive(load, warm_up)?;
        let (cpu_ns, machine_ns, started) = (self.child.cpu_ns()?, machine::busy_ns()?, Instant::now());
        let tally = self.client.drive(load, time)?;
        let elapsed = started.elapsed();
        let (cpu_ns, machine_ns) = (self.child.cpu_ns()? - cpu_ns, machine::busy_ns()? - machine_ns);
        self.client.finish()?;
        self.check(&tally)?;
        Ok(Sample::of(&tally, elapsed, cpu_ns, machine_ns))
    }

    fn check(&self, tally: &Tally) -> Result<(), Failure> {
        let name = self.kind.name;
        if tally.wrong > 0 {
            return Err(Failure::check(format!(
                "{name}: {} datagrams came that are no right answer to any request",
                tally.wrong
            )));
        }
        if tally.answers == 0 {
            return Err(Failure::machine(format!(
                "{name}: no answer came; it printed: {}",
                self.child.output()
            )));
        }
        Ok(())
    }

    /// Datagrams that it wrote into its capture until now, and those that it had to leave out; `None` without one.
    pub fn captured(&self) -> Result<Option<Captured>, Failure> {
        if self.kind.capture.is_none() {
            return Ok(None);
        }
        let stats = self.child.stats()?;
        let count = |field: &str| stats["capture"][field].as_u64().unwrap_or_default();
        let captured = Captured {
            name: self.kind.name,
            datagrams: count("datagrams"),
            datagrams_lost: count("datagrams_lost"),
        };
        Ok(Some(captured))
    }

    /// Ends the server; an error if it does not end well.
    pub fn end(mut self) -> Result<(), Failure> {
        self.child.terminate().map(|_| ())
    }
}
