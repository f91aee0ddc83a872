//! The requests of a session: which of its last 32 are done.

use redpkt_proto::IN_FLIGHT_MAX;

/// The newest counter seen, and two bits for each of the 32 up to it. 12 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestWindow {
    newest: u32,
    /// Bit `i`: is `newest - i` done?
    done: u32,
    /// Bit `i`: if so, was it by an answer about money, which the account keeps?
    money: u32,
}

/// What a session knows of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// Not executed yet.
    New,
    /// Executed, and it moved no money: a miss, or a refused open.
    Nothing,
    /// Executed, and its answer is among the account's.
    Money,
    /// Too old to tell, or the counter 0 that no request has.
    Below,
}

impl RequestWindow {
    /// What is known of the request with this counter.
    #[inline]
    pub fn state(&self, counter: u32) -> RequestState {
        if counter > self.newest {
            return RequestState::New;
        }
        let age = self.newest - counter;
        if age >= IN_FLIGHT_MAX || counter == 0 {
            return RequestState::Below;
        }
        match (self.done >> age & 1, self.money >> age & 1) {
            (0, _) => RequestState::New,
            (_, 0) => RequestState::Nothing,
            _ => RequestState::Money,
        }
    }

    /// Marks a request as executed. It must be new.
    #[inline]
    pub fn finish(&mut self, counter: u32, money: bool) {
        debug_assert_eq!(self.state(counter), RequestState::New);
        if counter > self.newest {
            let step = counter - self.newest;
            self.done = self.done.checked_shl(step).unwrap_or(0);
            self.money = self.money.checked_shl(step).unwrap_or(0);
            self.newest = counter;
        }
        let age = self.newest - counter;
        self.done |= 1 << age;
        self.money |= u32::from(money) << age;
    }

    /// A request that was marked as one about money turned out to move none.
    pub fn moved_nothing(&mut self, counter: u32) {
        if let RequestState::Money = self.state(counter) {
            self.money &= !(1 << (self.newest - counter));
        }
    }
}

const _: () = assert!(IN_FLIGHT_MAX == u32::BITS);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Expect: each counter can be finished once, keeps its kind while in the window, and is "below" after.
        #[test]
        fn agrees_with_a_map_of_everything_done(steps in prop::collection::vec((0u32..200, any::<bool>()), 1..300)) {
            let mut window = RequestWindow::default();
            let mut done = HashMap::new();
            let mut newest = 0;
            for (counter, money) in steps {
                let expected = if counter == 0 || counter + IN_FLIGHT_MAX <= newest {
                    RequestState::Below
                } else {
                    match done.get(&counter) {
                        None => RequestState::New,
                        Some(true) => RequestState::Money,
                        Some(false) => RequestState::Nothing,
                    }
                };
                prop_assert_eq!(window.state(counter), expected);
                if expected == RequestState::New {
                    window.finish(counter, money);
                    done.insert(counter, money);
                    newest = newest.max(counter);
                }
            }
        }
    }

    #[test]
    fn a_jump_over_the_whole_range_forgets_everything_and_does_not_overflow() {
        let mut window = RequestWindow::default();
        window.finish(1, true);
        window.finish(u32::MAX, false);
        assert_eq!(window.state(1), RequestState::Below);
        assert_eq!(window.state(u32::MAX), RequestState::Nothing);
        assert_eq!(window.state(u32::MAX - 31), RequestState::New);
    }
}
