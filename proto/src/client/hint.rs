//! What an app can show its user about the service.

/// How the service feels just now. A session begins with [`Reconnecting`](Self::Reconnecting).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// Answers come as they should.
    Smooth,
    /// The server is there and has more to do than it can: "so many are shaking, hold on".
    Busy,
    /// There is no session, or it has gone silent: "connecting".
    Reconnecting,
    /// Nothing was heard for long, or the server refused the ticket or the version: "no connection".
    Offline,
}

/// Load level from which the service counts as busy: 16 × log2 of 16,384 µs. A shake that queues for longer
/// than that is noticed.
const BUSY_LOAD_LEVEL: u8 = 16 * 14;

/// What a hint is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// The ticket or the version is refused, and no earlier session lives.
    pub refused: bool,
    /// Joining, for the first time or again.
    pub joining: bool,
    /// Nothing was heard for longer than the join deadline.
    pub long_silent: bool,
    /// The server's last word was Busy, also on joining.
    pub busy: bool,
    /// Of the last answer.
    pub load_level: u8,
}

impl Hint {
    pub(super) fn of(facts: Facts) -> Hint {
        match facts {
            Facts { refused: true, .. } => Hint::Offline,
            Facts { joining: true, long_silent: true, .. } => Hint::Offline,
            Facts { busy: true, .. } => Hint::Busy,
            Facts { joining: true, .. } => Hint::Reconnecting,
            Facts { load_level: BUSY_LOAD_LEVEL.., .. } => Hint::Busy,
            _ => Hint::Smooth,
        }
    }
}
