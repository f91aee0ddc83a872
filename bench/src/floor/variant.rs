//! What is compared: servers of several kinds, each a child process with a client of its own.

use super::client::{Client, Load, Tally};
use super::join::join;
use super::machine::{self, CorePair};
use super::measure::Sample;
use super::users::{Answerer, User};
use crate::child::{ChildCommand, ChildOptions, ServerChild};
use redpkt::cli::Failure;
use redpkt::net::client::{ClientSockets, Peers};
use redpkt_proto::Rng;
use std::time::{Duration, Instant};

/// A kind of server, by the name that results carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// In `variants` and `ratios`.
    pub name: &'static str,
    /// Who answers.
    pub answerer: Answerer,
}

/// The bare echo by recvmmsg and sendmmsg: what the others are compared with.
pub const ECHO_MMSG: Kind = Kind { name: "echo_mmsg", answerer: Answerer::Echo };

/// The server by recvmmsg and sendmmsg.
pub const REDPKT_MMSG: Kind = Kind { name: "redpkt_mmsg", answerer: Answerer::Server };

/// What all kinds of one comparison have in common.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Users, each with a session.
    pub users: usize,
    /// Ports that they come from.
    pub source_ports: usize,
    /// Where server and client run.
    pub cores: CorePair,
}

/// A server that runs, and the client that asks it.
pub struct Variant {
    kind: Kind,
    child: ServerChild,
    client: Client,
}

impl Variant {
    /// Starts the server and opens the sessions.
    pub fn start(kind: Kind, setup: &Setup, rng: &mut Rng) -> Result<Variant, Failure> {
        let core = setup.cores.server.to_string();
        let options = match kind.answerer {
            Answerer::Echo => ChildOptions::new(ChildCommand::Echo, ["--core", &core])?,
            Answerer::Server => {
                let sessions = setup.users.to_string();
                let fixed = ["--workers=1", "--shakes-per-s=0", "--keepalive=1h", "--idle=2h"];
                let own = ["--io=mmsg", "--cores", &core, "--sessions", &sessions];
                ChildOptions::new(ChildCommand::Serve, fixed.into_iter().chain(own))?
            }
        };
        let child = ServerChild::start(options)?;
        let sockets = ClientSockets::connect(child.listen(), setup.source_ports, false)
            .map_err(|error| Failure::machine(format!("--source-ports: {error}")))?;
        let mut sockets = Peers::Sockets(sockets);
        let users = match kind.answerer {
            Answerer::Echo => User::strangers(setup.users, rng),
            Answerer::Server => join(&mut sockets, child.keys(), setup.users, rng)?,
        };
        Ok(Variant { kind, child, client: Client::new(sockets, users, kind.answerer)? })
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

    /// Ends the server; an error if it does not end well.
    pub fn end(mut self) -> Result<(), Failure> {
        self.child.terminate().map(|_| ())
    }
}
