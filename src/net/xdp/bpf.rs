//! The bpf(2) calls, as safe as they can be made: each owns what it made, and hands over only what it owns.
//!
//! The kernel closes all these descriptors on exec by itself. Structures after `union bpf_attr` in the
//! kernel's include/uapi/linux/bpf.h; what a kernel knows beyond them it takes as zero.

use super::assembler::Instruction;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
#[cfg(test)]
const PROG_TEST_RUN: libc::c_int = 10;
const LINK_CREATE: libc::c_int = 28;

const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_XSKMAP: u32 = 17;
const F_MMAPABLE: u32 = 1 << 10;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;

/// Attach behind the driver, in the kernel's own receive path.
pub(super) const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
/// Attach in the driver.
pub(super) const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// Bytes of a name of a map or program, with the zero that ends it.
const NAME_BYTES: usize = 16;

/// Room for what the verifier says. It tells each step when asked, and our program has a few hundred.
const LOG_BYTES: usize = 1 << 20;

/// How often a load is tried that a signal interrupted.
const LOAD_TRIES: usize = 5;

/// One bpf(2) call.
///
/// # Safety
/// `attributes` has the layout that the command reads, and its addresses and lengths are those of memory
/// that is valid for what the command does with it.
unsafe fn bpf<A>(command: libc::c_int, attributes: &mut A) -> io::Result<libc::c_int> {
    // SAFETY: pointer and length are those of the structure; the caller answers for what is in it.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<A>()) };
    // A result is a descriptor or 0.
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as libc::c_int) }
}

/// One bpf(2) call that makes something.
///
/// # Safety
/// As for [`bpf`], and the command returns a new descriptor.
unsafe fn bpf_make<A>(command: libc::c_int, attributes: &mut A) -> io::Result<OwnedFd> {
    // SAFETY: the caller answers for the attributes, and the descriptor is new, so nobody else owns it.
    unsafe { Ok(OwnedFd::from_raw_fd(bpf(command, attributes)?)) }
}

fn name_bytes(name: &str) -> [u8; NAME_BYTES] {
    assert!(name.len() < NAME_BYTES, "{name}: a name has at most {} bytes", NAME_BYTES - 1);
    let mut bytes = [0; NAME_BYTES];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}

#[repr(C)]
struct CreateMap {
    map_type: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries_max: u32,
    flags: u32,
    inner_map: u32,
    numa_node: u32,
    name: [u8; NAME_BYTES],
}

fn create_map(
    map_type: u32,
    name: &str,
    value_bytes: usize,
    entries: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    let mut attributes = CreateMap {
        map_type,
        key_bytes: size_of::<u32>() as u32,
        value_bytes: value_bytes as u32,
        entries_max: entries,
        flags,
        inner_map: 0,
        numa_node: 0,
        name: name_bytes(name),
    };
    // SAFETY: this is the command's structure; it has no addresses, and a map is a new descriptor.
    unsafe { bpf_make(MAP_CREATE, &mut attributes) }
}

/// An XSKMAP: AF_XDP sockets by the number of their receive queue.
pub(super) struct SocketMap(OwnedFd);

impl SocketMap {
    /// An empty map for queues 0 to `entries - 1`.
    pub(super) fn create(name: &str, entries: u32) -> io::Result<SocketMap> {
        create_map(MAP_TYPE_XSKMAP, name, size_of::<u32>(), entries, 0).map(SocketMap)
    }

    /// Puts a socket in its place, instead of one that may be there. It leaves when it is closed.
    pub(super) fn set(&self, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        #[repr(C)]
        struct Element {
            map: u32,
            padding: u32,
            key: u64,
            value: u64,
            flags: u64,
        }
        let value = socket.as_raw_fd();
        let mut attributes = Element {
            map: self.0.as_raw_fd() as u32,
            padding: 0,
            key: (&raw const queue) as u64,
            value: (&raw const value) as u64,
            flags: 0,
        };
        // SAFETY: this is the command's structure; key and value are live and have the 4 bytes that this
        // map was made for. Both are only read.
        unsafe { bpf(MAP_UPDATE_ELEM, &mut attributes) }.map(|_| ())
    }

    /// For the program.
    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Numbers in one cache line of [`LineMap`].
pub(super) const NUMBERS_PER_LINE: usize = 8;

type Line = [AtomicU64; NUMBERS_PER_LINE];

/// Lines of numbers that a program reads and adds to, shared with us as memory: no system call is needed, and no
/// privilege any more.
pub(super) struct LineMap {
    map: OwnedFd,
    lines: NonNull<Line>,
    count: u32,
}

// SAFETY: the memory is shared with the kernel, and is touched by atomic operations only.
unsafe impl Send for LineMap {}
// SAFETY: as above.
unsafe impl Sync for LineMap {}

impl LineMap {
    /// `count` lines of [`NUMBERS_PER_LINE`] numbers, all 0.
    pub(super) fn create(name: &str, count: u32) -> io::Result<LineMap> {
        let map = create_map(MAP_TYPE_ARRAY, name, size_of::<Line>(), count, F_MMAPABLE)?;
        // SAFETY: a new mapping of a map that is ours, at an address that the kernel chooses.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                count as usize * size_of::<Line>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let lines = NonNull::new(memory.cast()).expect("a mapping is never at address 0");
        Ok(LineMap { map, lines, count })
    }

    /// One number of each line, summed.
    pub(super) fn sum(&self, number: usize) -> u64 {
        self.lines().iter().map(|line| line[number].load(Ordering::Relaxed)).sum()
    }

    /// One number of one line.
    pub(super) fn get(&self, line: u32, number: usize) -> u64 {
        self.lines()[line as usize][number].load(Ordering::Relaxed)
    }

    /// Sets the first numbers of a line, one after another.
    pub(super) fn set(&self, line: u32, numbers: &[u64]) {
        for (place, number) in self.lines()[line as usize].iter().zip(numbers) {
            place.store(*number, Ordering::Relaxed);
        }
    }

    fn lines(&self) -> &[Line] {
        // SAFETY: `create` mapped this many lines, which begin at a page's start; they are unmapped when
        // self is dropped. A number is only ever touched atomically.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr(), self.count as usize) }
    }

    /// For the program.
    pub(super) fn fd(&self) -> RawFd {
        self.map.as_raw_fd()
    }
}

impl Drop for LineMap {
    fn drop(&mut self) {
        // SAFETY: address and length are those of the mapping that `create` made; nothing points into it.
        unsafe { libc::munmap(self.lines.as_ptr().cast(), self.count as usize * size_of::<Line>()) };
    }
}

/// Why a program was not loaded.
#[derive(Debug)]
pub(super) struct LoadError {
    /// The kernel's errno.
    pub(super) error: io::Error,
    /// What the verifier said; empty when it was not reached.
    pub(super) log: String,
}

impl LoadError {
    /// The line in which the verifier names its reason: the last but its statistics.
    pub(super) fn reason(&self) -> Option<&str> {
        let statistics = ["processed ", "verification time ", "stack depth "];
        let mut lines = self.log.lines().rev().map(str::trim);
        lines.find(|line| !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start)))
    }
}

/// Loads an XDP program. When it is refused it is tried once more, to hear the verifier's reason.
pub(super) fn load_xdp_program(name: &str, code: &[Instruction]) -> Result<OwnedFd, LoadError> {
    match load(name, code, &mut []) {
        Ok(program) => Ok(program),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            Err(LoadError { error, log: String::new() })
        }
        Err(_) => {
            let mut log = vec![0; LOG_BYTES];
            load(name, code, &mut log).map_err(|error| {
                let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
                LoadError { error, log: String::from_utf8_lossy(&log[..end]).into_owned() }
            })
        }
    }
}

fn load(name: &str, code: &[Instruction], log: &mut [u8]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct LoadProgram {
        program_type: u32,
        instructions: u32,
        code: u64,
        license: u64,
        log_level: u32,
        log_bytes: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; NAME_BYTES],
        interface: u32,
        attach_type: u32,
    }
    let mut attributes = LoadProgram {
        program_type: PROG_TYPE_XDP,
        instructions: code.len() as u32,
        code: code.as_ptr() as u64,
        // The helpers we call are open to every license.
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_bytes: log.len() as u32,
        log: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kernel_version: 0,
        flags: 0,
        name: name_bytes(name),
        interface: 0,
        attach_type: ATTACH_TYPE_XDP,
    };
    for _ in 1..LOAD_TRIES {
        // SAFETY: this is the command's structure; code, license and log are live, their lengths are their
        // own (the license ends with a zero), and only the log is written to. A program is a new descriptor.
        match unsafe { bpf_make(PROG_LOAD, &mut attributes) } {
            // The verifier gives way to a signal.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            result => return result,
        }
    }
    // SAFETY: as above.
    unsafe { bpf_make(PROG_LOAD, &mut attributes) }
}

/// Attaches an XDP program to the interface with this index. It is detached when the link's last
/// descriptor is closed. A program that is there already is never replaced: EBUSY or EEXIST.
pub(super) fn create_xdp_link(program: BorrowedFd<'_>, interface: u32, flags: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct CreateLink {
        program: u32,
        interface: u32,
        attach_type: u32,
        flags: u32,
    }
    let mut attributes =
        CreateLink { program: program.as_raw_fd() as u32, interface, attach_type: ATTACH_TYPE_XDP, flags };
    // SAFETY: this is the command's structure; it has no addresses, and a link is a new descriptor.
    unsafe { bpf_make(LINK_CREATE, &mut attributes) }
}

/// What a test run of a program gave.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(super) struct TestRun {
    /// What the program returned.
    pub(super) action: u32,
    /// How long one run took on average.
    pub(super) ns: u32,
}

/// Runs an XDP program `repeat` times on a frame of at least 14 bytes, as if it came on queue 0 of the
/// loopback interface. Redirected frames go nowhere.
#[cfg(test)]
pub(super) fn test_run(program: BorrowedFd<'_>, frame: &[u8], repeat: u32) -> io::Result<TestRun> {
    #[repr(C)]
    struct Attributes {
        program: u32,
        action: u32,
        data_bytes_in: u32,
        data_bytes_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        ns: u32,
    }
    let mut attributes = Attributes {
        program: program.as_raw_fd() as u32,
        action: u32::MAX,
        data_bytes_in: frame.len() as u32,
        data_bytes_out: 0,
        data_in: frame.as_ptr() as u64,
        data_out: 0,
        repeat,
        ns: 0,
    };
    // SAFETY: this is the command's structure; the frame is live, its length is its own, and it is copied.
    unsafe { bpf(PROG_TEST_RUN, &mut attributes)? };
    Ok(TestRun { action: attributes.action, ns: attributes.ns })
}
