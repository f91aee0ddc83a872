//! Turns of a worker's loop that took long, and why: for that long nobody of its users was answered.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A turn that takes longer is a stall.
pub const STALL_NS: u64 = 1_000_000;

/// The longest ones are kept, so many.
pub const LONGEST: usize = 8;

/// What a stalled turn was doing for most of its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Cause {
    /// Asking the kernel for datagrams.
    Receive,
    /// Working on a batch of datagrams.
    Batch,
    /// What time, the ledger and other workers bring: packets to make, answers that became durable; and sending.
    Turn,
    /// Publishing figures.
    Publish,
    /// Doing what the operator has asked for.
    Command,
    /// Nothing: the processor was doing something else.
    NoProcessor,
}

impl Cause {
    const ALL: [Cause; 6] =
        [Cause::Receive, Cause::Batch, Cause::Turn, Cause::Publish, Cause::Command, Cause::NoProcessor];

    /// Its name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Receive => "receive",
            Cause::Batch => "batch",
            Cause::Turn => "turn",
            Cause::Publish => "publish",
            Cause::Command => "command",
            Cause::NoProcessor => "no_processor",
        }
    }

    fn of(number: u64) -> Option<Cause> {
        Cause::ALL.into_iter().find(|cause| *cause as u64 == number)
    }
}

/// One stall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stall {
    /// When it ended, in ms since 1970.
    pub wall_ms: u64,
    /// How long it was.
    pub ns: u64,
    cause: u64,
}

impl Stall {
    /// What it came from.
    pub fn cause(&self) -> Cause {
        Cause::of(self.cause).unwrap_or(Cause::NoProcessor)
    }
}

/// All stalls since the start, and the longest of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stalls {
    /// How many.
    pub count: u64,
    /// How long together.
    pub total_ns: u64,
    /// The longest ones, longest first; those that are none have taken no time.
    pub longest: [Stall; LONGEST],
}

impl Stalls {
    /// Takes one in.
    fn add(&mut self, wall_ms: u64, ns: u64, cause: Cause) {
        self.count += 1;
        self.total_ns += ns;
        let at = self.longest.partition_point(|stall| stall.ns >= ns);
        if at < LONGEST {
            self.longest[at..].rotate_right(1);
            self.longest[at] = Stall { wall_ms, ns, cause: cause as u64 };
        }
    }
}

/// One turn, while it goes on: what it did until when.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    began_ns: u64,
    last_ns: u64,
    longest_ns: u64,
    longest: Cause,
}

impl Turn {
    /// Begins now.
    pub fn new(now_ns: u64) -> Turn {
        Turn { began_ns: now_ns, last_ns: now_ns, longest_ns: 0, longest: Cause::Batch }
    }

    /// Since it was last told it has done this.
    #[inline]
    pub fn did(&mut self, what: Cause, now_ns: u64) {
        let ns = now_ns - self.last_ns;
        self.last_ns = now_ns;
        if ns > self.longest_ns {
            (self.longest_ns, self.longest) = (ns, what);
        }
    }

    /// The one that follows without a sleep.
    pub fn next(&self) -> Turn {
        Turn::new(self.last_ns)
    }

    /// How long it has taken so far.
    pub fn ns(&self) -> u64 {
        self.last_ns - self.began_ns
    }
}

/// Finds a worker's stalls.
#[derive(Debug)]
pub struct StallWatch {
    /// `/proc/thread-self/schedstat` of the worker's thread, where the kernel tells how long it had no processor.
    schedstat: Option<File>,
    /// What that was when it was last read.
    delayed_ns: u64,
    stalls: Stalls,
}

impl StallWatch {
    /// Of the thread that calls this.
    pub fn of_this_thread() -> StallWatch {
        let mut watch = StallWatch {
            schedstat: File::open("/proc/thread-self/schedstat").ok(),
            delayed_ns: 0,
            stalls: Stalls::default(),
        };
        watch.look();
        watch
    }

    /// Looks at how long the thread had no processor; to be called some times a second, so that what a stall finds is
    /// its own.
    pub fn look(&mut self) -> u64 {
        let before_ns = self.delayed_ns;
        if let Some(delayed_ns) = self.schedstat.as_ref().and_then(read_delay_ns) {
            self.delayed_ns = delayed_ns;
        }
        self.delayed_ns.saturating_sub(before_ns)
    }

    /// A turn has ended.
    #[inline]
    pub fn ended(&mut self, turn: &Turn, wall_ms: u64) {
        if turn.ns() >= STALL_NS {
            self.stalled(turn, wall_ms);
        }
    }

    #[cold]
    fn stalled(&mut self, turn: &Turn, wall_ms: u64) {
        let delayed_ns = self.look();
        let cause = if delayed_ns >= turn.ns() / 2 { Cause::NoProcessor } else { turn.longest };
        self.stalls.add(wall_ms, turn.ns(), cause);
    }

    /// All of them so far.
    pub fn stalls(&self) -> Stalls {
        self.stalls
    }
}

/// The second number: ns on a run queue (kernel Documentation/scheduler/sched-stats.rst).
fn read_delay_ns(schedstat: &File) -> Option<u64> {
    let mut bytes = [0; 96];
    // From the beginning each time, which has the kernel tell anew.
    let read = schedstat.read_at(&mut bytes, 0).ok()?;
    std::str::from_utf8(&bytes[..read]).ok()?.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Expect: the cause is what took the longest; turns below the bound are none.
    #[test]
    fn a_long_turn_is_a_stall_with_what_took_the_longest() {
        let mut watch = StallWatch { schedstat: None, delayed_ns: 0, stalls: Stalls::default() };
        let mut turn = |batch_ns, turn_ns| {
            let mut turn = Turn::new(5);
            turn.did(Cause::Batch, 5 + batch_ns);
            turn.did(Cause::Turn, 5 + batch_ns + turn_ns);
            watch.ended(&turn, 77);
            watch.stalls()
        };
        assert_eq!(turn(STALL_NS / 2, STALL_NS / 2 - 1).count, 0);
        turn(2 * MS, MS);
        let stalls = turn(MS, 5 * MS);
        assert_eq!((stalls.count, stalls.total_ns), (2, 9 * MS));
        let longest = stalls.longest.map(|stall| (stall.ns / MS, stall.cause()));
        assert_eq!(longest[..2], [(6, Cause::Turn), (3, Cause::Batch)]);
        assert_eq!((stalls.longest[0].wall_ms, stalls.longest[2].ns), (77, 0));
    }

    #[test]
    fn the_longest_are_kept() {
        let mut stalls = Stalls::default();
        [3, 9, 1, 7, 5, 2, 8, 6, 4, 10].into_iter().for_each(|ms| stalls.add(0, ms * MS, Cause::Batch));
        assert!(stalls.longest.iter().map(|stall| stall.ns / MS).eq((3..=10).rev()));
        assert_eq!(stalls.count, 10);
    }

    /// Expect: a thread that is runnable and not run is told by the kernel to have waited.
    #[test]
    fn the_kernel_tells_how_long_there_was_no_processor() {
        let mut watch = StallWatch::of_this_thread();
        if watch.schedstat.is_none() {
            return eprintln!("not looked at: this kernel has no schedstat");
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let rivals: Vec<_> = (0..2 * cores)
            .map(|_| {
                std::thread::spawn(|| {
                    let end = std::time::Instant::now() + std::time::Duration::from_millis(200);
                    while std::time::Instant::now() < end {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        let end = std::time::Instant::now() + std::time::Duration::from_millis(200);
        while std::time::Instant::now() < end {
            std::hint::spin_loop();
        }
        assert!(watch.look() > MS);
        rivals.into_iter().for_each(|rival| rival.join().unwrap());
    }
}
