//! The tally: what each user was told about money, one row an answer.

use redpkt::cli::Failure;
use redpkt_proto::Op;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// One answer, or the lack of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Whose.
    pub user: u64,
    /// To which request.
    pub req: u64,
    /// `shake`, `open`, `send`, `share` or `grab`.
    pub op: &'static str,
    /// The packet that was won or made, or that was opened, shared or grabbed; where the outcome is not known,
    /// the one that was asked for. 0 where nothing was won, and where it was refused.
    pub packet: u64,
    /// What an open took, or the total of the packet that was sent. Else 0.
    pub fen: u64,
    /// Whether the server has said so.
    pub outcome: Outcome,
}

/// Whether an outcome is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The server's word.
    Known,
    /// Executed once or not at all: an audit accepts either.
    Unknown,
}

/// The name of an op in a tally.
pub fn op_name(op: Op) -> &'static str {
    match op {
        Op::Open => "open",
        Op::Send => "send",
        Op::Share => "share",
        Op::Grab => "grab",
        _ => "shake",
    }
}

/// Writes rows as JSON lines.
pub fn write_rows(rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    for row in rows {
        serde_json::to_writer(&mut *out, row)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes rows into a file of their own.
pub fn write_tally(path: &Path, rows: &[Row]) -> Result<(), Failure> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        write_rows(rows, &mut file)?;
        file.flush()
    };
    write().map_err(|error: io::Error| Failure::machine(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_contracts_fields() {
        let row = Row { user: 1, req: 2, op: op_name(Op::Open), packet: 3, fen: 4, outcome: Outcome::Known };
        let mut text = Vec::new();
        write_rows(&[row, Row { op: "shake", outcome: Outcome::Unknown, ..row }], &mut text).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"user\":1,\"req\":2,\"op\":\"open\",\"packet\":3,\"fen\":4,\"outcome\":\"known\"}\n\
             {\"user\":1,\"req\":2,\"op\":\"shake\",\"packet\":3,\"fen\":4,\"outcome\":\"unknown\"}\n"
        );
    }
}
