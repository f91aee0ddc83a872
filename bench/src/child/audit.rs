//! A ledger's audit, by the server's own `audit` in a process of its own.

use super::guard;
use redpkt::cli::Failure;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What an audit found.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Whether every rule on money holds.
    pub ok: bool,
    /// Everything, as `redpkt audit --json` prints it.
    pub report: Value,
}

impl Audit {
    /// Audits a ledger, and with it what clients were told. `program` is the `redpkt-bench` to execute.
    pub fn of(program: &Path, ledger: &str, tallies: &[PathBuf]) -> Result<Audit, Failure> {
        let mut command = Command::new(program);
        command.args(["audit", "--json", "--ledger", ledger]);
        for tally in tallies {
            command.arg("--tally").arg(tally);
        }
        command.env(guard::PARENT, std::process::id().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let cannot = |error| Failure::machine(format!("starting {} audit: {error}", program.display()));
        let output = command.output().map_err(cannot)?;
        // 1 is an audit that found something: its report is there.
        match serde_json::from_slice::<Value>(&output.stdout) {
            Ok(report) if matches!(output.status.code(), Some(0 | 1)) => {
                let ok = output.status.success() && report["ok"] == true;
                Ok(Audit { ok, report })
            }
            _ => {
                let why = String::from_utf8_lossy(&output.stderr);
                Err(Failure::machine(format!("auditing {ledger}: {}: {}", output.status, why.trim())))
            }
        }
    }

    /// A number of the report; 0 if it is not there.
    pub fn number(&self, pointer: &str) -> i64 {
        self.report.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
    }

    /// In one line: that all is well, or the first differences.
    pub fn verdict(&self) -> String {
        if self.ok {
            let [rows, commits] = ["/rows", "/commits"].map(|name| self.number(name));
            return format!("every rule on money holds over {rows} rows in {commits} commits");
        }
        let first: Vec<String> = self.report["differences"]
            .as_array()
            .into_iter()
            .flatten()
            .take(3)
            .map(|difference| {
                let text = |name: &str| difference[name].as_str().unwrap_or_default();
                format!("{}: said {}; found {}", text("rule"), text("said"), text("found"))
            })
            .collect();
        format!("{} differences: {}", self.report["difference_count"], first.join(" | "))
    }
}
