//! The measuring client: one thread, a closed or an open loop, every answer opened and checked.

use super::users::{Answerer, Unexpected, User};
use hdrhistogram::Histogram;
use redpkt::cli::Failure;
use redpkt::net::client::Peers;
use redpkt_proto::frame::frames_mut;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// When a request without an answer is taken for lost and sent again: far above every latency here, so
/// that nothing slow is counted as lost.
const LOST_NS: u64 = 200_000_000;

/// The longest sleep.
const WAIT_NS: u64 = 1_000_000;

/// Answers between two readings of the clock while a batch is taken: 16 take about 3 µs.
const ANSWERS_PER_CLOCK: u64 = 16;

/// The longest latency that the histogram tells apart.
const LATENCY_NS_MAX: u64 = 10_000_000_000;

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// So many are on their way at any time: each answer lets the next request go.
    Outstanding(usize),
    /// So many a second, one after the other at even distances, whether answers come or not.
    PerSecond(f64),
}

/// What came of a while.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Requests answered.
    pub answers: u64,
    /// Requests sent again because no answer came in time.
    pub lost: u64,
    /// Answers that came when they were no longer waited for.
    pub late: u64,
    /// Datagrams that are no answer.
    pub wrong: u64,
    /// From when the request was due (with a fixed number on their way: sent) to its answer, in ns.
    pub latency_ns: Histogram<u64>,
}

impl Tally {
    fn new() -> Result<Tally, Failure> {
        let latency_ns = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).map_err(Failure::machine)?;
        Ok(Tally { answers: 0, lost: 0, late: 0, wrong: 0, latency_ns })
    }
}

/// A request on its way.
#[derive(Clone, Copy)]
struct Shot {
    user: u32,
    counter: u32,
    sent_ns: u64,
}

/// Users, the sockets they come from, and what they have on its way.
pub struct Client {
    sockets: Peers,
    users: Vec<User>,
    answerer: Answerer,
    start: Instant,
    /// Users fire in the order of multiples of this, so that neighbours in time are none in memory.
    stride: usize,
    next: usize,
    in_flight: usize,
    /// In the order of sending; those at the front may be answered already.
    shots: VecDeque<Shot>,
    tally: Tally,
}

impl Client {
    /// Users with sessions, behind sockets: user i + 1 comes from socket i modulo their number.
    pub fn new(sockets: Peers, users: Vec<User>, answerer: Answerer) -> Result<Client, Failure> {
        let stride = stride(users.len());
        Ok(Client {
            sockets,
            answerer,
            start: Instant::now(),
            stride,
            next: 0,
            in_flight: 0,
            shots: VecDeque::with_capacity(users.len()),
            users,
            tally: Tally::new()?,
        })
    }

    /// Sends and receives for `time`; what came of it. What is on its way at the end stays so, for the
    /// next call or for [`finish`](Client::finish).
    pub fn drive(&mut self, load: Load, time: Duration) -> Result<Tally, Failure> {
        let mut now_ns = self.now_ns();
        let (begin_ns, end_ns) = (now_ns, now_ns + time.as_nanos() as u64);
        let mut fired = 0;
        while now_ns < end_ns {
            let answered = self.receive();
            now_ns = self.now_ns();
            self.send_lost_again(now_ns);
            let sent = match load {
                Load::Outstanding(count) => self.keep_outstanding(count, now_ns),
                Load::PerSecond(rate) => self.fire_due(rate, begin_ns, &mut fired, now_ns),
            };
            self.sockets.flush();
            if answered == 0 && sent == 0 {
                let until_ns = match load {
                    Load::Outstanding(_) => now_ns + WAIT_NS,
                    Load::PerSecond(rate) => due_ns(fired, rate, begin_ns).min(now_ns + WAIT_NS),
                };
                self.sockets.wait(Duration::from_nanos(until_ns.saturating_sub(now_ns)));
            }
        }
        Ok(std::mem::replace(&mut self.tally, Tally::new()?))
    }

    /// Waits for the answers that are still on their way; what never comes is given up.
    pub fn finish(&mut self) -> Result<(), Failure> {
        let end_ns = self.now_ns() + 3 * LOST_NS;
        while self.in_flight > 0 && self.now_ns() < end_ns {
            if self.receive() == 0 {
                self.sockets.wait(Duration::from_nanos(WAIT_NS));
            }
            let now_ns = self.now_ns();
            self.send_lost_again(now_ns);
            self.sockets.flush();
        }
        self.tally = Tally::new()?;
        Ok(())
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn keep_outstanding(&mut self, count: usize, now_ns: u64) -> usize {
        let missing = count.saturating_sub(self.in_flight);
        (0..missing).for_each(|_| self.fire(now_ns, now_ns));
        missing
    }

    fn fire_due(&mut self, rate: f64, begin_ns: u64, fired: &mut u64, now_ns: u64) -> usize {
        let mut sent = 0;
        // A server that cannot keep up holds the schedule up here, and latency counts from when it was due.
        while self.in_flight < self.users.len() / 2 {
            let due_ns = due_ns(*fired, rate, begin_ns);
            if due_ns > now_ns {
                break;
            }
            self.fire(due_ns, now_ns);
            *fired += 1;
            sent += 1;
        }
        sent
    }

    /// The next user who waits for nothing shakes.
    fn fire(&mut self, since_ns: u64, now_ns: u64) {
        // At most half of them wait, so this ends.
        let index = loop {
            let index = self.next;
            self.next = (index + self.stride) % self.users.len();
            if !self.users[index].waits() {
                break index;
            }
        };
        let user = &mut self.users[index];
        let frame = user.shake(index as u64 + 1, since_ns);
        self.shots.push_back(Shot { user: index as u32, counter: user.counter(), sent_ns: now_ns });
        self.sockets.send(index % self.sockets.len(), frame.as_bytes());
        self.in_flight += 1;
    }

    fn send_lost_again(&mut self, now_ns: u64) {
        while let Some(&shot) = self.shots.front() {
            let user = &mut self.users[shot.user as usize];
            let answered = !user.waits() || user.counter() != shot.counter;
            if !answered && now_ns.saturating_sub(shot.sent_ns) < LOST_NS {
                return;
            }
            self.shots.pop_front();
            if !answered {
                let frame = user.shake_again(u64::from(shot.user) + 1);
                self.sockets.send(shot.user as usize % self.sockets.len(), frame.as_bytes());
                self.shots.push_back(Shot { sent_ns: now_ns, ..shot });
                self.tally.lost += 1;
            }
        }
    }

    /// Takes what has come; how many answers.
    fn receive(&mut self) -> usize {
        let Client { sockets, users, tally, start, answerer, .. } = self;
        let before = tally.answers;
        let mut now_ns = 0;
        sockets.recv(&mut |_, bytes| {
            if (tally.answers - before).is_multiple_of(ANSWERS_PER_CLOCK) {
                now_ns = start.elapsed().as_nanos() as u64;
            }
            match take(users, bytes, *answerer) {
                Ok(since_ns) => {
                    tally.answers += 1;
                    tally.latency_ns.saturating_record(now_ns.saturating_sub(since_ns).max(1));
                }
                Err(Unexpected::Late | Unexpected::Refused) => tally.late += 1,
                Err(Unexpected::Wrong) => tally.wrong += 1,
            }
        });
        let answers = (tally.answers - before) as usize;
        self.in_flight -= answers;
        answers
    }
}

fn take(users: &mut [User], bytes: &mut [u8], answerer: Answerer) -> Result<u64, Unexpected> {
    let Some([frame]) = frames_mut(bytes) else { return Err(Unexpected::Wrong) };
    let index = (frame.header.user.get() as usize).wrapping_sub(1);
    users.get_mut(index).ok_or(Unexpected::Wrong)?.take(frame, answerer)
}

/// When shot `number` is due, counted from 0.
fn due_ns(number: u64, rate: f64, begin_ns: u64) -> u64 {
    begin_ns + (number as f64 * 1e9 / rate) as u64
}

/// A number without a common divisor with `count`, about 0.618 of it: its multiples visit everybody, and
/// those that follow one another are far apart.
fn stride(count: usize) -> usize {
    let golden = (count as f64 * 0.618_033_988_75) as usize;
    (golden.max(1)..=count).find(|stride| gcd(*stride, count) == 1).unwrap_or(1)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stride_visits_every_user_once_before_any_twice() {
        for count in [1, 2, 3, 10, 97, 1_000, 10_000] {
            let stride = stride(count);
            let mut seen = vec![false; count];
            (0..count).for_each(|j| seen[j * stride % count] = true);
            assert!(seen.iter().all(|seen| *seen), "{count}");
        }
    }

    #[test]
    fn shots_are_due_at_even_distances_at_any_rate() {
        assert_eq!(due_ns(0, 3.0, 5), 5);
        assert_eq!(due_ns(3, 3.0, 5), 1_000_000_005);
        assert_eq!(due_ns(300_000, 300_000.0, 0), 1_000_000_000);
    }
}
