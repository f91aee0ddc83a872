//! Reads, summarises and records captures of redpkt's traffic.

#![forbid(unsafe_code)]

pub mod record;
