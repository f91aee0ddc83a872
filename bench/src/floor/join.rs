//! Opens the sessions of many users, many at a time.

use super::users::User;
use redpkt::cli::Failure;
use redpkt::net::client::Peers;
use redpkt_proto::body::{Challenge, CookieBytes, Hello, Join, Refusal, RefusalCode, Welcome};
use redpkt_proto::frame::frames_mut;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::ticket::Ticket;
use redpkt_proto::{Direction, Frame, Op, Rng, handshake};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zerocopy::IntoBytes;

/// Users whose handshakes are on their way at a time.
const TOGETHER: usize = 256;

/// How long an answer is waited for before everything unanswered is sent again.
const RESEND: Duration = Duration::from_millis(50);

/// How long a batch of handshakes may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long tickets are good: longer than any measurement.
const TICKET_S: u64 = 7 * 24 * 3_600;

/// Opens a session for each of the users 1 to `count`, user by user from the next of the sockets.
pub fn join(sockets: &mut Peers, keys: &KeyRing, count: usize, rng: &mut Rng) -> Result<Vec<User>, Failure> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expiry_s = u32::try_from(now_s + TICKET_S).map_err(Failure::machine)?;
    let mut users = Vec::with_capacity(count);
    while users.len() < count {
        let first = users.len();
        let handshakes = (first..count.min(first + TOGETHER)).map(|index| Handshake {
            socket: index % sockets.len(),
            ticket: keys.issue(index as u64 + 1, expiry_s, rng),
            client_random: rand::RngExt::random(rng),
            cookie: None,
            user: None,
        });
        let mut batch: Vec<Handshake> = handshakes.collect();
        join_batch(sockets, first, &mut batch)?;
        users.extend(batch.into_iter().filter_map(|handshake| handshake.user));
    }
    Ok(users)
}

fn join_batch(sockets: &mut Peers, first: usize, batch: &mut [Handshake]) -> Result<(), Failure> {
    let started = Instant::now();
    let mut refused = None;
    while batch.iter().any(|handshake| handshake.user.is_none()) {
        if started.elapsed() > TIMEOUT {
            return Err(Failure::machine(format!("opening sessions: no answer within {TIMEOUT:?}")));
        }
        for handshake in batch.iter().filter(|handshake| handshake.user.is_none()) {
            sockets.send(handshake.socket, handshake.next_frame().as_bytes());
        }
        sockets.flush();
        let sent = Instant::now();
        // Each round of answers is answered at once; the clock sends again what was lost.
        while sent.elapsed() < RESEND && batch.iter().any(|handshake| handshake.user.is_none()) {
            let mut next = Vec::new();
            sockets.recv(&mut |_, bytes| {
                let Some([frame]) = frames_mut(bytes) else { return };
                let index = (frame.header.user.get() as usize).wrapping_sub(1 + first);
                let Some(handshake) = batch.get_mut(index) else { return };
                if frame.header.op == Op::Error as u8 {
                    let code = frame.body::<Refusal>().code;
                    // On a machine that others use too a server may be late for a moment: it is asked again.
                    if !matches!(RefusalCode::from_wire(code), Some(RefusalCode::Busy | RefusalCode::Load)) {
                        refused = Some(code);
                    }
                } else if handshake.take(frame) {
                    next.push(index);
                }
            });
            for &index in &next {
                sockets.send(batch[index].socket, batch[index].next_frame().as_bytes());
            }
            sockets.flush();
            if let Some(code) = refused {
                return Err(Failure::machine(format!("opening sessions: refused with code {code}")));
            }
            if next.is_empty() {
                sockets.wait(Duration::from_millis(1));
            }
        }
    }
    Ok(())
}

/// One user on the way to a session.
struct Handshake {
    socket: usize,
    ticket: Ticket,
    client_random: [u8; 8],
    cookie: Option<CookieBytes>,
    user: Option<User>,
}

impl Handshake {
    /// HELLO, or JOIN once there is a cookie.
    fn next_frame(&self) -> Frame {
        let Ticket { user, fields, ref secret } = self.ticket;
        let client_random = self.client_random;
        match self.cookie {
            None => {
                let hello = Hello { ticket: fields, client_random, reserved: [0; 12] };
                handshake::frame(secret, user, Direction::ToServer, Op::Hello, &hello, &client_random)
            }
            Some(cookie) => {
                let join = Join { ticket: fields, client_random, cookie };
                handshake::frame(secret, user, Direction::ToServer, Op::Join, &join, &client_random)
            }
        }
    }

    /// Takes an answer; whether there is a next frame to send for it.
    fn take(&mut self, frame: &Frame) -> bool {
        if handshake::check(&self.ticket.secret, frame, &self.client_random).is_err() {
            return false;
        }
        match Op::from_wire(frame.header.op) {
            Some(Op::Challenge) if self.cookie.is_none() => {
                self.cookie = Some(frame.body::<Challenge>().cookie);
                true
            }
            Some(Op::Welcome) => {
                let welcome: Welcome = frame.body();
                let number = welcome.session_number.get();
                let Ticket { user, ref secret, .. } = self.ticket;
                let key =
                    handshake::session_key(secret, user, &self.client_random, &welcome.server_random, number);
                self.user = Some(User::new(key, number));
                false
            }
            _ => false,
        }
    }
}
