//! The ring of a packet socket: blocks that the kernel fills and hands over one after another
//! (Documentation/networking/packet_mmap.rst, `TPACKET_V3`).

use super::Passed;
use crate::net::syscall::set_option;
use socket2::Socket;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

const BLOCK_BYTES: usize = 1 << 20;

/// Blocks: 64 MiB, some 0.5 s of the most that two cores pass on.
pub(super) const BLOCKS: usize = 64;

/// What the kernel needs to hear although arrivals are as long as they are.
const FRAME_BYTES: usize = 2_048;

/// After so long a block is handed over as it is, in ms.
const BLOCK_MS: u32 = 10;

/// A ring, mapped.
pub(super) struct Ring {
    memory: NonNull<u8>,
    next: usize,
}

// SAFETY: the memory is this ring's alone, apart from the kernel, with which `block_status` decides whose a block is.
unsafe impl Send for Ring {}

impl Ring {
    /// Makes the ring of a socket.
    pub(super) fn map(socket: &Socket) -> io::Result<Ring> {
        let version = libc::tpacket_versions::TPACKET_V3 as i32;
        set_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_VERSION, version)?;
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: BLOCKS as u32,
            tp_frame_size: FRAME_BYTES as u32,
            tp_frame_nr: (BLOCKS * BLOCK_BYTES / FRAME_BYTES) as u32,
            tp_retire_blk_tov: BLOCK_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        // SAFETY: the pointer and the length are those of a local request.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_RX_RING,
                (&raw const request).cast(),
                size_of_val(&request) as libc::socklen_t,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new mapping of the socket's ring, at an address that the kernel chooses.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BLOCKS * BLOCK_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Ring { memory: NonNull::new(memory.cast()).expect("a mapping is never at address 0"), next: 0 })
    }

    /// Hands over what is in the next block, and gives it back to the kernel; `None` if it is still the kernel's.
    pub(super) fn take_block(&mut self, each: &mut impl FnMut(Passed<'_>)) -> Option<usize> {
        // SAFETY: `next` is below the number of blocks. A descriptor is at the beginning of each block, aligned as
        // the block is; its status is shared with the kernel and read as an atomic.
        let (block, status) = unsafe {
            let block = self.memory.as_ptr().add(self.next * BLOCK_BYTES);
            let descriptor: *mut libc::tpacket_block_desc = block.cast();
            (block, AtomicU32::from_ptr(&raw mut (*descriptor).hdr.bh1.block_status))
        };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the block is ours until its status is given back, and nobody writes to it.
        let bytes = unsafe { std::slice::from_raw_parts(block, BLOCK_BYTES) };
        // SAFETY: as above; the kernel has filled in the descriptor.
        let head = unsafe { (*block.cast::<libc::tpacket_block_desc>()).hdr.bh1 };
        let mut at = head.offset_to_first_pkt as usize;
        for _ in 0..head.num_pkts {
            let Some(next) = read(bytes, at, each) else { break };
            at = next;
        }
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % BLOCKS;
        Some(head.num_pkts as usize)
    }
}

/// Hands over what lies at this place of a block; the place of the next one.
fn read(block: &[u8], at: usize, each: &mut impl FnMut(Passed<'_>)) -> Option<usize> {
    let of_header = block.get(at..)?.get(..size_of::<libc::tpacket3_hdr>())?;
    // SAFETY: the bytes are there, and any bytes are a header, which is integers alone.
    let header: libc::tpacket3_hdr = unsafe { std::ptr::read_unaligned(of_header.as_ptr().cast()) };
    let start = at + usize::from(header.tp_mac);
    let bytes = block.get(start..)?.get(..header.tp_snaplen as usize)?;
    let vlan = (header.tp_status & libc::TP_STATUS_VLAN_VALID != 0).then(|| {
        let has_protocol = header.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let protocol = if has_protocol { header.hv1.tp_vlan_tpid } else { libc::ETH_P_8021Q as u16 };
        [protocol, header.hv1.tp_vlan_tci as u16]
    });
    each(Passed {
        wall_ns: u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec),
        len: header.tp_len as usize,
        bytes,
        vlan,
    });
    Some(at + header.tp_next_offset as usize)
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing refers to it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), BLOCKS * BLOCK_BYTES) };
    }
}
