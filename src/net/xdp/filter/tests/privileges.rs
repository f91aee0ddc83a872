//! The capabilities that the errors name are those that are needed.

use super::frames::scenarios;
use super::{Verdict, program_or_skip, verdict};
use crate::net::xdp::filter::{FilterError, Program};
use std::io;

const CAP_NET_ADMIN: u32 = 12;
const CAP_BPF: u32 = 39;

/// Runs `check` on a thread that has these capabilities and no others; the rest of the process keeps its own.
fn with_capabilities(capabilities: &[u32], check: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Err(error) = keep_capabilities(capabilities) {
                return eprintln!("skipped: this thread has not the capabilities to give up ({error})");
            }
            check();
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn keep_capabilities(capabilities: &[u32]) -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        thread: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    // _LINUX_CAPABILITY_VERSION_3: 64 capabilities in two halves; thread 0 is the caller.
    let header = Header { version: 0x2008_0522, thread: 0 };
    let mut data = [Data::default(); 2];
    for capability in capabilities {
        let half = &mut data[(capability / 32) as usize];
        half.effective |= 1 << (capability % 32);
        half.permitted = half.effective;
    }
    // SAFETY: header and data are live and have the layout of this version; both are only read.
    match unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Expect: no CAP_PERFMON, no CAP_SYS_ADMIN needed, so the verifier's stricter rules are kept.
#[test]
fn cap_bpf_and_cap_net_admin_suffice() {
    with_capabilities(&[CAP_BPF, CAP_NET_ADMIN], || {
        for scenario in scenarios() {
            let Some(program) = program_or_skip(&scenario.filter, 1) else {
                panic!("not permitted with the capabilities that the error names");
            };
            assert_eq!(verdict(&program, &scenario.frame(64)), Verdict::Passed);
        }
    });
}

/// Expect: what a server still does after it gave up its privileges works.
#[test]
fn drops_are_read_without_any_capability() {
    let scenario = scenarios().remove(0);
    let Some(program) = program_or_skip(&scenario.filter, 1) else { return };
    assert_eq!(verdict(&program, &scenario.frame(63)), Verdict::DroppedLength);
    with_capabilities(&[], || assert_eq!(program.dropped().length, 1));
}

#[test]
fn without_capabilities_the_error_names_them() {
    let scenario = scenarios().remove(0);
    with_capabilities(&[], || {
        let error = Program::load(&scenario.filter, 1).err().expect("no privilege");
        assert!(matches!(error, FilterError::NotPermitted { .. }), "{error}");
        assert!(error.to_string().contains("CAP_BPF and CAP_NET_ADMIN"), "{error}");
    });
}
