//! The engine over AF_XDP sockets.

// For now: the engine that uses these is on its way.
#![allow(dead_code)]

mod headers;
