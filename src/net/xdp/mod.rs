//! The AF_XDP engine: datagrams go between the driver and our rings, past the kernel's stack.
//!
//! | file | what |
//! |---|---|
//! | `filter` | the program in the kernel that tells our datagrams from all else |
//! | `assembler` | writes such a program, without a compiler |
//! | `bpf` | loads and attaches it |

// Until the engine stands on them.
#![allow(dead_code)]

mod assembler;
mod bpf;
mod filter;
