//! Answers that leave one after another for the same user and address share a datagram.

use arrayvec::ArrayVec;
use redpkt_proto::{FRAMES_PER_DATAGRAM_MAX, Frame, Path};

/// Frames that were sent and have not left.
pub struct Gather<S: FnMut(&Path, &[Frame])> {
    send: S,
    path: Path,
    frames: ArrayVec<Frame, FRAMES_PER_DATAGRAM_MAX>,
}

impl<S: FnMut(&Path, &[Frame])> Gather<S> {
    /// Nothing yet; datagrams will leave by `send`.
    pub fn new(send: S) -> Gather<S> {
        Gather { send, path: Path::NONE, frames: ArrayVec::new() }
    }

    /// Adds a frame for `path`. What was gathered leaves first, unless this one fits into its datagram.
    #[inline]
    pub fn push(&mut self, path: &Path, frame: &Frame) {
        let is_same = self.path == *path
            && self.frames.last().is_some_and(|last| last.header.user == frame.header.user)
            && !self.frames.is_full();
        if !is_same {
            self.flush();
            self.path = *path;
        }
        self.frames.push(*frame);
    }

    /// Lets out what was gathered. To be called after the last frame.
    pub fn flush(&mut self) {
        if !self.frames.is_empty() {
            (self.send)(&self.path, &self.frames);
            self.frames.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redpkt_proto::{Direction, Header, Op};
    use zerocopy::FromZeros as _;

    /// Expect: only neighbours for the same user and address travel together, no more than a datagram holds, all of
    /// them, in their order.
    #[test]
    fn neighbours_of_one_user_share_a_datagram() {
        let path = |port| Path::new(([192, 0, 2, 1], port).into(), 0);
        let frame = |user, seq: u32| {
            let header = Header { seq: seq.into(), ..Header::new(user, Direction::ToClient, Op::Open) };
            Frame { header, ..Frame::new_zeroed() }
        };
        let mut sent = Vec::new();
        let mut gather = Gather::new(|path: &Path, frames: &[Frame]| {
            sent.push((path.port, frames.iter().map(|frame| frame.header.seq.get()).collect::<Vec<_>>()));
        });
        for (port, user, seq) in [(1, 7, 1), (1, 7, 2), (1, 8, 3), (2, 8, 4), (1, 7, 5)] {
            gather.push(&path(port), &frame(user, seq));
        }
        (6..=30).for_each(|seq| gather.push(&path(1), &frame(7, seq)));
        gather.flush();
        gather.flush();
        let whole = (5..23).collect::<Vec<_>>();
        let rest = (23..=30).collect::<Vec<_>>();
        assert_eq!(sent, [(1, vec![1, 2]), (1, vec![3]), (2, vec![4]), (1, whole), (1, rest)]);
    }
}
