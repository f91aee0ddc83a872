//! Stub.
use crate::net::client::ClientCounters;
use std::{io, net::SocketAddr, time::Duration};
/// x
pub struct XdpPeers;
/// x
#[allow(missing_docs)]
impl XdpPeers {
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    pub fn local_addr(&self, _: usize) -> io::Result<SocketAddr> {
        todo!()
    }
    pub fn counters(&self) -> ClientCounters {
        todo!()
    }
    pub fn send(&mut self, _: usize, _: &[u8]) {
        todo!()
    }
    pub fn flush(&mut self) {
        todo!()
    }
    pub fn recv(&mut self, _: &mut impl FnMut(usize, &mut [u8])) -> usize {
        todo!()
    }
    pub fn wait(&mut self, _: Duration) -> bool {
        todo!()
    }
}
