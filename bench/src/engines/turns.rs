//! One measurement: a server is started, its users join, it is measured and ended.
//!
//! Only one program can sit at an interface, and where one sits the kernel's own path is another one too. So
//! each server is alone on the wire while it is measured, and the next one finds it as the first did.

use crate::floor::{Kind, Load, Sample, ServerIo, Setup, Variant, WARM_UP};
use redpkt::cli::Failure;
use redpkt_proto::Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a server got when it asked for AF_XDP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Got {
    /// `native` or `generic`.
    pub mode: String,
    /// Whether the driver reads and writes its memory; else the kernel copies.
    pub zero_copy: bool,
}

/// Measures kinds, one at a time.
pub struct Turns {
    setup: Setup,
    load: Load,
    time: Duration,
    rng: Rng,
    got: BTreeMap<&'static str, Got>,
}

impl Turns {
    /// All that the measurements have in common.
    pub fn new(setup: Setup, load: Load, time: Duration, rng: Rng) -> Turns {
        Turns { setup, load, time, rng, got: BTreeMap::new() }
    }

    /// Starts a server, measures it, and ends it.
    pub fn measure(&mut self, kind: Kind) -> Result<Sample, Failure> {
        let mut variant = Variant::start(kind, &self.setup, &mut self.rng)?;
        if kind.io != ServerIo::Mmsg && super::kinds::is_server(&kind) {
            let io = &variant.child().stats()?["io"]["xdp"];
            let mode = io["mode"].as_str().unwrap_or_default().to_owned();
            self.got.insert(kind.name, Got { mode, zero_copy: io["zero_copy"] == true });
        }
        let sample = variant.measure(self.load, WARM_UP, self.time)?;
        variant.end()?;
        Ok(sample)
    }

    /// What servers got, by their names.
    pub fn got(&self) -> &BTreeMap<&'static str, Got> {
        &self.got
    }
}
