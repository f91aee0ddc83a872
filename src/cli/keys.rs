//! Key files and tickets.

use super::Failure;
use super::parse::parse_seconds;
use crate::control::os_seeded_rng;
use clap::Args;
use redpkt_proto::keyring::KeyRing;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Options of `keygen`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  redpkt keygen --out redpkt.key\n  redpkt keygen --out redpkt.key --rotate   # new key on top; then: kill -HUP SERVER"
)]
pub struct KeygenArgs {
    /// The file to make, readable by its owner alone
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Put a new key on top of an existing file; tickets of its other keys stay good
    #[arg(long)]
    rotate: bool,
}

/// Options of `ticket`.
#[derive(Args)]
#[command(
    after_help = "Example:\n  redpkt ticket --key redpkt.key --user 42 --ttl 1h\n\nThe ticket is a secret of that user: whoever has it can join as them until it ends."
)]
pub struct TicketArgs {
    /// The server's key file
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Whose ticket
    #[arg(long, value_name = "N")]
    user: u64,
    /// How long it is good, such as 30m or 1h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_seconds)]
    ttl: u64,
}

/// Makes a key file.
pub fn keygen(args: &KeygenArgs) -> Result<(), Failure> {
    let out = args.out.display();
    let mut rng = os_seeded_rng().map_err(|error| Failure::machine(format!("no random bytes: {error}")))?;
    let ring = if args.rotate {
        read_key_file(&args.out, "--out")?
            .with_new_key(&mut rng)
            .map_err(|why| Failure::usage(format!("--out {out}: {why}")))?
    } else {
        KeyRing::generate(&mut rng)
    };
    let target = if args.rotate { args.out.with_extension("new") } else { args.out.clone() };
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target).and_then(|mut file| {
            file.write_all(ring.to_text().as_bytes())?;
            file.sync_all()
        });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::usage(format!(
            "--out {}: it exists and is not overwritten; name another file, or add a key to it with --rotate",
            target.display()
        )),
        _ => Failure::machine(format!("--out {}: {error}", target.display())),
    })?;
    if args.rotate {
        std::fs::rename(&target, &args.out)
            .map_err(|error| Failure::machine(format!("--out {out}: {error}")))?;
    }
    println!("{out}: keys {:?}, the first one issues", ring.ids().collect::<Vec<_>>());
    Ok(())
}

/// Prints a ticket.
pub fn ticket(args: &TicketArgs) -> Result<(), Failure> {
    let ring = read_key_file(&args.key, "--key")?;
    let mut rng = os_seeded_rng().map_err(|error| Failure::machine(format!("no random bytes: {error}")))?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expiry_s = u32::try_from(now_s.saturating_add(args.ttl))
        .map_err(|_| Failure::usage("--ttl: tickets end before 2106"))?;
    println!("{}", ring.issue(args.user, expiry_s, &mut rng).to_text());
    Ok(())
}

/// Reads a key file, which nobody but its owner may read or write.
pub fn read_key_file(path: &Path, option: &str) -> Result<KeyRing, Failure> {
    let usage = |why: String| Failure::usage(format!("{option} {}: {why}", path.display()));
    let file = File::open(path)
        .map_err(|error| usage(format!("{error}; `redpkt keygen --out {}` makes one", path.display())))?;
    let mode = file.metadata().map_err(|error| usage(error.to_string()))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(usage(format!(
            "its mode is {mode:04o} and others may use it; chmod 0600 {}",
            path.display()
        )));
    }
    let mut text = String::new();
    // More than a whole key file, and no more than that of a file that is none.
    file.take(1 << 16).read_to_string(&mut text).map_err(|error| usage(error.to_string()))?;
    KeyRing::parse(&text).map_err(|why| usage(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_readable_by_its_owner_alone_and_rotated_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("keys");
        keygen(&KeygenArgs { out: out.clone(), rotate: false }).unwrap();
        assert_eq!(out.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(keygen(&KeygenArgs { out: out.clone(), rotate: false }).is_err());
        keygen(&KeygenArgs { out: out.clone(), rotate: true }).unwrap();
        assert_eq!(read_key_file(&out, "--key").unwrap().ids().collect::<Vec<_>>(), [2, 1]);
        assert_eq!(out.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused_with_the_fix() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("keys");
        keygen(&KeygenArgs { out: out.clone(), rotate: false }).unwrap();
        std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o640)).unwrap();
        let failure = read_key_file(&out, "--key").unwrap_err().to_string();
        assert!(failure.contains("0640") && failure.contains("chmod 0600"), "{failure}");
    }
}
