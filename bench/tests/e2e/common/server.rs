//! Servers as child processes: started, watched, always ended.

use super::http::{Reply, ask};
use super::place::{self, at_server};
use super::{Keys, PATIENCE, figures_when, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

/// A running server. Killed when it is dropped.
pub struct Server {
    child: Child,
    stdout: Output,
    stderr: Output,
    /// Where it listens for datagrams, in the order of `--listen`.
    pub listen: Vec<SocketAddr>,
    http: Option<SocketAddr>,
    /// What every HTTP request shows.
    authorization: Option<String>,
}

/// What a process writes to one of its ends.
pub(super) struct Output {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// A server with one worker, small tables and free ports, changed by `args`, once it listens.
    pub fn start(keys: &Keys, args: &[&str]) -> Server {
        Server::start_with(keys, args, &[])
    }

    /// The same with variables in its environment.
    pub fn start_with(keys: &Keys, args: &[&str], env: &[(&str, &str)]) -> Server {
        Server::start_to(keys, args, env, Stdio::piped())
    }

    /// The same with another stdout, which nobody reads here unless it is piped.
    pub fn start_to(keys: &Keys, args: &[&str], env: &[(&str, &str)], stdout: Stdio) -> Server {
        Server::start_command(command(&[]), keys, args, env, stdout)
    }

    /// The same as `start`, with a program that is given the server's command line and becomes it.
    pub fn start_under(wrapper: &[&str], keys: &Keys, args: &[&str]) -> Server {
        Server::start_command(command(wrapper), keys, args, &[], Stdio::piped())
    }

    fn start_command(
        mut command: Command,
        keys: &Keys,
        args: &[&str],
        env: &[(&str, &str)],
        stdout: Stdio,
    ) -> Server {
        command.stdout(stdout);
        command.arg("serve").arg("--key").arg(keys.path()).arg("--log-json").envs(env.iter().copied());
        let defaults = [
            ("--listen", place::listen()[0]),
            ("--http", "127.0.0.1:0"),
            ("--workers", "1"),
            ("--cores", "none"),
            ("--sessions", "4000"),
            ("--accounts", "4000"),
            ("--packets", "4000"),
            ("--shakes-per-s", "0"),
        ];
        for (name, value) in defaults.iter().filter(|(name, _)| !args.contains(name)) {
            command.args([name, value]);
        }
        command.args(args).args(place::arguments(args));
        let mut child = at_server(|| command.spawn()).expect("the server starts");
        // What was opened for the child is closed here.
        drop(command);
        let stdout = child.stdout.take().map_or_else(Output::none, |end| Output::of(Some(end)));
        let stderr = Output::of(child.stderr.take());
        let mut server = Server { child, stdout, stderr, listen: vec![], http: None, authorization: None };
        let serving = wait_for("the server to listen", || {
            assert!(server.child.try_wait().unwrap().is_none(), "it ended: {}", server.stderr());
            server.logged("serving").into_iter().next()
        });
        server.listen = addresses(&serving["listen"]);
        server.http = addresses(&serving["http"]).into_iter().next();
        server
    }

    /// Shows this token in every HTTP request from now on.
    pub fn with_token(mut self, token: &str) -> Server {
        self.authorization = Some(format!("Bearer {token}"));
        self
    }

    /// The first address that it listens at.
    pub fn addr(&self) -> SocketAddr {
        self.listen[0]
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn http(&self) -> SocketAddr {
        self.http.expect("a server with an HTTP side")
    }

    pub fn get(&self, target: &str) -> Reply {
        self.ask("GET", target)
    }

    pub fn ask(&self, method: &str, target: &str) -> Reply {
        let fields: Vec<_> =
            self.authorization.iter().map(|value| ("Authorization", value.as_str())).collect();
        ask(self.http(), method, target, &fields).expect("an HTTP answer")
    }

    /// All figures.
    pub fn stats(&self) -> Value {
        let reply = self.get("/stats.json");
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// The figures once they are as wished; workers publish theirs some times a second.
    pub fn stats_when(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        figures_when(what, || self.stats(), is_so)
    }

    /// What was dropped so far, by reason.
    pub fn drops(&self) -> BTreeMap<String, u64> {
        drops_of(&self.stats())
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("the server is there");
    }

    /// Ends it without warning.
    pub fn kill(mut self) {
        self.child.kill().expect("the server is there");
        self.child.wait().expect("its end");
    }

    /// Sends a signal and waits for the end: how it ended, and all that it wrote to stdout and stderr.
    pub fn end(mut self, signal: Signal) -> (ExitStatus, String, String) {
        self.signal(signal);
        let status = wait_for("the server to end", || self.child.try_wait().unwrap());
        (status, self.stdout.all(), self.stderr.all())
    }

    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// The fields of all log lines with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let stderr = self.stderr();
        let fields = |line: &str| serde_json::from_str::<Value>(line).ok()?.get("fields").cloned();
        stderr.lines().filter_map(fields).filter(|fields| fields["message"] == message).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error here says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("what the server wrote to stderr:\n{}", self.stderr());
        }
    }
}

impl Output {
    pub fn of(end: Option<impl Read + Send + 'static>) -> Output {
        let mut end = end.expect("its outputs are pipes");
        let text = Arc::new(Mutex::new(String::new()));
        let its_text = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let (mut bytes, mut pending) = ([0; 4_096], Vec::new());
            while let Ok(len @ 1..) = end.read(&mut bytes) {
                pending.extend_from_slice(&bytes[..len]);
                // Whole lines only: half a line is no JSON, and may be half a character.
                if let Some(at) = pending.iter().rposition(|byte| *byte == b'\n') {
                    let lines: Vec<u8> = pending.drain(..=at).collect();
                    its_text.lock().unwrap().push_str(&String::from_utf8_lossy(&lines));
                }
            }
        });
        Output { text, reader: Some(reader) }
    }

    /// Of an end that nobody reads here.
    fn none() -> Output {
        Output { text: Arc::default(), reader: None }
    }

    pub fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// Everything, after the process has ended.
    pub fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}

/// Reasons whose counts have grown between two readings of `drops`, and by how much.
pub fn grown(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let grown = |(name, count): (&String, &u64)| (name.clone(), count - before.get(name).unwrap_or(&0));
    after.iter().map(grown).filter(|(_, count)| *count > 0).collect()
}

fn drops_of(stats: &Value) -> BTreeMap<String, u64> {
    serde_json::from_value(stats["drops"].clone()).expect("drops by reason")
}

/// Runs the program with these arguments until it ends by itself: exit code, stdout, stderr.
pub fn run_to_end(args: &[&str]) -> (i32, String, String) {
    run_to_end_under(&[], args)
}

/// The same by way of a program that is given the command line and becomes it.
pub fn run_to_end_under(wrapper: &[&str], args: &[&str]) -> (i32, String, String) {
    let mut child = command(wrapper).args(args).spawn().expect("the program starts");
    let (mut stdout, mut stderr) = (Output::of(child.stdout.take()), Output::of(child.stderr.take()));
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > end => {
                let _ = child.kill();
                panic!("{args:?} does not end: {}", stderr.so_far());
            }
            None => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    };
    (status.code().expect("it ended by itself"), stdout.all(), stderr.all())
}

pub(super) fn command(wrapper: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_redpkt-bench");
    let mut words = wrapper.iter().copied().chain([program]);
    let mut command = Command::new(words.next().unwrap_or(program));
    command.args(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("RUST_LOG");
    // Whatever ends the test, ends it.
    command.env(redpkt_bench::child::PARENT, std::process::id().to_string());
    command
}

/// The addresses in a log field such as `[127.0.0.1:7100, [::1]:7100]` or `Some(127.0.0.1:7101)`.
fn addresses(field: &Value) -> Vec<SocketAddr> {
    let text = field.as_str().expect("text");
    let text = text.strip_prefix("Some(").and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    let text = match text.strip_prefix('[') {
        Some(list) if !text.starts_with("[:") => list.strip_suffix(']').unwrap_or(list),
        _ => text,
    };
    text.split(", ").filter_map(|addr| addr.parse().ok()).collect()
}
