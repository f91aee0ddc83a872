//! Asks for memory before it is needed.

/// Bytes that one prefetch brings.
const LINE_BYTES: usize = 64;

/// Starts loading all cache lines of `value` that are not in the cache, and does not wait for them.
///
/// A batch that first prefetches all its slots and then handles them waits for memory once instead of once
/// for each. Does nothing on processors other than x86-64 and aarch64.
#[inline(always)]
pub fn prefetch_read<T>(value: &T) {
    let first = std::ptr::from_ref(value).cast::<u8>();
    let misaligned = if align_of::<T>() >= LINE_BYTES { 0 } else { first as usize % LINE_BYTES };
    let mut offset = 0;
    while offset < size_of::<T>() + misaligned {
        // Stays within the lines that `value` touches.
        prefetch_line(first.wrapping_sub(misaligned).wrapping_add(offset));
        offset += LINE_BYTES;
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch_line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint: it reads nothing architecturally and never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn prefetch_line(address: *const u8) {
    // SAFETY: a prefetch is a hint: it reads nothing architecturally and never faults.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{address}]",
            address = in(reg) address,
            options(nostack, preserves_flags, readonly)
        );
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
fn prefetch_line(_address: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_size_and_place_can_be_asked_for() {
        let bytes = [0u8; 300];
        prefetch_read(&bytes);
        prefetch_read(&bytes[63]);
        prefetch_read(&());
        prefetch_read(bytes[1..].first_chunk::<130>().unwrap());
    }
}
