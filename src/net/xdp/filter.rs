//! Stub.
use std::net::*;
use std::os::fd::BorrowedFd;
pub(super) struct Filter {
    pub mac: [u8; 6],
    pub vlan: Option<u16>,
    pub take: Take,
}
pub(super) enum Take {
    To(Vec<SocketAddr>),
    From { server: SocketAddr, network: IpAddr, prefix_bits: u8 },
}
/// x
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// x
    Native,
    /// x
    Generic,
}
pub(super) struct Program;
pub(super) struct Link;
pub(super) struct D {
    pub length: u64,
    pub version: u64,
}
impl Program {
    pub fn load(_: &Filter, _: u32) -> Result<Program, FilterError> {
        todo!()
    }
    pub fn set_socket(&self, _: u32, _: BorrowedFd<'_>) -> Result<(), FilterError> {
        todo!()
    }
    pub fn attach(&self, _: u32, _: &str, _: Mode) -> Result<Link, FilterError> {
        todo!()
    }
    pub fn dropped(&self) -> D {
        todo!()
    }
}
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct FilterError;
