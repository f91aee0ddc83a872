//! Placeholder.
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct FilterError;
