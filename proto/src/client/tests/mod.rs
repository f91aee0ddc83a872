//! Scenarios of the client session.
