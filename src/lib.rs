//! redpkt: a UDP datagram server for flash events.

pub mod net;
