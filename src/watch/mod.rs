//! Asks servers and load clients once a second, and shows what they say.
//!
//! | file | what |
//! |---|---|
//! | `watcher` | the sources: asked all at once, each with a bounded time |
//! | `interface` | packets of an interface of this machine |

#![forbid(unsafe_code)]

mod interface;
mod watcher;

pub use watcher::{Trouble, WatchError, Watcher};
