//! The bare echo: what a server costs that does nothing but take datagrams and send them back.
//!
//! It moves datagrams by the server's own engine, in a loop of the server's shape, and knows no protocol.
//! So what the server costs more is the protocol's price.

use clap::Args;
use redpkt::cli::Failure;
use redpkt::net::xdp::{XdpMode, XdpOptions, bind_xdp};
use redpkt::net::{self, BindOptions, Datagram, Engine, affinity};
use redpkt_proto::steer::Layout;
use std::net::SocketAddr;
use std::time::Duration;

/// The longest sleep, as in the server.
const SLEEP: Duration = Duration::from_millis(10);

/// Options of `echo`.
#[derive(Args)]
pub struct EchoArgs {
    /// Where datagrams come in
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The core it is pinned to; left out, the kernel chooses
    #[arg(long, value_name = "N")]
    core: Option<usize>,
    /// Datagrams in one batch
    #[arg(long, value_name = "N", default_value_t = net::bind::BATCH_MAX)]
    batch: usize,
    /// Take them from this interface's queues by AF_XDP
    #[arg(long, value_name = "IF")]
    iface: Option<String>,
    /// Where the XDP program runs
    #[arg(long, value_name = "auto|native|generic", default_value = "auto", requires = "iface")]
    xdp_mode: XdpMode,
    /// Never sleep
    #[arg(long)]
    spin: bool,
}

/// Echoes until a signal ends it.
pub fn run(args: &EchoArgs) -> Result<(), Failure> {
    let layout = Layout { sets: 1, groups: 1, workers: 1 };
    let listen = std::slice::from_ref(&args.listen);
    let options = BindOptions { batch: args.batch, ..BindOptions::new(listen, layout) };
    match &args.iface {
        None => echo(net::bind(&options).map_err(Failure::machine)?.remove(0), args),
        Some(interface) => {
            let xdp = XdpOptions { interface: interface.clone(), vlan: None, mode: args.xdp_mode };
            let (mut engines, _) = bind_xdp(&options, &xdp).map_err(Failure::machine)?;
            echo(engines.remove(0), args)
        }
    }
}

fn echo(mut engine: impl Engine, args: &EchoArgs) -> Result<(), Failure> {
    if let Some(core) = args.core {
        affinity::pin_current_thread(core)
            .map_err(|error| Failure::usage(format!("--core {core}: {error}")))?;
    }
    let mut reply_bytes = Vec::with_capacity(args.batch);
    loop {
        if engine.recv() == 0 {
            if args.spin {
                std::hint::spin_loop();
            } else {
                engine.wait(SLEEP);
            }
            continue;
        }
        reply_bytes.clear();
        reply_bytes.extend(engine.datagrams().map(|Datagram { bytes, .. }| bytes.len()));
        engine.reply(&reply_bytes);
    }
}
