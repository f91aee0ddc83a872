//! What a datagram's headers decide, before its session or its key is touched.

use super::admission;
use super::core::{Core, Found, Job, NOT_OWN};
use super::counters::Drop;
use crate::gate::Class;
use crate::ledger::Ledger;
use redpkt_proto::body::{Refusal, RefusalCode};
use redpkt_proto::frame::VERSION;
use redpkt_proto::{Direction, Frame, Header, Now, Op};

impl<L: Ledger> Core<L> {
    /// Version, direction and user of all frames, and the op of a handshake, which comes alone. What the load does not
    /// leave room for ends here: neither its session nor its key is looked at.
    pub(super) fn check_headers(&mut self, now: Now, job: &mut Job<'_>) -> Found {
        job.replies = 0;
        self.counters.frames_in += job.frames.len() as u64;
        let first = job.frames[0].header;
        let fits =
            |frame: &Frame| frame.header.version_direction == VERSION && frame.header.user == first.user;
        if !job.frames.iter().all(fits) {
            return self.refuse_headers(job);
        }
        let user = first.user.get();
        let class = Class::of(first.op);
        if class == Class::Join && !self.admits_handshake(now, &job.path) {
            return Found::Done;
        }
        if !self.service.gate.admits(class, user) {
            return self.shed(now, job, class);
        }
        self.seen.admit(class);
        if self.is_late && class >= Class::Shake {
            return self.drop_late(class);
        }
        let set = self.position_of_set[self.config.layout.set_of(user) as usize];
        assert_ne!(set, NOT_OWN, "a datagram is handed to the worker that owns its user");
        match Op::from_wire(first.op) {
            Some(Op::Hello | Op::Join) if job.frames.len() == 1 => Found::Handshake { set },
            _ => Found::Session { set, user },
        }
    }

    /// A datagram that there is no time for now: answered so, or dropped where that were too many answers.
    #[cold]
    fn shed(&mut self, now: Now, job: &mut Job<'_>, class: Class) -> Found {
        self.counters.drop(Drop::Shed);
        self.counters.shed[class as usize] += 1;
        if !self.seen.refuse(class, self.service.told_max) {
            return Found::Done;
        }
        let code = if class == Class::Join { RefusalCode::Busy } else { RefusalCode::Load };
        let retry_after_ms = admission::retry_after_ms(job.frames[0].header.user.get(), now);
        refuse(job, Op::Error, code as u8, retry_after_ms);
        Found::Done
    }

    /// A datagram that has waited so long that its sender asks again anyway: the time is for those who came later.
    #[cold]
    fn drop_late(&mut self, class: Class) -> Found {
        self.counters.drop(Drop::Shed);
        self.counters.shed[class as usize] += 1;
        Found::Done
    }

    /// A datagram whose headers do not fit: which of them, and what is said about it.
    fn refuse_headers(&mut self, job: &mut Job<'_>) -> Found {
        let has = |test: &dyn Fn(&Header) -> bool| job.frames.iter().any(|frame| test(&frame.header));
        if has(&|header| header.direction() == Direction::ToClient) {
            self.counters.drop(Drop::Direction);
        } else if has(&|header| header.version() != VERSION) {
            self.counters.drop(Drop::Version);
            refuse(job, Op::Error, RefusalCode::Version as u8, 0);
        } else {
            self.counters.drop(Drop::MixedUsers);
        }
        Found::Done
    }
}

/// Answers a datagram with one STALE or ERROR for its first frame.
pub(super) fn refuse(job: &mut Job<'_>, op: Op, code: u8, retry_after_ms: u32) {
    let refused = job.frames[0];
    job.frames[0] = Frame::new(
        Header::new(refused.header.user.get(), Direction::ToClient, op),
        &Refusal {
            refused_tag: refused.tag,
            code,
            version_min: VERSION,
            version_max: VERSION,
            reserved1: 0,
            retry_after_ms: retry_after_ms.into(),
            reserved2: [0; 8],
        },
    );
    job.replies = 1;
}
