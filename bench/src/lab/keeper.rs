//! The process that keeps a lab of the command line: the first one of a process namespace, so that the kernel kills
//! whatever was started in there when it ends, and it ends with the `lab` that started it.

use super::{Lab, LabArgs, Side};
use crate::child::guard;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, wait, waitpid};
use nix::unistd::Pid;
use redpkt::cli::Failure;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// How long the server's command may take to end once it was asked to.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes the lab, runs the commands, and ends; nothing of them outlives it.
pub fn keep(args: &LabArgs) -> Result<ExitCode, Failure> {
    show_own_processes()
        .map_err(|error| Failure::machine(format!("mounting /proc for a process namespace: {error}")))?;
    let lab = Lab::new(args.queues)?;
    let server = args.server_command.as_deref().map(|command| start_server(&lab, command)).transpose()?;
    let [program, arguments @ ..] = &args.command[..] else {
        return Err(Failure::usage("-- COMMAND is missing: say what to run in the lab"));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    let child = lab.inside(args.side, || in_lab(&mut command, &lab).spawn())?;
    let child = child.map_err(|error| {
        Failure::usage(format!("-- COMMAND: starting {}: {error}", program.to_string_lossy()))
    })?;
    wait_for(pid(child.id()), server)
}

/// Waits for the command, tells its exit code, and has the server's command end.
fn wait_for(command: Pid, server: Option<Pid>) -> Result<ExitCode, Failure> {
    let mut server = server;
    loop {
        // Of orphans too: nobody else is there to take them.
        let status = wait().map_err(|error| Failure::machine(format!("waiting for COMMAND: {error}")))?;
        if status.pid().is_some() && status.pid() == server {
            let code = how(status).unwrap_or(1);
            eprintln!("redpkt-bench: --server-command ended before COMMAND, with exit code {code}");
            server = None;
        }
        if status.pid() == Some(command)
            && let Some(code) = how(status)
        {
            server.into_iter().for_each(end);
            return Ok(ExitCode::from(code));
        }
    }
}

/// Asks a process group to end, and waits until its first process has.
fn end(group: Pid) {
    // It fails when it has ended already, and then the wait says so.
    let _ = killpg(group, Signal::SIGTERM);
    let asked = Instant::now();
    while let Ok(WaitStatus::StillAlive) = waitpid(group, Some(WaitPidFlag::WNOHANG)) {
        if asked.elapsed() > END_TIMEOUT {
            return eprintln!(
                "redpkt-bench: --server-command did not end within {END_TIMEOUT:?} and is killed"
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn start_server(lab: &Lab, text: &str) -> Result<Pid, Failure> {
    let mut command = Command::new("sh");
    // A group of its own, so that all of a pipeline can be asked to end.
    command.args(["-c", text]).stdin(Stdio::null()).process_group(0);
    let child = lab.inside(Side::Server, || in_lab(&mut command, lab).spawn())?;
    let child =
        child.map_err(|error| Failure::machine(format!("--server-command {text}: starting sh: {error}")))?;
    Ok(pid(child.id()))
}

fn in_lab<'a>(command: &'a mut Command, lab: &Lab) -> &'a mut Command {
    // The parent that this process follows is not theirs.
    command.env_remove(guard::PARENT);
    for (side, name) in [(Side::Server, "SERVER"), (Side::Client, "CLIENT")] {
        command.env(format!("REDPKT_LAB_{name}_IP"), lab.address(side).to_string());
        command.env(format!("REDPKT_LAB_{name}_IF"), lab.interface(side));
    }
    command
}

/// Gives this process and its children a /proc that counts processes as they do.
fn show_own_processes() -> nix::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), NONE)
}

/// An exit code, as shells tell it; `None` for what is no end.
fn how(status: WaitStatus) -> Option<u8> {
    match status {
        WaitStatus::Exited(_, code) => u8::try_from(code).ok(),
        WaitStatus::Signaled(_, signal, _) => u8::try_from(128 + signal as i32).ok(),
        _ => None,
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id as i32)
}
