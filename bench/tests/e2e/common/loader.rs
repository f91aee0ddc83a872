//! Load clients as child processes that can be watched and steered.

use super::http::{Reply, ask};
use super::server::{Output, command};
use super::{Keys, Server, figures_when, wait_for};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Child;

/// A running `redpkt-bench run --http-listen`. Killed when it is dropped.
pub struct Loader {
    child: Child,
    stderr: Output,
    pub http: SocketAddr,
}

impl Loader {
    /// Users who join this server and then do what they are told; `args` changes how.
    pub fn start(server: &Server, keys: &Keys, args: &[&str]) -> Loader {
        let mut command = command(&[]);
        command.arg("run").arg("--target").arg(server.addr().to_string()).arg("--key").arg(keys.path());
        let defaults = [("--qps", "0"), ("--duration", "10m"), ("--http-listen", "127.0.0.1:0")];
        for (name, value) in defaults.iter().filter(|(name, _)| !args.contains(name)) {
            command.args([name, value]);
        }
        let mut child = command.arg("--quiet").args(args).spawn().expect("the program starts");
        let stderr = Output::of(child.stderr.take());
        let http = wait_for("the client to say its address", || {
            let said = stderr.so_far();
            assert!(child.try_wait().unwrap().is_none(), "it ended: {said}");
            let line = said.lines().find_map(|line| line.strip_prefix("HTTP at http://"))?.to_owned();
            line.split(": ").next()?.parse().ok()
        });
        Loader { child, stderr, http }
    }

    /// The same once all have joined and the run goes on.
    pub fn running(server: &Server, keys: &Keys, args: &[&str]) -> Loader {
        let loader = Loader::start(server, keys, args);
        loader.stats_when("the run to begin", |stats| stats["phase"] == "running");
        loader
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub fn ask(&self, method: &str, target: &str) -> Reply {
        ask(self.http, method, target, &[]).expect("an HTTP answer")
    }

    pub fn post(&self, target: &str) -> Value {
        let reply = self.ask("POST", target);
        assert_eq!(reply.status, 200, "{target}: {reply:?}");
        reply.json()
    }

    pub fn stats(&self) -> Value {
        self.ask("GET", "/stats.json").json()
    }

    pub fn stats_when(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        figures_when(what, || self.stats(), is_so)
    }

    /// Waits for its end: its exit code, and what it wrote to stderr.
    pub fn ended(mut self) -> (i32, String) {
        let status = wait_for("the client to end", || self.child.try_wait().unwrap());
        (status.code().expect("it ended by itself"), self.stderr.all())
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // An error here says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
