//! RELAY with a backend that answers, is slow, is gone, or is forged.

use super::common::*;
use redpkt_proto::Op;
use redpkt_proto::backend::{BACKEND_BYTES, BackendAnswer, BackendQuestion};
use redpkt_proto::body::{Relay, RelayAnswer, Status};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// The application's end: a socket that the test answers by hand.
struct Backend {
    socket: UdpSocket,
}

impl Backend {
    fn new() -> Backend {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Backend { socket }
    }

    fn addr(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }

    /// The next question, and where it came from.
    fn hear(&self) -> (BackendQuestion, SocketAddr) {
        let mut bytes = [0; 2 * BACKEND_BYTES];
        let (len, from) = self.socket.recv_from(&mut bytes).expect("a question");
        (BackendQuestion::read_from_bytes(&bytes[..len]).expect("48 bytes"), from)
    }

    fn say(&self, answer: &BackendAnswer, to: SocketAddr) {
        self.socket.send_to(answer.as_bytes(), to).expect("the kernel takes it");
    }
}

/// An answer that says the message backwards.
fn backwards(question: &BackendQuestion) -> BackendAnswer {
    let Relay { req, attempt, kind, length, mut message, .. } = question.relay;
    message[..usize::from(length)].reverse();
    let answer = RelayAnswer { req, attempt, status: Status::Ok as u8, kind, length, message };
    BackendAnswer { token: question.token, user: question.user, answer }
}

fn say(user: &mut Hand, peer: &Peer, text: &str) {
    let mut message = [0; 20];
    message[..text.len()].copy_from_slice(text.as_bytes());
    let req = user.new_req().into();
    let length = text.len() as u8;
    let frame = user.frame(Op::Relay, &Relay { req, attempt: 0, reserved: 0, kind: 5, length, message });
    peer.send_frames(&[frame]);
}

fn hear(user: &Hand, peer: &Peer) -> RelayAnswer {
    user.open(peer.hear_one(), Op::Relay)
}

fn start(relay: &str) -> (Keys, Server) {
    let keys = Keys::new();
    let server = Server::start(&keys, &["--relay", relay]);
    (keys, server)
}

fn join(server: &Server, keys: &Keys, user: u64) -> (Hand, Peer) {
    let peer = Peer::new(server.addr());
    (Hand::join(&peer, &keys.ticket(user)), peer)
}

/// Expect: each of two users hears the answer to his own message, whichever comes first; answers that are forged from
/// the backend's address, come twice or are no answers go to nobody and are counted; so is what another address says.
#[test]
fn answers_go_to_who_has_asked_and_forged_ones_to_nobody() {
    let backend = Backend::new();
    let (keys, server) = start(&backend.addr());
    let ((mut one, one_peer), (mut two, two_peer)) = (join(&server, &keys, 1), join(&server, &keys, 2));
    say(&mut one, &one_peer, "one");
    let (of_one, from) = backend.hear();
    say(&mut two, &two_peer, "two");
    let (of_two, _) = backend.hear();
    assert_eq!((of_one.user.get(), of_two.user.get()), (1, 2));

    let forged = BackendAnswer { token: (of_one.token.get() ^ 1 << 40).into(), ..backwards(&of_one) };
    let swapped = BackendAnswer { user: 2.into(), ..backwards(&of_one) };
    backend.say(&forged, from);
    backend.say(&swapped, from);
    backend.socket.send_to(b"hello", from).unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(backwards(&of_one).as_bytes(), from).unwrap();
    backend.say(&backwards(&of_two), from);
    backend.say(&backwards(&of_one), from);
    backend.say(&backwards(&of_one), from);

    let (to_one, to_two) = (hear(&one, &one_peer), hear(&two, &two_peer));
    assert_eq!((&to_one.message[..3], &to_two.message[..3]), (&b"eno"[..], &b"owt"[..]));
    assert_eq!((to_one.req.get() as u32, to_one.status, to_one.kind), (one.counter, 0, 5));
    let stats = server.stats_when("all answers", |stats| stats["relay"]["unasked"] == 3);
    let relay = &stats["relay"];
    assert_eq!((&relay["sent"], &relay["answered"], &relay["malformed"]), (&2.into(), &2.into(), &1.into()));
    // Nothing else has come to either.
    one.sync(&one_peer);
    two.sync(&two_peer);
}

/// Expect: with a backend that is slow shakes are answered at once; the user is told Busy after a second; its answer
/// after that goes to nobody, and the next message is answered.
#[test]
fn a_slow_backend_slows_nothing_else() {
    let backend = Backend::new();
    let (keys, server) = start(&backend.addr());
    let (mut user, peer) = join(&server, &keys, 1);
    let asked = Instant::now();
    say(&mut user, &peer, "slow");
    let (question, from) = backend.hear();
    for _ in 0..20 {
        user.shake_and_hear(&peer);
    }
    let busy = hear(&user, &peer);
    assert!(asked.elapsed() >= Duration::from_secs(1));
    let [a, b, c, d, ..] = busy.message;
    assert_eq!((busy.status, busy.length), (Status::Busy as u8, 4));
    assert!((500..=1_000).contains(&u32::from_le_bytes([a, b, c, d])));
    backend.say(&backwards(&question), from);
    say(&mut user, &peer, "next");
    let (question, from) = backend.hear();
    backend.say(&backwards(&question), from);
    assert_eq!(&hear(&user, &peer).message[..4], b"txen");
    let stats = server.stats_when("the answer", |stats| stats["relay"]["answered"] == 1);
    assert_eq!((&stats["relay"]["expired"], &stats["relay"]["unasked"]), (&1.into(), &1.into()));
}

/// Expect: where nobody listens a user is told Busy, shakes go on, and a backend that comes is found again.
#[test]
fn a_backend_that_is_gone_and_comes_again() {
    let backend = Backend::new();
    let addr = backend.addr();
    drop(backend);
    let (keys, server) = start(&addr);
    let (mut user, peer) = join(&server, &keys, 1);
    for _ in 0..3 {
        say(&mut user, &peer, "anybody?");
        assert_eq!(hear(&user, &peer).status, Status::Busy as u8);
        user.shake_and_hear(&peer);
    }
    server.stats_when("the network's word", |stats| stats["relay"]["unreachable"].as_u64() > Some(0));
    let socket = UdpSocket::bind(&addr).expect("its port is still free");
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut bytes = [0; BACKEND_BYTES];
    wait_for("a message to come through", || {
        say(&mut user, &peer, "again");
        if let Ok((len, from)) = socket.recv_from(&mut bytes) {
            let question = BackendQuestion::read_from_bytes(&bytes[..len]).unwrap();
            socket.send_to(backwards(&question).as_bytes(), from).unwrap();
        }
        (hear(&user, &peer).status == Status::Ok as u8).then_some(())
    });
}

/// Expect: without --relay a message is answered NotDone, which is final.
#[test]
fn without_a_backend_a_message_is_not_done() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let (mut user, peer) = join(&server, &keys, 1);
    say(&mut user, &peer, "anybody?");
    let answer = hear(&user, &peer);
    assert_eq!((answer.status, answer.length), (Status::NotDone as u8, 0));
    server.stats_when("the refusal", |stats| stats["relay"]["refused"] == 1);
}
