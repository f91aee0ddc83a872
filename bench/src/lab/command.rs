//! The command `lab`: what users write, and the process that they start.

use super::{Lab, QUEUES_MAX, Side};
use crate::child::guard;
use clap::{Args, ValueEnum as _};
use nix::sched::{CloneFlags, unshare};
use redpkt::cli::Failure;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, ExitStatus};

/// The hidden command that runs in the process namespace.
const KEEPER: &str = "lab-keeper";

/// Options of `lab`.
#[derive(Args)]
#[command(after_help = "\
Both commands find the two ends in REDPKT_LAB_SERVER_IP, REDPKT_LAB_CLIENT_IP, REDPKT_LAB_SERVER_IF and
REDPKT_LAB_CLIENT_IF. When COMMAND ends the server's command is asked to end (SIGTERM) and given 10 s, everything
else that was started in the lab is killed, and the exit code is COMMAND's. An interrupt ends all of it at once,
and so does the end of redpkt-bench itself, however it dies. Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN) and `ip`.

Examples:
  redpkt-bench lab -- ping -c 3 10.77.0.1
  redpkt-bench lab -- bash
  redpkt-bench lab --queues 2 --server-command 'redpkt serve --io xdp --iface $REDPKT_LAB_SERVER_IF \\
      --listen $REDPKT_LAB_SERVER_IP:7100 --key redpkt.key' \\
    -- redpkt-bench run --target 10.77.0.1:7100 --key redpkt.key --users 1000 --qps 20000 --duration 10s")]
pub struct LabArgs {
    /// Queues of each interface
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(QUEUES_MAX)))]
    pub(super) queues: u32,
    /// The side that COMMAND runs on
    #[arg(long, value_name = "SIDE", value_enum, default_value = "client")]
    pub(super) side: Side,
    /// A shell command that runs on the server's side until COMMAND ends
    #[arg(long, value_name = "CMD")]
    pub(super) server_command: Option<String>,
    /// What to run, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// Runs commands in a lab; the exit code is that of `COMMAND`.
pub fn run(args: &LabArgs) -> Result<ExitCode, Failure> {
    if let Some(why) = Lab::why_not() {
        return Err(Failure::machine(why));
    }
    guard::install();
    let program = std::env::current_exe()
        .map_err(|error| Failure::machine(format!("finding this program to start it again: {error}")))?;
    let mut keeper = Command::new(program);
    keeper.arg(KEEPER).args(["--queues", &args.queues.to_string()]);
    let side = args.side.to_possible_value();
    keeper.arg("--side").args(side.iter().map(|side| side.get_name()));
    if let Some(command) = &args.server_command {
        // One argument, since it may begin with a dash.
        keeper.arg(format!("--server-command={command}"));
    }
    keeper.arg("--").args(&args.command).env(guard::PARENT, std::process::id().to_string());
    // A thread of its own: one whose children are in another process namespace can start no more threads.
    let thread =
        std::thread::Builder::new().name("lab".into()).spawn(move || in_a_process_namespace(&mut keeper));
    let ended = match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(ended)) => ended,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => Err(error),
    };
    let status = ended.map_err(|error| Failure::machine(format!("starting a process namespace: {error}")))?;
    Ok(ExitCode::from(code(status)))
}

/// Runs it as the first process of a process namespace, so that all that it starts goes when it goes.
fn in_a_process_namespace(command: &mut Command) -> std::io::Result<ExitStatus> {
    unshare(CloneFlags::CLONE_NEWPID)?;
    let mut child = guard::spawn(command)?;
    let status = child.wait();
    guard::forget(child.id());
    status
}

/// As shells tell it: a signal is 128 and its number.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
