//! Results as files: what all commands with `--json` do alike.

use redpkt::cli::Failure;
use serde::Serialize;

/// Prints `text`, and writes `value` as JSON where that is wished: to a file, or with `-` to stdout, and the text
/// then goes to stderr.
pub fn json_or_text(value: &impl Serialize, text: &str, json: Option<&str>) -> Result<(), Failure> {
    let to_json = || serde_json::to_string_pretty(value).map_err(Failure::machine);
    match json {
        Some("-") => {
            eprint!("{text}");
            println!("{}", to_json()?);
        }
        Some(file) => {
            print!("{text}");
            std::fs::write(file, to_json()? + "\n")
                .map_err(|error| Failure::usage(format!("--json {file}: {error}")))?;
        }
        None => print!("{text}"),
    }
    Ok(())
}
