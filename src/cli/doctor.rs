//! `redpkt doctor`: what of this machine helps or hinders a server, and the commands that change it.
//!
//! It only looks: nothing is attached, set or written.

mod check;
mod interfaces;
mod machine;
mod server;

use super::Failure;
use super::lines::print_result;
use crate::net::xdp::Interface;
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
and the command that changes it. Nothing on the machine is changed.

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
    let interfaces = match &args.iface {
        None => Interface::read_all(),
        Some(name) => Interface::read(name).map(|interface| vec![interface]),
    };
    let interfaces = interfaces.map_err(|error| match error.is_usage() {
        true => Failure::usage(error),
        false => Failure::machine(error),
    })?;
    let server = server::ask(&args.http)?;
    let mut checks = vec![machine::aes(), machine::kernel(), machine::privileges()];
    for interface in &interfaces {
        checks.extend(interfaces::checks(interface, server.as_ref())?);
    }
    checks.extend(server.iter().map(server::check));
    Ok(checks)
}
