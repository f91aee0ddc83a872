//! Figures that one thread writes and others read, without a lock.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A struct of `u64`s, written by one thread and read by others. A reader gets all fields of one moment
/// (a sequence lock; Boehm, "Can seqlocks get along with programming language memory models?", 2012).
pub struct Published<T> {
    version: AtomicU64,
    words: Box<[AtomicU64]>,
    kind: PhantomData<fn() -> T>,
}

impl<T: FromBytes + IntoBytes + Immutable + Copy> Published<T> {
    /// All zero.
    pub fn new() -> Published<T> {
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let words = (0..size_of::<T>() / 8).map(|_| AtomicU64::new(0)).collect();
        Published { version: AtomicU64::new(0), words, kind: PhantomData }
    }

    /// Replaces the figures. Only one thread may do so.
    pub fn store(&self, value: &T) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, bytes) in self.words.iter().zip(value.as_bytes().as_chunks::<8>().0) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        self.version.store(version + 2, Ordering::Release);
    }

    /// The figures as they were last stored.
    pub fn load(&self) -> T {
        loop {
            let before = self.version.load(Ordering::Acquire);
            let bytes: Vec<u8> =
                self.words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return T::read_from_bytes(&bytes).expect("there are as many words as the struct has");
            }
            std::hint::spin_loop();
        }
    }
}

impl<T: FromBytes + IntoBytes + Immutable + Copy> Default for Published<T> {
    fn default() -> Self {
        Published::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Expect: a reader never sees fields of two different moments.
    #[test]
    fn a_reader_sees_one_moment() {
        let published = Arc::new(Published::<[u64; 16]>::new());
        let writer = Arc::clone(&published);
        let thread = std::thread::spawn(move || (0..200_000).for_each(|at| writer.store(&[at; 16])));
        while !thread.is_finished() {
            let seen = published.load();
            assert!(seen.iter().all(|word| *word == seen[0]), "{seen:?}");
        }
        thread.join().unwrap();
        assert_eq!(published.load(), [199_999; 16]);
    }
}
