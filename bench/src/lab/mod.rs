//! A lab: two network namespaces joined by a veth pair, in which a server and its clients meet as over a wire.
//!
//! Nothing of it can be left behind. Neither namespace has a name: both last only as long as this process
//! holds them open, or a thread, a socket or a child is in them. Children follow the thread that started them
//! into death (`child::guard`), so when a process with a lab ends, killed outright or not, the kernel removes
//! all of it. For the same reason labs know nothing of each other, in one process or in many: the same
//! names and addresses are in each.
//!
//! A veth pair shows that an engine is right and what it costs beside another one, not what a network card does.

mod command;
mod door;
mod keeper;
mod namespace;
mod star;
mod wire;

pub use command::{LabArgs, run};
pub use door::Door;
pub use keeper::keep;
pub use star::{End, HOSTS_MAX, Star};
pub use wire::PEERS;

use namespace::Namespace;
use redpkt::cli::Failure;
use std::net::IpAddr;

/// The most queues that each end of the pair may have.
pub const QUEUES_MAX: u32 = 8;

/// What a lab needs of the machine, by number (capabilities(7)) and name.
const CAPABILITIES: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Side {
    /// Where the server listens: 10.77.0.1 and fd77::1 on `redpkt-s`.
    Server,
    /// Where clients are: 10.77.0.2 and fd77::2 on `redpkt-c`.
    Client,
}

/// Two namespaces and the wire between them. It goes when it is dropped and nobody is in it any more.
#[derive(Debug)]
pub struct Lab {
    server: Namespace,
    client: Namespace,
    queues: u32,
}

impl Lab {
    /// Why there can be no lab on this machine, in one line; `None` if there can.
    pub fn why_not() -> Option<String> {
        let effective = procfs::process::Process::myself().and_then(|myself| myself.status());
        let effective = match effective {
            Ok(status) => status.capeff,
            Err(error) => return Some(format!("a lab needs /proc: {error}")),
        };
        let missing: Vec<&str> = CAPABILITIES
            .iter()
            .filter(|(bit, _)| effective & (1 << bit) == 0)
            .map(|(_, name)| *name)
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(" and ");
            return Some(format!("a lab of network namespaces needs {missing}: run it as root"));
        }
        (!wire::has_iproute2()).then(|| "a lab needs the `ip` of iproute2: install iproute2".to_owned())
    }

    /// Makes a lab whose interfaces have so many queues each, 1 to [`QUEUES_MAX`].
    pub fn new(queues: u32) -> Result<Lab, Failure> {
        if !(1..=QUEUES_MAX).contains(&queues) {
            return Err(Failure::usage(format!("a lab with {queues} queues: 1 to {QUEUES_MAX} are allowed")));
        }
        let namespace = || {
            Namespace::new().map_err(|error| match Lab::why_not() {
                Some(why) => Failure::machine(why),
                None => Failure::machine(format!(
                    "making a network namespace: {error}; ask whoever runs this container or kernel to allow it"
                )),
            })
        };
        let lab = Lab { server: namespace()?, client: namespace()?, queues };
        let refused = |what: String| match Lab::why_not() {
            Some(why) => Failure::machine(why),
            None => Failure::machine(format!("joining two network namespaces by a veth pair: {what}")),
        };
        lab.inside(Side::Server, || wire::join(queues, &lab.client.path()))?.map_err(refused)?;
        for side in [Side::Server, Side::Client] {
            lab.inside(side, || wire::set_up(side))?.map_err(refused)?;
        }
        Ok(lab)
    }

    /// Moves the calling thread into a side, for good. Sockets that it opens, threads and children that it
    /// starts from now on are there too; those it has stay where they are.
    pub fn enter(&self, side: Side) -> Result<(), Failure> {
        self.namespace(side)
            .enter()
            .map_err(|error| Failure::machine(format!("entering the lab's {} side: {error}", side.name())))
    }

    /// Runs `body` with the calling thread in a side, and moves it back, also when `body` panics. What was
    /// opened and started in there stays in there; children live at most as long as the calling thread, as
    /// everywhere.
    pub fn inside<T>(&self, side: Side, body: impl FnOnce() -> T) -> Result<T, Failure> {
        inside(self.namespace(side), body)
    }

    /// A side's IPv4 address.
    pub fn address(&self, side: Side) -> IpAddr {
        side.ipv4()
    }

    /// A side's IPv6 address; `None` on a kernel that speaks none.
    pub fn address_v6(&self, side: Side) -> Option<IpAddr> {
        wire::speaks_ipv6().then(|| side.ipv6())
    }

    /// The name of a side's interface.
    pub fn interface(&self, side: Side) -> &'static str {
        side.interface()
    }

    /// How many queues each interface has.
    pub fn queues(&self) -> u32 {
        self.queues
    }

    fn namespace(&self, side: Side) -> &Namespace {
        match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        }
    }
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Server => "server",
            Side::Client => "client",
        }
    }
}

/// Runs `body` with the calling thread in a namespace, and moves it back, also when `body` panics.
fn inside<T>(namespace: &Namespace, body: impl FnOnce() -> T) -> Result<T, Failure> {
    let outside = Namespace::of_this_thread()
        .map_err(|error| Failure::machine(format!("opening this thread's network namespace: {error}")))?;
    let _back = Back(outside);
    namespace
        .enter()
        .map_err(|error| Failure::machine(format!("entering a network namespace of the lab: {error}")))?;
    Ok(body())
}

/// Where a thread came from, and goes back to.
struct Back(Namespace);

impl Drop for Back {
    fn drop(&mut self) {
        // Whoever may enter a namespace may leave it.
        self.0.enter().expect("a thread that came from this namespace may go back");
    }
}
