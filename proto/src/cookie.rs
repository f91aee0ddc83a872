//! Cookies: how a server makes an address prove itself without keeping anything for it.
//!
//! A cookie binds address, user, a nonce (the client random in a handshake, the session number on a path
//! check) and the time it was made. Only the server reads cookies; clients echo them.

use crate::body::CookieBytes;
use crate::derive::{Label, keyed};
use crate::limits::{COOKIE_LIFETIME_MS, SESSION_STEP_MS};
use crate::path::Path;
use crate::time::Now;
use rand::Rng as _;
use subtle::ConstantTimeEq;

/// The newest two cookie secrets of a worker: random, in memory only, renewed by [`rotate`](Self::rotate).
pub struct CookieJar {
    current: [u8; 32],
    previous: [u8; 32],
    rotated_ns: u64,
}

/// What a cookie is for; a cookie for one is none for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// CHALLENGE and JOIN.
    Join,
    /// PATH and PATH_OK.
    Path,
}

/// How long one secret makes cookies: as its cookies are also taken while it is the previous one, a
/// cookie lives at least this long and at most [`COOKIE_LIFETIME_MS`].
const ROTATE_NS: u64 = COOKIE_LIFETIME_MS / 2 * 1_000_000;
const LIFETIME_STEPS: u32 = (COOKIE_LIFETIME_MS / SESSION_STEP_MS) as u32;

impl CookieJar {
    /// A jar with fresh secrets.
    pub fn new(now: Now, rng: &mut crate::Rng) -> CookieJar {
        let mut jar = CookieJar { current: [0; 32], previous: [0; 32], rotated_ns: now.mono_ns };
        rng.fill_bytes(&mut jar.current);
        rng.fill_bytes(&mut jar.previous);
        jar
    }

    /// Draws a new secret when the current one has been in use for half a cookie's life.
    pub fn rotate(&mut self, now: Now, rng: &mut crate::Rng) {
        if now.mono_ns.saturating_sub(self.rotated_ns) >= ROTATE_NS {
            self.previous = self.current;
            rng.fill_bytes(&mut self.current);
            self.rotated_ns = now.mono_ns;
        }
    }

    /// A cookie for `user` at `path`, bound to `nonce`.
    pub fn make(&self, purpose: Purpose, now: Now, path: &Path, user: u64, nonce: &[u8; 8]) -> CookieBytes {
        let made = now.session_number();
        CookieBytes { made: made.into(), mac: mac(&self.current, purpose, made, path, user, nonce) }
    }

    /// Whether this jar made `cookie` for just that, not too long ago.
    pub fn check(
        &self,
        cookie: &CookieBytes,
        purpose: Purpose,
        now: Now,
        path: &Path,
        user: u64,
        nonce: &[u8; 8],
    ) -> bool {
        let made = cookie.made.get();
        let fresh = now.session_number().checked_sub(made).is_some_and(|age| age <= LIFETIME_STEPS);
        fresh
            && [&self.current, &self.previous]
                .iter()
                .any(|secret| mac(secret, purpose, made, path, user, nonce).ct_eq(&cookie.mac).into())
    }
}

/// The MAC of a cookie, 8 bytes.
pub fn mac(
    secret: &[u8; 32],
    purpose: Purpose,
    made: u32,
    path: &Path,
    user: u64,
    nonce: &[u8; 8],
) -> [u8; 8] {
    let label = match purpose {
        Purpose::Join => Label::Cookie,
        Purpose::Path => Label::Path,
    };
    let fields: [&[u8]; 5] =
        [&made.to_le_bytes(), &path.ip, &path.port.to_le_bytes(), &user.to_le_bytes(), nonce];
    keyed(secret, label, &fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SESSION_EPOCH_WALL_MS;
    use rand::SeedableRng;

    const START: Now = Now { mono_ns: 1, wall_ms: SESSION_EPOCH_WALL_MS + 1_000_000 };

    fn setup() -> (CookieJar, crate::Rng, Path) {
        let mut rng = crate::Rng::seed_from_u64(3);
        let path = Path::new("192.0.2.1:4000".parse().unwrap(), 0);
        (CookieJar::new(START, &mut rng), rng, path)
    }

    #[test]
    fn a_cookie_is_good_for_its_own_address_user_nonce_and_purpose_only() {
        let (jar, _, path) = setup();
        let cookie = jar.make(Purpose::Join, START, &path, 7, &[1; 8]);
        let check = |purpose, path: &Path, user, nonce: &[u8; 8]| {
            jar.check(&cookie, purpose, START, path, user, nonce)
        };
        assert!(check(Purpose::Join, &path, 7, &[1; 8]));
        assert!(!check(Purpose::Path, &path, 7, &[1; 8]));
        assert!(!check(Purpose::Join, &Path { port: 4001, ..path }, 7, &[1; 8]));
        assert!(!check(Purpose::Join, &Path::new("192.0.2.2:4000".parse().unwrap(), 0), 7, &[1; 8]));
        assert!(!check(Purpose::Join, &path, 8, &[1; 8]));
        assert!(!check(Purpose::Join, &path, 7, &[2; 8]));
        let later = CookieBytes { made: (cookie.made.get() + 1).into(), ..cookie };
        assert!(!jar.check(&later, Purpose::Join, START.plus_ns(1 << 30), &path, 7, &[1; 8]));
    }

    #[test]
    fn a_cookie_outlives_one_rotation_and_not_its_lifetime() {
        let (mut jar, mut rng, path) = setup();
        let cookie = jar.make(Purpose::Join, START, &path, 7, &[1; 8]);
        let mut check_at = |ns| {
            let now = START.plus_ns(ns);
            jar.rotate(now, &mut rng);
            jar.check(&cookie, Purpose::Join, now, &path, 7, &[1; 8])
        };
        assert!(check_at(ROTATE_NS));
        assert!(check_at(2 * ROTATE_NS - 1_000_000_000));
        assert!(!check_at(2 * ROTATE_NS + 1_000_000_000));
    }

    #[test]
    fn a_cookie_from_the_future_is_refused() {
        let (jar, _, path) = setup();
        let cookie = jar.make(Purpose::Join, START.plus_ns(10_000_000_000), &path, 7, &[1; 8]);
        assert!(!jar.check(&cookie, Purpose::Join, START, &path, 7, &[1; 8]));
    }
}
