//! Pictures and pages, drawn here as SVG and HTML: the live page of a server and the report of a run need nothing from
//! the network and no script that draws.
//!
//! | file | what |
//! |---|---|
//! | `drawing` | what all pictures have in common |
//! | `words` | numbers as people read them |
//! | `chart`, `spectrum` | one chart over time; latencies by percentile |
//! | `plots` | every plot of a run |
//! | `sides` | the same event counted on three sides, and where they agree |
//! | `live`, `crowd` | the live page's figures; sessions by SET |
//! | `report` | the report of a run |
//! | `shell` | what is around both: style, script, policy |

#![forbid(unsafe_code)]

mod chart;
mod crowd;
pub mod drawing;
mod live;
mod plots;
mod report;
mod shell;
pub mod sides;
pub mod spectrum;
#[cfg(test)]
mod tests;
pub mod words;

pub use chart::{Chart, Line, Many, Scale};
pub use crowd::SetSessions;
pub use live::{Live, View, fragment};
pub use plots::{Plot, of_latencies, over_time};
pub use report::report;
pub use shell::{live_shell, policy};
