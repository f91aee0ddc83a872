//! Asks servers and load clients once a second, and shows what they say.
//!
//! | file | what |
//! |---|---|
//! | `watcher` | the sources: asked all at once, each with a bounded time |
//! | `interface` | packets of an interface of this machine |
//! | `line` | a second as a line, for people and for programs |
//! | `screen` | the whole terminal |

#![forbid(unsafe_code)]

mod interface;
pub mod line;
mod screen;
mod watcher;

pub use screen::{Screen, Seen};
pub use watcher::{Trouble, WatchError, Watcher};
