//! Memory whose address the kernel is told once.

use redpkt_proto::DATAGRAM_BYTES_MAX;
use std::ptr::NonNull;

/// Room for one datagram, on cache lines of its own.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Buffer(pub(super) [u8; DATAGRAM_BYTES_MAX]);

impl Buffer {
    pub(super) const EMPTY: Buffer = Buffer([0; DATAGRAM_BYTES_MAX]);
}

/// A fixed number of `T`, built once, never moved, freed with its owner.
///
/// Unlike a `Box<[T]>`, moving its owner does not invalidate the raw pointers taken from it, which
/// message headers hold for as long as they live.
pub(super) struct Fixed<T> {
    first: NonNull<T>,
    len: usize,
}

// SAFETY: a Fixed owns its elements as a Box does and shares them with nobody. The raw pointers inside
// message headers point only into other Fixed of the same owner, so they move to another thread together.
unsafe impl<T> Send for Fixed<T> {}

impl<T: Copy> Fixed<T> {
    pub(super) fn new(value: T, len: usize) -> Fixed<T> {
        let first = Box::into_raw(vec![value; len].into_boxed_slice()).cast::<T>();
        Fixed { first: NonNull::new(first).expect("a box is never null"), len }
    }

    /// Element `index`, for the kernel. Valid for as long as `self` lives.
    pub(super) fn pointer(&self, index: usize) -> *mut T {
        assert!(index < self.len);
        // SAFETY: the index is within the allocation.
        unsafe { self.first.as_ptr().add(index) }
    }

    pub(super) fn get(&self, index: usize) -> &T {
        // SAFETY: `pointer` checked the index; the element is initialised; `&self` keeps writers away.
        unsafe { &*self.pointer(index) }
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut T {
        // SAFETY: as in `get`, and `&mut self` makes this the only reference.
        unsafe { &mut *self.pointer(index) }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl<T> Drop for Fixed<T> {
    fn drop(&mut self) {
        // SAFETY: pointer and length are those of the box that `new` took apart.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.first.as_ptr(), self.len)) });
    }
}

/// A message header that points at nothing.
pub(super) fn empty_header() -> libc::mmsghdr {
    // SAFETY: mmsghdr is plain data (pointers and integers) for which all zeroes is a valid value; it has
    // private padding on some targets, so it cannot be written as a literal.
    unsafe { std::mem::zeroed() }
}

/// A vector element that points at nothing.
pub(super) const EMPTY_IOVEC: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
