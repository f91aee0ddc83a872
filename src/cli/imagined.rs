//! Servers that nobody starts: what `serve` would be with some options.

use super::Failure;
use super::serve_options::ServeArgs;
use crate::control::Settings;
use clap::Parser;
use rand::SeedableRng as _;
use redpkt_proto::keyring::KeyRing;

/// A server that nobody starts: what these options of `serve`, and the defaults of all others, would be. Its keys are
/// made up, and it has no HTTP side.
pub fn imagined(options: &[String]) -> Result<Settings, Failure> {
    #[derive(Parser)]
    struct Imagined {
        #[command(flatten)]
        serve: ServeArgs,
    }
    let always = ["serve", "--key", "none", "--http", "none"].map(str::to_owned);
    let parsed = Imagined::try_parse_from(always.iter().chain(options)).map_err(|error| {
        Failure::usage(error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: "))
    })?;
    parsed.serve.settings_with(|_| Ok(KeyRing::generate(&mut redpkt_proto::Rng::seed_from_u64(0))))
}
