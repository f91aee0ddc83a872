//! A client host: a load client as a process of its own, on a wire of its own where there are namespaces.

use super::plan::Plan;
use crate::child::{PARENT, ServerChild, guard};
use crate::http;
use crate::lab::{Door, End, Star};
use redpkt::cli::Failure;
use serde_json::Value;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a client says before its HTTP address.
const SAID_BEFORE: &str = "HTTP at http://";

/// How long it may take until it says that.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it may take to end: the last answers are waited for.
const END_TIMEOUT: Duration = Duration::from_secs(90);

/// How long it sleeps between two turns: many hosts share one core, and how long an answer takes is not what is
/// practised.
const NAP: &str = "2ms";

/// Ports that its users come from.
const SOURCE_PORTS: &str = "4";

/// A running client.
pub struct Host {
    number: u32,
    /// Where its users speak from.
    pub address: IpAddr,
    /// Where it is asked.
    pub url: String,
    process: Child,
    log: PathBuf,
    report: PathBuf,
    tally: PathBuf,
    _door: Option<Door>,
}

impl Host {
    /// Starts host `number`, from 1. Its files are in `directory`.
    pub fn start(
        star: Option<&Arc<Star>>,
        server: &ServerChild,
        plan: &Plan,
        number: u32,
        directory: &Path,
    ) -> Result<Host, Failure> {
        let at = number as usize - 1;
        let within = |what: &str| directory.join(format!("host-{number}{what}"));
        let (log, report, tally) = (within(".log"), within(".json"), within(".tally.jsonl"));
        let cannot = |error| Failure::machine(format!("starting client host {number}: {error}"));
        let program = std::env::current_exe().map_err(cannot)?;
        let output = File::create(&log).map_err(cannot)?;
        let mut command = Command::new(program);
        command.args(["run", "--quiet", "--qps", "0", "--duration", "24h", "--http-listen", "127.0.0.1:0"]);
        command.args(["--nap", NAP, "--spin", "0s", "--source-ports", SOURCE_PORTS, "--obey"]);
        command.arg("--target").arg(server.listen().to_string()).arg("--key").arg(server.key_file());
        command.args(["--users", &plan.users.to_string(), "--hosts", &format!("{number}/{}", plan.hosts)]);
        command.arg("--json").arg(&report).arg("--tally").arg(&tally);
        command.env(PARENT, std::process::id().to_string()).stdin(Stdio::null()).process_group(0);
        command.stdout(output.try_clone().map_err(cannot)?).stderr(output);
        let (process, address) = match star {
            None => (guard::spawn(&mut command), IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Some(star) => (star.inside(End::Host(at), || guard::spawn(&mut command))?, star.host_address(at)),
        };
        let process = process.map_err(cannot)?;
        let (url, _door) = (String::new(), None);
        let mut host = Host { number, address, url, process, log, report, tally, _door };
        let own = host.own_http()?;
        match star {
            None => host.url = format!("http://{own}"),
            Some(star) => {
                let door = Door::open(star, End::Host(at), own)?;
                (host.url, host._door) = (door.url(), Some(door));
            }
        }
        Ok(host)
    }

    /// Where it serves HTTP, by its own word.
    fn own_http(&mut self) -> Result<SocketAddr, Failure> {
        let begun = Instant::now();
        while begun.elapsed() < READY_TIMEOUT {
            let said = self.said();
            let address = said.lines().find_map(|line| line.strip_prefix(SAID_BEFORE)?.split(": ").next());
            if let Some(address) = address.and_then(|text| text.parse().ok()) {
                return Ok(address);
            }
            self.check()?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(self.failed("it did not start"))
    }

    /// It must be running.
    pub fn check(&mut self) -> Result<(), Failure> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(&format!("it ended with {status}"))),
            Err(error) => Err(self.failed(&error.to_string())),
        }
    }

    /// Asks it to end in order.
    pub fn ask_to_end(&self) -> Result<(), Failure> {
        http::order(&self.url, "stop").map(|_| ()).map_err(Failure::machine)
    }

    /// Waits until it has ended; its report, and the file with its tally.
    pub fn ended(&mut self) -> Result<(Value, PathBuf), Failure> {
        let asked = Instant::now();
        let status = loop {
            match self.process.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if asked.elapsed() < END_TIMEOUT => std::thread::sleep(Duration::from_millis(20)),
                Ok(None) => return Err(self.failed(&format!("it did not end within {END_TIMEOUT:?}"))),
                Err(error) => return Err(self.failed(&error.to_string())),
            }
        };
        let report = std::fs::read(&self.report).ok().and_then(|text| serde_json::from_slice(&text).ok());
        match report {
            Some(report) => Ok((report, self.tally.clone())),
            None => Err(self.failed(&format!("it ended with {status} and without a report"))),
        }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn failed(&self, what: &str) -> Failure {
        let said = self.said();
        let last: Vec<&str> = said.lines().rev().take(6).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Failure::machine(format!("client host {}: {what}; it printed: {}", self.number, last.join(" | ")))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        guard::forget(self.process.id());
    }
}
