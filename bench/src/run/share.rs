//! Which users are whose: shared out over hosts and their threads without talking.

/// Which users a part has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Users of all parts.
    pub users: u64,
    /// How many parts there are.
    pub parts: u64,
    /// Which this is, from 0.
    pub part: u64,
}

impl Share {
    /// Part `thread` of `threads` on host `host` (from 1) of `hosts`: the users that are `host - 1` modulo
    /// `hosts` are this host's.
    pub fn new(users: u64, (host, hosts): (u32, u32), (thread, threads): (u32, u32)) -> Share {
        let (host, hosts) = (u64::from(host) - 1, u64::from(hosts));
        Share { users, parts: hosts * u64::from(threads), part: host + hosts * u64::from(thread) }
    }

    /// The same users seen from their host alone, with no other hosts beside it.
    pub fn within_host(&self, hosts: u32) -> Share {
        let hosts = u64::from(hosts);
        let (host, thread) = (self.part % hosts, self.part / hosts);
        Share {
            users: Share { parts: hosts, part: host, ..*self }.count(),
            parts: self.parts / hosts,
            part: thread,
        }
    }

    /// How many users it has.
    pub fn count(&self) -> u64 {
        (self.users + self.parts - 1 - self.part) / self.parts
    }

    /// Which of all users its user `local` is.
    pub fn global(&self, local: u32) -> u64 {
        u64::from(local) * self.parts + self.part
    }

    /// Which of its users that one is, if it is one of them.
    pub fn local(&self, global: u64) -> Option<u32> {
        (global < self.users && global % self.parts == self.part).then_some((global / self.parts) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Expect: a host seen alone has the same users under the same numbers.
        #[test]
        fn a_host_alone_has_its_users(users in 24u64..2_000, hosts in 1u32..6, threads in 1u32..4, at in 0u32..20) {
            let (host, thread) = (1 + at % hosts, at % threads);
            let share = Share::new(users, (host, hosts), (thread, threads));
            let alone = share.within_host(hosts);
            prop_assert_eq!(alone.count(), share.count());
            for local in 0..share.count() as u32 {
                let global = alone.global(local) * u64::from(hosts) + u64::from(host) - 1;
                prop_assert_eq!(global, share.global(local));
            }
        }
    }
}
