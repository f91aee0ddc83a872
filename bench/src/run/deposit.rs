//! Money for users before a run: a deposit for each, by the server's HTTP side.

use super::Progress;
use super::options::RunOptions;
use crate::http;
use redpkt::cli::Failure;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Deposits on their way at a time: they wait for the disk together.
const AT_ONCE: usize = 16;

/// Pays `--deposit` fen to each user of this host. The order of user U has the id `deposit-U`, so a user gets it
/// once, however often this is run on one ledger.
pub fn deposit(options: &RunOptions, progress: &mut dyn FnMut(Progress)) -> Result<(), Failure> {
    let (Some(url), 1..) = (&options.http, options.deposit_fen) else { return Ok(()) };
    let (next, done, is_over) =
        (AtomicU64::new(u64::from(options.host) - 1), AtomicU64::new(0), AtomicBool::new(false));
    let failure = Mutex::new(None);
    let pay = || {
        while failure.lock().is_ok_and(|failure| failure.is_none()) {
            let at = next.fetch_add(options.hosts.into(), Ordering::Relaxed);
            if at >= options.users {
                return;
            }
            let (user, fen) = (options.first_user + at, options.deposit_fen);
            let target = format!("deposit?id=deposit-{user}&user={user}&fen={fen}");
            match http::order(url, &target) {
                Ok(_) => _ = done.fetch_add(1, Ordering::Relaxed),
                Err(why) => _ = failure.lock().map(|mut failure| failure.get_or_insert(why).clone()),
            }
        }
    };
    let users = options.users.div_ceil(options.hosts.into());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(pay)).collect();
        while !is_over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
            progress(Progress::Paying { paid: done.load(Ordering::Relaxed), users });
            is_over.store(threads.iter().all(|thread| thread.is_finished()), Ordering::Relaxed);
        }
    });
    match failure.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(Failure::machine(format!("--deposit: {why}"))),
        Err(_) => Err(Failure::check("--deposit: a thread has ended; its last words are above")),
    }
}
