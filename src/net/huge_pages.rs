//! Huge pages for big tables.

/// Bytes of a huge page where it matters; on machines with others the advice is just less useful.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Asks the kernel to back `memory` with huge pages: a random access then misses the TLB less often.
/// Advice only; where it is not taken, nothing changes.
pub fn advise_huge_pages<T>(memory: &mut [T]) {
    let range = memory.as_mut_ptr_range();
    let start = (range.start as usize).next_multiple_of(HUGE_PAGE_BYTES);
    let end = range.end as usize / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if start >= end {
        return;
    }
    // The second also moves what was touched before the advice; kernels before 6.1 do not know it.
    for advice in [libc::MADV_HUGEPAGE, libc::MADV_COLLAPSE] {
        // SAFETY: the range lies within `memory`, and neither advice changes what is in it.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, advice) };
    }
}
