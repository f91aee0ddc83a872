//! Child processes: servers that are started, watched and stopped.
//!
//! A child is this program itself with a hidden command, on free ports of loopback or of a lab, with a key file and a
//! log in a temporary directory of its own. Nothing of it is left behind: dropping kills it and removes
//! the directory, an interrupt of the parent does the same (`guard`), and should the parent be killed
//! outright, the kernel kills the child.

mod audit;
pub(crate) mod guard;
mod place;

pub use audit::Audit;
pub use guard::{PARENT, directory as temporary_directory, follow_parent};

use crate::lab::{Lab, Side, Star};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use place::Place;
use procfs::WithCurrentSystemInfo;
use procfs::process::Process;
use redpkt::cli::Failure;
use redpkt::control::os_seeded_rng;
use redpkt_proto::body::Keepalive;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::{Direction, FRAME_BYTES, Frame, Header, Op};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zerocopy::IntoBytes as _;

/// How long a child may take until it answers: a server for millions of sessions first lays its memory.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a child that was asked to end may take.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// How long an HTTP request to a child may take.
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);

/// Other ports tried when somebody was faster to take the free ones.
const TRIES: usize = 5;

/// How long a port is left to somebody else before it is tried again.
const PORT_PAUSE: Duration = Duration::from_millis(300);

/// The key file's name in the child's directory.
const KEY_FILE: &str = "redpkt.key";

/// The name of the file with everything that the child prints.
const LOG_FILE: &str = "output.log";

/// What a child says when it cannot have its port: its own words on UDP, the system's on TCP.
const PORT_TAKEN: [&str; 2] = ["the port is taken", "Address already in use"];

/// Lines of a child's output that are shown when it fails.
const LINES_SHOWN: usize = 12;

/// What a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildCommand {
    /// The server.
    Serve,
    /// The bare echo.
    Echo,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct ChildOptions {
    /// The `redpkt-bench` to execute.
    pub program: PathBuf,
    /// Which of its hidden commands.
    pub command: ChildCommand,
    /// Its options; addresses and the key file are chosen by [`ServerChild::start`].
    pub arguments: Vec<OsString>,
}

impl ChildOptions {
    /// This program, as the server or the echo, with these options.
    pub fn new<A: Into<OsString>>(
        command: ChildCommand,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<ChildOptions, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::machine(format!("finding this program to start it again: {error}")))?;
        Ok(ChildOptions { program, command, arguments: arguments.into_iter().map(Into::into).collect() })
    }
}

/// A running server or echo. It lives at most as long as the thread that started it.
#[derive(Debug)]
pub struct ServerChild {
    options: ChildOptions,
    process: Child,
    listen: SocketAddr,
    http: SocketAddr,
    keys: KeyRing,
    directory: TempDir,
    place: Place,
}

/// Why a child does not answer.
enum NotReady {
    /// Somebody took one of its ports before it did.
    PortTaken,
    Failed(Failure),
}

impl ServerChild {
    /// Starts a child on loopback and waits until it answers.
    pub fn start(options: ChildOptions) -> Result<ServerChild, Failure> {
        ServerChild::start_at(Place::Loopback, options)
    }

    /// Starts a child on the server's side of a lab and waits until it answers. It takes datagrams at the
    /// lab's address; its figures stay on loopback there, where [`ServerChild::stats`] reads them. Clients
    /// belong on the lab's other side.
    pub fn start_in(lab: &Arc<Lab>, options: ChildOptions) -> Result<ServerChild, Failure> {
        ServerChild::start_at(Place::Lab(Arc::clone(lab)), options)
    }

    /// The same in the middle of a star.
    pub fn start_in_star(star: &Arc<Star>, options: ChildOptions) -> Result<ServerChild, Failure> {
        ServerChild::start_at(Place::Star(Arc::clone(star)), options)
    }

    fn start_at(place: Place, options: ChildOptions) -> Result<ServerChild, Failure> {
        guard::install();
        let directory = guard::directory()
            .map_err(|error| Failure::machine(format!("making a temporary directory: {error}")))?;
        let mut rng =
            os_seeded_rng().map_err(|error| Failure::machine(format!("no random bytes: {error}")))?;
        let keys = KeyRing::generate(&mut rng);
        write_key_file(&directory.path().join(KEY_FILE), &keys)?;
        let (listen, http) = place.free_ports()?;
        let process = place.at(Side::Server, || spawn(&options, listen, http, directory.path()))??;
        let mut child = ServerChild { options, process, listen, http, keys, directory, place };
        for _ in 1..TRIES {
            match child.wait_until_ready() {
                Ok(()) => return Ok(child),
                Err(NotReady::Failed(failure)) => return Err(failure),
                Err(NotReady::PortTaken) => {
                    (child.listen, child.http) = child.place.free_ports()?;
                    child.spawn_again()?;
                }
            }
        }
        child.wait_until_ready().map(|()| child).map_err(Failure::from)
    }

    /// Starts it again after it ended, at the same addresses with the same keys and options.
    pub fn restart(&mut self) -> Result<(), Failure> {
        for _ in 1..TRIES {
            self.spawn_again()?;
            match self.wait_until_ready() {
                // Somebody else has it for a moment.
                Err(NotReady::PortTaken) => std::thread::sleep(PORT_PAUSE),
                result => return result.map_err(Failure::from),
            }
        }
        self.spawn_again()?;
        self.wait_until_ready().map_err(Failure::from)
    }

    /// Starts it again, and does not wait until it answers.
    pub fn spawn_again(&mut self) -> Result<(), Failure> {
        self.kill();
        guard::forget(self.process.id());
        let again = || spawn(&self.options, self.listen, self.http, self.directory.path());
        self.process = self.place.at(Side::Server, again)??;
        Ok(())
    }

    /// Where it takes datagrams.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where the server tells its figures, on its side of the lab if it is in one; the echo has none.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The keys that it checks tickets with.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The file that these keys are in.
    pub fn key_file(&self) -> PathBuf {
        self.directory.path().join(KEY_FILE)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything that it has printed, logs included.
    pub fn output(&self) -> String {
        let bytes = std::fs::read(self.directory.path().join(LOG_FILE)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What `GET /stats.json` says now. The workers publish every 50 ms.
    pub fn stats(&self) -> Result<serde_json::Value, Failure> {
        let failed = |error| self.failed(&format!("GET /stats.json: {error}"));
        let ask = || get(self.http, "/stats.json").and_then(|mut response| response.body_mut().read_json());
        self.place.at(Side::Server, ask)?.map_err(failed)
    }

    /// CPU time of all its threads since it started, in ns. A thread that runs at this moment may lack the
    /// time since the kernel's last tick.
    pub fn cpu_ns(&self) -> Result<u64, Failure> {
        let tasks = self.process().and_then(|process| process.tasks());
        let sum = tasks
            .map(|tasks| tasks.filter_map(|task| Some(task.ok()?.schedstat().ok()?.sum_exec_runtime)).sum());
        sum.map_err(|error| self.failed(&format!("reading its CPU time: {error}")))
    }

    /// Bytes of it that are in memory.
    pub fn rss_bytes(&self) -> Result<u64, Failure> {
        let stat = self.process().and_then(|process| process.stat());
        let bytes = stat.map(|stat| stat.rss_bytes().get());
        bytes.map_err(|error| self.failed(&format!("reading its resident size: {error}")))
    }

    fn process(&self) -> procfs::ProcResult<Process> {
        Process::new(self.process.id() as i32)
    }

    /// Asks it to end (SIGTERM), waits until it has, and returns everything that it has printed.
    pub fn terminate(&mut self) -> Result<String, Failure> {
        // Nothing ended it before, or its exit status is the answer.
        let _ = kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < END_TIMEOUT {
            match self.exit_status() {
                Some(status) if status.success() || self.has_no_orderly_end() => return Ok(self.output()),
                Some(status) => return Err(self.failed(&format!("it ended with {status}"))),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        self.kill();
        Err(self.failed(&format!("it did not end within {END_TIMEOUT:?} of SIGTERM and was killed")))
    }

    /// Ends it at once (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// The echo keeps nothing and catches no signal.
    fn has_no_orderly_end(&self) -> bool {
        self.options.command == ChildCommand::Echo
    }

    fn exit_status(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    fn wait_until_ready(&mut self) -> Result<(), NotReady> {
        let started = Instant::now();
        while started.elapsed() < READY_TIMEOUT {
            let answered = match self.options.command {
                ChildCommand::Serve => self.place.at(Side::Server, || get(self.http, "/healthz").is_ok()),
                ChildCommand::Echo => self.place.at(Side::Client, || is_echoed(self.listen)),
            };
            let answered = answered.map_err(NotReady::Failed)?;
            match self.exit_status() {
                None if answered => return Ok(()),
                None => std::thread::sleep(Duration::from_millis(5)),
                Some(_) if PORT_TAKEN.iter().any(|words| self.output().contains(words)) => {
                    return Err(NotReady::PortTaken);
                }
                Some(status) => {
                    return Err(NotReady::Failed(self.failed(&format!("it ended with {status}"))));
                }
            }
        }
        Err(NotReady::Failed(self.failed(&format!("it did not answer within {READY_TIMEOUT:?}"))))
    }

    /// A failure of this child, with its last words.
    fn failed(&self, what: &str) -> Failure {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
        let last = if last.is_empty() { "nothing".to_owned() } else { format!("\n  {}", last.join("\n  ")) };
        Failure::machine(format!("{}: {what}; it printed: {last}", self.options.command.name()))
    }
}

impl Drop for ServerChild {
    fn drop(&mut self) {
        self.kill();
        guard::forget(self.process.id());
    }
}

impl From<NotReady> for Failure {
    fn from(why: NotReady) -> Failure {
        match why {
            NotReady::PortTaken => Failure::machine("somebody else keeps taking the free ports"),
            NotReady::Failed(failure) => failure,
        }
    }
}

impl ChildCommand {
    fn name(self) -> &'static str {
        match self {
            ChildCommand::Serve => "serve",
            ChildCommand::Echo => "echo",
        }
    }
}

fn spawn(
    options: &ChildOptions,
    listen: SocketAddr,
    http: SocketAddr,
    directory: &Path,
) -> Result<Child, Failure> {
    let cannot = |error| {
        Failure::machine(format!(
            "starting {} {}: {error}",
            options.program.display(),
            options.command.name()
        ))
    };
    let log = File::create(directory.join(LOG_FILE)).map_err(cannot)?;
    let mut command = Command::new(&options.program);
    command.arg(options.command.name()).arg("--listen").arg(listen.to_string());
    if options.command == ChildCommand::Serve {
        command.arg("--http").arg(http.to_string()).arg("--key").arg(directory.join(KEY_FILE));
    }
    command.args(&options.arguments).env(PARENT, std::process::id().to_string());
    // A group of its own: an interrupt from the terminal is for the parent, which then ends the child.
    command.stdin(Stdio::null()).process_group(0);
    command.stdout(log.try_clone().map_err(cannot)?).stderr(log);
    guard::spawn(&mut command).map_err(cannot)
}

fn write_key_file(path: &Path, keys: &KeyRing) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(keys.to_text().as_bytes()))
        .map_err(|error| Failure::machine(format!("writing {}: {error}", path.display())))
}

fn get(addr: SocketAddr, path: &str) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    // No proxy: the environment's is for other machines.
    let config = ureq::Agent::config_builder().timeout_global(Some(HTTP_TIMEOUT)).proxy(None).build();
    ureq::Agent::new_with_config(config).get(format!("http://{addr}{path}")).call()
}

fn is_echoed(addr: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(addr)?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        // A whole frame: with AF_XDP the program at the interface drops what cannot be one.
        let header = Header::new(1, Direction::ToServer, Op::Keepalive);
        let question =
            Frame::new(header, &Keepalive { server_wall_ms: 0.into(), token: 0.into(), reserved: [0; 16] });
        socket.send(question.as_bytes())?;
        let mut answer = [0; FRAME_BYTES + 1];
        let bytes = socket.recv(&mut answer)?;
        Ok(&answer[..bytes] == question.as_bytes())
    };
    ask().unwrap_or(false)
}
