//! A door: an address on this side's loopback behind which a TCP address within a star is. By it a process in a
//! namespace is asked like any other, from here and from another terminal. Each end has a loopback address of its own,
//! so that they are told apart as the machines that they stand for.

use super::{End, Star};
use redpkt::cli::Failure;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How long a connection may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// It is closed when it is dropped.
#[derive(Debug)]
pub struct Door {
    addr: SocketAddr,
    is_closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// Opens one, from wherever the calling thread is.
    pub fn open(star: &Arc<Star>, end: End, target: SocketAddr) -> Result<Door, Failure> {
        let refused = |error: io::Error| Failure::machine(format!("opening a port on loopback: {error}"));
        let own = match end {
            End::Server => Ipv4Addr::LOCALHOST,
            End::Host(host) => Ipv4Addr::new(127, 78, host as u8, 2),
        };
        let listener = TcpListener::bind((own, 0)).map_err(refused)?;
        let addr = listener.local_addr().map_err(refused)?;
        let is_closed = Arc::new(AtomicBool::new(false));
        let (star, closed) = (Arc::clone(star), Arc::clone(&is_closed));
        let serve = move || {
            for outside in listener.incoming() {
                if closed.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(outside) = outside else { continue };
                let star = Arc::clone(&star);
                // Without a thread the connection is closed, and whoever asked says so.
                let _ = Builder::new().name("door".into()).spawn(move || {
                    let inside = star.inside(end, || TcpStream::connect(target));
                    if let Ok(Ok(inside)) = inside {
                        // What breaks is noticed by whoever asked.
                        let _ = pass(&outside, &inside);
                    }
                });
            }
        };
        let thread = Builder::new().name("door".into()).spawn(serve).map_err(refused)?;
        Ok(Door { addr, is_closed, thread: Some(thread) })
    }

    /// What to ask at.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        // Wakes the thread, which then sees that it is over.
        if TcpStream::connect(self.addr).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// Passes bytes both ways until the side behind the door has said all.
fn pass(outside: &TcpStream, inside: &TcpStream) -> io::Result<()> {
    for stream in [outside, inside] {
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut from, mut to) = (outside, inside);
            let _ = io::copy(&mut from, &mut to);
            let _ = inside.shutdown(Shutdown::Write);
        });
        let (mut from, mut to) = (inside, outside);
        let passed = io::copy(&mut from, &mut to);
        let _ = outside.shutdown(Shutdown::Both);
        let _ = inside.shutdown(Shutdown::Both);
        passed.map(|_| ())
    })
}
