//! What a scenario plays on: a server in the lab that has a part of a core, its ledger, its users, and at the end the
//! audit of all that.

use super::thief::Thief;
use crate::child::{Audit, ChildCommand, ChildOptions, ServerChild, temporary_directory};
use crate::floor::CorePair;
use crate::http::{self, Reply};
use crate::lab::{Lab, PEERS, Side};
use crate::run::{Mix, Rate, Row, RunOptions, SeriesOptions, XdpClient, write_tally};
use procfs::process::Process;
use redpkt::cli::Failure;
use redpkt::net::affinity::pin_thread;
use redpkt::net::xdp::{XdpMode, XdpOptions};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Packets minted a second, so that there is something to open.
pub const WINS_PER_S: u64 = 200;

/// How long a rebuild is asked for again where something of it is still under way.
const REBUILD_MAX: Duration = Duration::from_secs(10);

/// What all scenarios have in common.
pub struct World {
    pub lab: Arc<Lab>,
    pub cores: CorePair,
    /// The server's engine: `mmsg` or `xdp`.
    pub io: String,
    /// The server has one part of so many of its core.
    pub share: u32,
    pub users: u64,
    /// Shakes a second that are all answered in time; 0 until it is found.
    pub knee_qps: u64,
    pub times: Times,
    /// Whether it is a smoke test.
    pub quick: bool,
}

/// How long everything takes.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Half the knee, before: what is normal.
    pub lead: Duration,
    /// What the scenario is about.
    pub load: Duration,
    /// Half the knee, after.
    pub after: Duration,
    /// When a request counts as unanswered.
    pub deadline: Duration,
    /// A piece of the series.
    pub piece: Duration,
}

impl World {
    /// A rate of so many times the knee, of requests a second.
    pub fn rate(&self, times: f64) -> Rate {
        Rate::requests_per_s(((self.knee_qps as f64 * times) as u64).max(1))
    }

    /// How long a scenario of all three parts takes.
    pub fn time(&self) -> Duration {
        let Times { lead, load, after, .. } = self.times;
        lead + load + after
    }
}

/// How users reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Past the client's kernel, each from an address of its own: through sockets one core does not offer enough.
    Xdp,
    /// Through sockets, where something else has the interface's queues.
    Sockets,
}

/// A server with its ledger.
pub struct Stage<'a> {
    pub world: &'a World,
    pub child: ServerChild,
    thief: Option<Thief>,
    program: PathBuf,
    arguments: BTreeMap<&'static str, String>,
    tallies: Vec<PathBuf>,
    /// Goes last.
    directory: TempDir,
}

impl<'a> Stage<'a> {
    /// A fresh server, whose options differ from the usual ones by `options`: names without dashes, and values; an
    /// empty value is a switch.
    pub fn start(world: &'a World, options: &[(&'static str, String)]) -> Result<Stage<'a>, Failure> {
        let directory = temporary_directory()
            .map_err(|error| Failure::machine(format!("making a temporary directory: {error}")))?;
        let mut arguments: BTreeMap<&'static str, String> = [
            ("workers", "1".to_owned()),
            ("cores", world.cores.server.to_string()),
            ("shakes-per-s", "0".to_owned()),
            ("sessions", world.users.to_string()),
            ("accounts", (2 * world.users).to_string()),
            ("io", world.io.clone()),
            ("ledger", format!("sqlite:{}", directory.path().join("ledger").display())),
            ("mint", WINS_PER_S.to_string()),
            ("mint-total", "190000".to_owned()),
        ]
        .into();
        if world.io == "xdp" {
            arguments.insert("iface", world.lab.interface(Side::Server).to_owned());
        }
        arguments.extend(options.iter().cloned());
        let options = child_options(&arguments)?;
        let program = options.program.clone();
        let child = ServerChild::start_in(&world.lab, options)?;
        Ok(Stage { world, child, thief: None, program, arguments, tallies: Vec::new(), directory })
    }

    /// Starts the server anew, on the ledger that it has, after something was done to that.
    pub fn restart(&mut self, change: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
        self.child.terminate()?;
        change(&self.directory.path().join("ledger"))?;
        self.child = ServerChild::start_in(&self.world.lab, child_options(&self.arguments)?)?;
        Ok(())
    }

    /// A directory that goes with this.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// From now on the worker has only its part of the core. The server's other threads have the client's core: one of
    /// them before the worker would take what is left for many ms.
    pub fn squeeze(&mut self) -> Result<(), Failure> {
        let World { share, cores, .. } = self.world;
        let failed = |error| Failure::machine(format!("--share: reading the server's threads: {error}"));
        let process = Process::new(self.child.id().cast_signed()).map_err(failed)?;
        for thread in process.tasks().map_err(failed)? {
            let thread = thread.map_err(failed)?;
            if !thread.stat().map_err(failed)?.comm.starts_with("worker-") {
                pin_thread(thread.tid, cores.client).map_err(Failure::machine)?;
            }
        }
        self.thief = Some(Thief::start(*share, cores.server)?);
        Ok(())
    }

    /// Users who shake at a rate, and open what they win.
    pub fn users(&self, way: Way, rate: Rate, duration: Duration) -> RunOptions {
        let World { lab, cores, users, times, .. } = self.world;
        let interface = lab.interface(Side::Client).to_owned();
        let xdp = XdpClient {
            xdp: XdpOptions { interface, vlan: None, mode: XdpMode::Auto },
            network: PEERS[0].parse().ok(),
            server_mac: None,
        };
        RunOptions {
            deadline: times.deadline,
            cores: vec![cores.client],
            align: Duration::from_millis(1),
            grace: Duration::from_millis(500),
            mix: Mix { open: 1.0, ..Mix::default() },
            xdp: (way == Way::Xdp).then_some(xdp),
            series: Some(SeriesOptions { piece: times.piece, apart: None }),
            ..RunOptions::new(self.child.listen(), self.child.keys().clone(), *users, rate, duration)
        }
    }

    /// Keeps what users were told, for the audit.
    pub fn told(&mut self, rows: &[Row]) -> Result<(), Failure> {
        let file = self.directory.path().join(format!("tally-{}.jsonl", self.tallies.len()));
        write_tally(&file, rows)?;
        self.tallies.push(file);
        Ok(())
    }

    /// `POST target`, whatever the answer.
    pub fn post(&self, target: &str) -> Result<Reply, Failure> {
        let post = || http::post(&self.child.url(), target);
        self.world.lab.inside(Side::Server, post)?.map_err(Failure::machine)
    }

    /// `POST target`, which must be done.
    pub fn order(&self, target: &str) -> Result<(), Failure> {
        let Reply { status, body } = self.post(target)?;
        match status {
            200 | 201 => Ok(()),
            status => Err(Failure::check(format!("POST {target}: {status} {}", body.trim()))),
        }
    }

    /// `POST target`, again until nothing of it is under way any more; how long it took, in s.
    pub fn rebuild(&self, target: &str) -> Result<f64, Failure> {
        let begun = Instant::now();
        loop {
            match self.order(target) {
                Err(_) if begun.elapsed() < REBUILD_MAX => std::thread::sleep(Duration::from_millis(100)),
                done => return done.map(|()| begun.elapsed().as_secs_f64()),
            }
        }
    }

    /// Ends the server and audits its ledger, with all that users were told.
    pub fn audit(&mut self) -> Result<Audit, Failure> {
        self.thief = None;
        self.child.terminate()?;
        Audit::of(&self.program, &self.arguments["ledger"], &self.tallies)
    }
}

fn child_options(arguments: &BTreeMap<&'static str, String>) -> Result<ChildOptions, Failure> {
    let argument = |(name, value): (&&str, &String)| match value.as_str() {
        "" => format!("--{name}"),
        value => format!("--{name}={value}"),
    };
    ChildOptions::new(ChildCommand::Serve, arguments.iter().map(argument))
}
