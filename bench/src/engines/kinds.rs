//! What is compared, and the rungs of the ladder.

use crate::floor::{Answerer, ECHO_MMSG, Kind, REDPKT_MMSG, ServerIo};
use redpkt::net::xdp::XdpMode;

/// Both engines, each bare and with the server on it, in the order measured.
pub fn engines(mode: XdpMode) -> Vec<Kind> {
    let io = ServerIo::Xdp(mode);
    vec![
        ECHO_MMSG,
        REDPKT_MMSG,
        Kind { name: "echo_xdp", io, ..ECHO_MMSG },
        Kind { name: "redpkt_xdp", io, ..REDPKT_MMSG },
    ]
}

/// The server, one rung up after the other.
pub fn ladder() -> Vec<Kind> {
    let xdp = |name, mode| Kind { name, io: ServerIo::Xdp(mode), ..REDPKT_MMSG };
    vec![
        Kind { name: "batch_1", options: &["--batch=1"], ..REDPKT_MMSG },
        Kind { name: "batch_64", options: &["--batch=64"], ..REDPKT_MMSG },
        Kind { name: "steered", workers: 2, ..REDPKT_MMSG },
        Kind { name: "spinning", options: &["--when-idle=spin"], ..REDPKT_MMSG },
        xdp("xdp_generic", XdpMode::Generic),
        xdp("xdp_native", XdpMode::Native),
    ]
}

/// What each rung is, for those who look at it.
pub fn what_is(rung: &str) -> &'static str {
    match rung {
        "batch_1" => "recvmmsg and sendmmsg, one datagram a call",
        "batch_64" => "up to 64 datagrams a call",
        "steered" => {
            "two workers, SO_REUSEPORT steered by user, both on the server's one core: what steering costs, \
             not what a second core brings"
        }
        "spinning" => {
            "one worker that never sleeps: its CPU per answer is all of its core, whatever it does with it"
        }
        "xdp_generic" => "AF_XDP behind the driver",
        "xdp_native" => "AF_XDP in the driver",
        _ => "",
    }
}

/// Whether there is a protocol between its datagrams.
pub fn is_server(kind: &Kind) -> bool {
    kind.answerer == Answerer::Server
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_contracts() {
        let names = |kinds: Vec<Kind>| kinds.iter().map(|kind| kind.name).collect::<Vec<_>>();
        let engines = engines(XdpMode::Native);
        assert!(engines[2].io == ServerIo::Xdp(XdpMode::Native) && !is_server(&engines[2]));
        assert!(is_server(&engines[1]) && is_server(&engines[3]));
        assert_eq!(names(engines), ["echo_mmsg", "redpkt_mmsg", "echo_xdp", "redpkt_xdp"]);
        let rungs = ["batch_1", "batch_64", "steered", "spinning", "xdp_generic", "xdp_native"];
        assert_eq!(names(ladder()), rungs);
        assert!(ladder().iter().all(|rung| is_server(rung) && !what_is(rung.name).is_empty()));
    }
}
