//! Key files and tickets.

use super::lines::print_result;
use super::out_file::{directory, sync_directory};
use super::parse::parse_seconds;
use super::{Failure, secret_file};
use crate::control::os_seeded_rng;
use clap::Args;
use redpkt_proto::Rng;
use redpkt_proto::keyring::KeyRing;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::NamedTempFile;

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
    let mut rng = os_seeded_rng().map_err(|error| Failure::machine(format!("no random bytes: {error}")))?;
    let ring = if args.rotate { rotate(&args.out, &mut rng)? } else { make(&args.out, &mut rng)? };
    let out = args.out.display();
    print_result(&format!("{out}: keys {:?}, the first one issues", ring.ids().collect::<Vec<_>>()))
}

/// A new file with one key.
fn make(out: &Path, rng: &mut Rng) -> Result<KeyRing, Failure> {
    let ring = KeyRing::generate(rng);
    let refused = |error: io::Error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::usage(format!(
            "--out {}: it exists and is not overwritten; name another file, or add a key to it with --rotate",
            out.display()
        )),
        _ => Failure::machine(format!("--out {}: {error}", out.display())),
    };
    let file = beside(out, &ring).map_err(refused)?;
    file.persist_noclobber(out).map_err(|error| refused(error.error))?;
    sync_directory(out).map_err(refused)?;
    Ok(ring)
}

/// A new key on top of those in the file. Two rotations at a time come one after the other.
fn rotate(out: &Path, rng: &mut Rng) -> Result<KeyRing, Failure> {
    let refused = |error: io::Error| Failure::machine(format!("--out {}: {error}", out.display()));
    // The file itself is replaced, not a link to it.
    let target = out.canonicalize().unwrap_or_else(|_| out.to_owned());
    // It is first read for the messages: what is missing or no key file is nothing to lock.
    read_key_file(out, "--out")?;
    let old = locked(&target).map_err(refused)?;
    let ring = read_key_file(out, "--out")?
        .with_new_key(rng)
        .map_err(|why| Failure::usage(format!("--out {}: {why}", out.display())))?;
    let file = beside(&target, &ring).map_err(refused)?;
    if let Ok(metadata) = old.metadata() {
        // Only root may give files away, and only root needs to: for anybody else it is the same owner.
        let _ = fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()));
    }
    file.persist(&target).map_err(|error| refused(error.error))?;
    sync_directory(&target).map_err(refused)?;
    Ok(ring)
}

/// The file at this path, locked: the kernel gives the lock back when the process ends, however it does.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        let file = File::open(path)?;
        file.lock()?;
        // Whoever had the lock before may have put another file there.
        let (ours, there) = (file.metadata()?, std::fs::metadata(path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            return Ok(file);
        }
    }
}

/// A file with these keys in the directory of `path`, on the disk, readable by its owner alone. It is gone
/// again unless it gets its name.
fn beside(path: &Path, ring: &KeyRing) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(directory(path))?;
    file.write_all(ring.to_text().as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Prints a ticket.
pub fn ticket(args: &TicketArgs) -> Result<(), Failure> {
    if args.user == 0 {
        return Err(Failure::usage("--user 0: user 0 is no user; they are counted from 1"));
    }
    let ring = read_key_file(&args.key, "--key")?;
    let mut rng = os_seeded_rng().map_err(|error| Failure::machine(format!("no random bytes: {error}")))?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expiry_s = u32::try_from(now_s.saturating_add(args.ttl))
        .map_err(|_| Failure::usage("--ttl: tickets end before 2106"))?;
    print_result(&ring.issue(args.user, expiry_s, &mut rng).to_text())
}

/// Reads a key file, which nobody but its owner may read or write.
pub fn read_key_file(path: &Path, option: &str) -> Result<KeyRing, Failure> {
    let hint = format!("; `redpkt keygen --out {}` makes one", path.display());
    let text = secret_file::read(path, option, &hint)?;
    KeyRing::parse(&text).map_err(|why| Failure::usage(format!("{option} {}: {why}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

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

    /// Expect: files that an earlier end left behind are no obstacle, and nothing is left behind.
    #[test]
    fn a_rotation_goes_through_links_past_stale_files_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (out, link) = (dir.path().join("keys.key"), dir.path().join("link"));
        keygen(&KeygenArgs { out: out.clone(), rotate: false }).unwrap();
        std::os::unix::fs::symlink(&out, &link).unwrap();
        std::fs::write(dir.path().join("keys.new"), "stale").unwrap();
        keygen(&KeygenArgs { out: link.clone(), rotate: true }).unwrap();
        assert!(link.is_symlink());
        assert_eq!(read_key_file(&out, "--key").unwrap().ids().collect::<Vec<_>>(), [2, 1]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    /// Expect: rotations at the same time each put a key on top; none is lost.
    #[test]
    fn rotations_at_the_same_time_come_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("keys");
        keygen(&KeygenArgs { out: out.clone(), rotate: false }).unwrap();
        std::thread::scope(|scope| {
            (0..7).for_each(|_| {
                scope.spawn(|| keygen(&KeygenArgs { out: out.clone(), rotate: true }).unwrap());
            });
        });
        assert_eq!(read_key_file(&out, "--key").unwrap().ids().collect::<Vec<_>>(), [8, 7, 6, 5, 4, 3, 2, 1]);
    }

    #[test]
    fn keygen_is_the_advice_for_a_missing_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let missing = read_key_file(&dir.path().join("none"), "--key").unwrap_err().to_string();
        assert!(missing.contains("redpkt keygen --out"), "{missing}");
        let below_a_file = dir.path().join("file");
        std::fs::write(&below_a_file, "").unwrap();
        let other = read_key_file(&below_a_file.join("keys"), "--key").unwrap_err().to_string();
        assert!(!other.contains("keygen"), "{other}");
    }

    #[test]
    fn user_0_gets_no_ticket() {
        let failure = ticket(&TicketArgs { key: "none".into(), user: 0, ttl: 1 }).unwrap_err().to_string();
        assert!(failure.contains("user 0 is no user"), "{failure}");
    }
}
