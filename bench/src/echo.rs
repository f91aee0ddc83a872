//! The bare echo: what a server costs that does nothing but take datagrams and send them back.
//!
//! It moves datagrams by the server's own engine, in a loop of the server's shape, and knows no protocol.
//! So what the server costs more is the protocol's price.

use clap::Args;
use redpkt::cli::Failure;
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
}

/// Echoes until a signal ends it.
pub fn run(args: &EchoArgs) -> Result<(), Failure> {
    let EchoArgs { listen, core, batch } = *args;
    let layout = Layout { sets: 1, groups: 1, workers: 1 };
    let options = BindOptions { batch, ..BindOptions::new(std::slice::from_ref(&listen), layout) };
    let mut engine = net::bind(&options).map_err(Failure::machine)?.remove(0);
    if let Some(core) = core {
        affinity::pin_current_thread(core)
            .map_err(|error| Failure::usage(format!("--core {core}: {error}")))?;
    }
    let mut reply_bytes = Vec::with_capacity(batch);
    loop {
        if engine.recv() == 0 {
            engine.wait(SLEEP);
            continue;
        }
        reply_bytes.clear();
        reply_bytes.extend(engine.datagrams().map(|Datagram { bytes, .. }| bytes.len()));
        engine.reply(&reply_bytes);
    }
}
