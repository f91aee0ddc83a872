//! Which engine moves datagrams: opens the one that was asked for, or the best that there is.

use super::server::StartError;
use super::settings::Settings;
use super::stats::{IoStats, XdpStats};
use crate::net::xdp::{self, Copying, Mode, XdpBindError, XdpEngine, XdpGot, XdpOptions};
use crate::net::{self, BindOptions, Engine, MmsgEngine, Steering, Waker};
use std::net::SocketAddr;

/// How datagrams shall move.
#[derive(Clone, Debug)]
pub enum Io {
    /// By recvmmsg and sendmmsg on UDP sockets.
    Mmsg,
    /// Past the kernel's stack by AF_XDP; what the kernel keeps, by sockets.
    Xdp(XdpOptions),
    /// By AF_XDP where an interface is named and can be used, else by sockets.
    Auto(Option<XdpOptions>),
}

/// The engines of all workers, in order.
pub(super) enum Engines {
    /// Over sockets.
    Mmsg(Vec<MmsgEngine>),
    /// Over an interface's queues.
    Xdp(Vec<XdpEngine>),
}

/// Engines, and what is told of them.
pub(super) struct Opened {
    pub(super) engines: Engines,
    pub(super) listen: Vec<SocketAddr>,
    pub(super) stats: IoStats,
}

impl Engines {
    /// What wakes each worker.
    pub(super) fn wakers(&self) -> Vec<Waker> {
        match self {
            Engines::Mmsg(engines) => engines.iter().map(Engine::waker).collect(),
            Engines::Xdp(engines) => engines.iter().map(Engine::waker).collect(),
        }
    }
}

/// Opens them.
pub(super) fn open(settings: &Settings) -> Result<Opened, StartError> {
    let options = BindOptions {
        steering: settings.steering,
        batch: settings.batch,
        ..BindOptions::new(&settings.listen, settings.layout)
    };
    let (xdp, is_choice) = match &settings.io {
        Io::Mmsg => (None, false),
        Io::Xdp(xdp) => (Some(xdp), false),
        Io::Auto(xdp) => (xdp.as_ref(), true),
    };
    let why = |why: String| is_choice.then_some(why);
    let Some(xdp) = xdp else {
        return mmsg(
            &options,
            why("no --iface is named, so there is none whose queues could be used".into()),
        );
    };
    match xdp::bind_xdp(&options, xdp) {
        Ok((engines, got)) => {
            Ok(by_xdp(engines, &got, why(format!("--iface {} can be used", xdp.interface))))
        }
        Err(XdpBindError::Bind(error)) => Err(error.into()),
        Err(XdpBindError::Xdp(error)) if is_choice => {
            tracing::warn!(%error, "datagrams go through the kernel's sockets");
            mmsg(&options, Some(error.to_string()))
        }
        Err(XdpBindError::Xdp(error)) => Err(error.into()),
    }
}

fn mmsg(options: &BindOptions<'_>, why: Option<String>) -> Result<Opened, StartError> {
    let engines = net::bind(options)?;
    let first = &engines[0];
    let stats = IoStats { engine: "mmsg", why, xdp: None, ..sockets(first) };
    let listen = first.listen_addrs().to_vec();
    Ok(Opened { listen, stats, engines: Engines::Mmsg(engines) })
}

fn by_xdp(engines: Vec<XdpEngine>, got: &XdpGot, why: Option<String>) -> Opened {
    let interface = &got.interface;
    let xdp = XdpStats {
        interface: interface.name.clone(),
        driver: interface.driver.clone(),
        queues: interface.queues,
        mode: match got.mode {
            Mode::Native => "native",
            Mode::Generic => "generic",
        },
        zero_copy: got.copying == Copying::Zero,
        queues_lost: 0,
        taken: got.taken.clone(),
    };
    let workers = engines.len();
    tracing::info!(
        interface = xdp.interface,
        driver = xdp.driver,
        queues = xdp.queues,
        workers,
        mode = xdp.mode,
        zero_copy = xdp.zero_copy,
        taken = ?xdp.taken,
        "datagrams come by AF_XDP"
    );
    if workers != xdp.queues as usize {
        let name = &xdp.interface;
        tracing::warn!(
            queues = xdp.queues,
            workers,
            "workers without a queue answer through the kernel and those with several take turns; ask for --workers {}, or set the queues: ethtool -L {name} combined {workers}",
            xdp.queues
        );
    }
    let first = engines[0].sockets();
    let stats = IoStats { engine: "xdp", why, xdp: Some(xdp), ..sockets(first) };
    Opened { listen: first.listen_addrs().to_vec(), stats, engines: Engines::Xdp(engines) }
}

/// What is told of the sockets, which every engine has.
fn sockets(first: &MmsgEngine) -> IoStats {
    if let Steering::Refused(errno) = first.steering() {
        tracing::warn!(errno, "the kernel refused the steering program: datagrams change workers by ring");
    }
    IoStats {
        engine: "",
        steering: matches!(first.steering(), Steering::OneWorker | Steering::Attached),
        recv_buffer_bytes: first.recv_buffer_bytes() as u64,
        why: None,
        xdp: None,
    }
}
