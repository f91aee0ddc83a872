//! `redpkt doctor`: what of this machine helps or hinders a server, and the commands that change it.
//!
//! It only looks: what it tries, it tries at sockets of its own, which are closed again.
//!
//! | file | what |
//! |---|---|
//! | `check` | what was found, as a table and as JSON |
//! | `kernel`, `processor`, `process`, `clock`, `sockets` | the machine, and what a process gets of it |
//! | `interfaces`, `card` | an interface: what it offers to AF_XDP, and how it brings datagrams to cores |
//! | `server` | what a running server really got |
//! | `read` | files in which the kernel tells of itself |

mod card;
mod check;
mod clock;
mod interfaces;
mod kernel;
mod process;
mod processor;
mod read;
mod server;
mod sockets;

use super::Failure;
use super::lines::print_result;
use crate::net::XdpError;
use crate::net::affinity::allowed_cores;
use crate::net::xdp::Interface;
use crate::telemetry::machine::Machine;
use check::{Check, to_json, to_table};
use clap::Args;

/// Options of `doctor`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt doctor                      # all Ethernet interfaces that are up, and a server
  redpkt doctor --iface eth0
  redpkt doctor --http http://127.0.0.1:7201
  redpkt doctor --json | jq -r '.checks[] | select(.state != \"ok\") | .fix'

Each line is a check: `ok`, `could be better` or `broken`, what that means for a server,
and below it the command that changes it. What is about workers is for as many as the
running server has, or a worker for each core. Several settings at once, for a purpose:
tuning/tune apply latency|throughput|million|laptop [--iface IF]. Nothing on the machine
is changed by looking.

Exit codes: 0 it has looked, whatever it found, 2 an option is wrong,
3 the machine refused.")]
pub struct DoctorArgs {
    /// Look at this interface only, up or not
    #[arg(long, value_name = "IF")]
    iface: Option<String>,
    /// Where a running server tells its figures; nothing is said if none is there
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7101")]
    http: String,
    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

/// Looks, and prints what it found.
pub fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let checks = look(args)?;
    if args.json { print_result(&to_json(&checks)?) } else { print_result(&to_table(&checks)) }
}

fn look(args: &DoctorArgs) -> Result<Vec<Check>, Failure> {
    let interfaces = interfaces(args.iface.as_deref())?;
    let server = server::ask(&args.http)?;
    // A worker for each core, unless a server says how many it has.
    let of_server = server.as_ref().and_then(server::Answer::workers);
    let workers = of_server.unwrap_or_else(|| allowed_cores().len().max(1));
    let mut checks = kernel::checks();
    checks.extend(processor::checks(workers));
    checks.extend(process::checks(workers));
    checks.extend(clock::checks());
    checks.extend(sockets::checks(workers));
    let counted = Machine::read(&[]).interfaces;
    match interfaces {
        Ok(interfaces) => checks.extend(interfaces.iter().flat_map(|interface| {
            let counted = counted.iter().find(|each| each.name == interface.name);
            let mut checks = interfaces::checks(interface, server.as_ref(), workers);
            checks.extend(card::checks(&interface.name, workers, counted));
            checks
        })),
        Err(error) => checks.push(Check::not_known("interfaces", error, "ip link")),
    }
    checks.extend(server.iter().flat_map(server::checks));
    Ok(checks)
}

/// The interface asked for, which must be one, or all that are up; these are not worth failing for.
fn interfaces(name: Option<&str>) -> Result<Result<Vec<Interface>, XdpError>, Failure> {
    match name {
        None => Ok(Interface::read_all()),
        Some(name) => match Interface::read(name) {
            Ok(interface) => Ok(Ok(vec![interface])),
            Err(error) if error.is_usage() => Err(Failure::usage(error)),
            Err(error) => Err(Failure::machine(error)),
        },
    }
}
