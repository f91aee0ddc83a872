//! Where it is practised: the server, its ledger, the client hosts, and the wires between them.

use super::host::Host;
use super::moment::Moment;
use super::plan::Plan;
use crate::child::{Audit, ChildCommand, ChildOptions, ServerChild};
use crate::floor::{CorePair, siblings};
use crate::http;
use crate::lab::{Door, End, Star};
use redpkt::cli::Failure;
use redpkt::net::affinity::{allowed_cores, pin_current_thread};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long sources may give no answer while they are busy.
const AWAY_MAX: Duration = Duration::from_secs(30);

/// How often clients are told to send something when they have nothing to say, and after how much silence a session
/// ends: users who shake every 33 s, as in the article, need no more than that.
const KEEPALIVE: [&str; 4] = ["--keepalive", "60s", "--idle", "180s"];

/// Everything that runs.
pub struct Field {
    /// The client hosts.
    pub hosts: Vec<Host>,
    /// Where the server is asked.
    pub server_url: String,
    server: ServerChild,
    program: PathBuf,
    ledger: String,
    cores: CorePair,
    _door: Option<Door>,
    star: Option<Arc<Star>>,
}

/// What is known when all has ended.
pub struct Ended {
    /// The report of each client host.
    pub reports: Vec<Value>,
    /// The audit of ledger and tallies.
    pub audit: Audit,
}

impl Field {
    /// Starts the server, on loopback or in the middle of a star. Everything is kept in `directory`.
    pub fn start(star: Option<Arc<Star>>, plan: &Plan, directory: &Path) -> Result<Field, Failure> {
        let cores = CorePair::choose(&allowed_cores(), siblings);
        let ledger = format!("sqlite:{}", directory.join("ledger").display());
        let (packets, shares) = (2 * plan.packets().max(500), plan.shares().max(500));
        let sessions = plan.users.max(1_000);
        let mut arguments: Vec<String> = [
            ("--workers", 1),
            ("--cores", cores.server as u64),
            ("--sessions", sessions),
            ("--accounts", (4 * shares).min(2 * sessions)),
            ("--packets", packets),
            ("--members", 4 * shares),
        ]
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value.to_string()])
        .collect();
        arguments.extend(KEEPALIVE.map(str::to_owned));
        arguments.extend(["--shakes-per-s", "0", "--ledger"].map(str::to_owned));
        arguments.push(ledger.clone());
        let options = ChildOptions::new(ChildCommand::Serve, arguments)?;
        let program = options.program.clone();
        let server = match &star {
            None => ServerChild::start(options)?,
            Some(star) => ServerChild::start_in_star(star, options)?,
        };
        let door = star.as_ref().map(|star| Door::open(star, End::Server, server.http())).transpose()?;
        let server_url = door.as_ref().map_or_else(|| server.url(), Door::url);
        Ok(Field { hosts: Vec::new(), server_url, server, program, ledger, cores, _door: door, star })
    }

    /// Starts the client hosts, all on the core that the server's worker does not have.
    pub fn start_hosts(&mut self, plan: &Plan, directory: &Path) -> Result<(), Failure> {
        if self.cores.client != self.cores.server {
            // They follow this thread. What it does itself from here on is theirs too.
            pin_current_thread(self.cores.client).map_err(Failure::machine)?;
        }
        for number in 1..=plan.hosts {
            let host = Host::start(self.star.as_ref(), &self.server, plan, number, directory)?;
            self.hosts.push(host);
        }
        Ok(())
    }

    /// Where the client hosts are asked.
    pub fn host_urls(&self) -> Vec<String> {
        self.hosts.iter().map(|host| host.url.clone()).collect()
    }

    /// What all of them have counted by now. Who is too busy to answer is asked again.
    pub fn look(&mut self) -> Result<Moment, Failure> {
        let (begun, urls) = (Instant::now(), self.host_urls());
        loop {
            match Moment::read(&self.server_url, &urls) {
                Ok(moment) => return Ok(moment),
                Err(why) => {
                    self.hosts.iter_mut().try_for_each(Host::check)?;
                    if begun.elapsed() > AWAY_MAX {
                        return Err(Failure::machine(why));
                    }
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }

    /// `POST target` to the server, which must do it.
    pub fn order(&self, target: &str) -> Result<(), Failure> {
        http::order(&self.server_url, target).map(|_| ()).map_err(Failure::machine)
    }

    /// The share of the users that leaves and comes again in each second from now on.
    pub fn set_churn(&self, per_s: f64) -> Result<(), Failure> {
        let set = |host: &Host| http::order(&host.url, &format!("churn?share={per_s}")).map(|_| ());
        self.hosts.iter().try_for_each(set).map_err(Failure::machine)
    }

    /// Ends the clients, then the server, and audits what they leave.
    pub fn end(mut self) -> Result<Ended, Failure> {
        self.hosts.iter().try_for_each(Host::ask_to_end)?;
        let ended: Vec<(Value, PathBuf)> =
            self.hosts.iter_mut().map(Host::ended).collect::<Result<_, _>>()?;
        self.server.terminate()?;
        let (reports, tallies): (Vec<Value>, Vec<PathBuf>) = ended.into_iter().unzip();
        let audit = Audit::of(&self.program, &self.ledger, &tallies)?;
        Ok(Ended { reports, audit })
    }
}
