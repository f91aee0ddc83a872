//! Where a ledger may be, for whom, and what is said of places where it may not.

use super::super::{Directory, Identity, LedgerError, dir_of, is_running};
use super::{CREATED_WALL_MS, Reader, TWO_GROUPS, commit, open, read, try_read, writer};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn refusal(dir: &Path, identity: Identity) -> LedgerError {
    Directory::open(dir, identity, CREATED_WALL_MS).err().expect("it is refused")
}

#[test]
fn a_url_names_a_directory_or_memory() {
    assert_eq!(dir_of("memory:").unwrap(), None);
    assert_eq!(dir_of("sqlite:a:b/c").unwrap(), Some("a:b/c".into()));
    for wrong in ["", "sqlite:", "memory:x", "memory", "mysql:x", "/tmp/x"] {
        let error = dir_of(wrong).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("expected sqlite:DIR or memory:"), "{error}");
    }
}

/// Expect: the last directory of the path is made, and a whole ledger in it; what is in the way is named.
#[test]
fn a_ledger_is_made_where_there_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("new");
    let error = Reader::open(&new, 0).err().unwrap().to_string();
    assert!(
        error.contains("there is no such directory") && error.contains("redpkt serve --ledger"),
        "{error}"
    );
    drop(open(&new));
    assert_eq!(read(&new, 1).1.rows, 0);
    assert_eq!(Reader::open(&new, 0).unwrap().identity(), TWO_GROUPS);

    let error = refusal(&dir.path().join("a/b"), TWO_GROUPS).to_string();
    assert!(error.contains("the directory above it does not exist"), "{error}");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refusal(&file, TWO_GROUPS).to_string();
    assert!(error.contains("it is a file; name a directory"), "{error}");
    assert!(try_read(&file, 0).unwrap_err().to_string().contains("it is a file"));
    let error = refusal(dir.path(), TWO_GROUPS);
    assert!(error.is_usage() && error.to_string().contains("name an empty or a new directory"), "{error}");
    assert!(matches!(try_read(dir.path(), 0), Err(LedgerError::Missing { .. })));
}

/// Expect: a ledger is bound to its machine, SETs and groups: both numbers and the option are named.
#[test]
fn another_machine_or_another_number_of_sets_or_groups_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    for (identity, expected) in [
        (
            Identity { machine: 8, ..TWO_GROUPS },
            "the ledger was made with --machine 7, not 8; start with --machine 7",
        ),
        (Identity { sets: 8, ..TWO_GROUPS }, "the ledger was made with --sets 4, not 8; start with --sets 4"),
        (
            Identity { groups: 1, ..TWO_GROUPS },
            "the ledger was made with --groups 2, not 1; start with --groups 2",
        ),
        (
            Identity { groups: 3, ..TWO_GROUPS },
            "the ledger was made with --groups 2, not 3; start with --groups 2",
        ),
    ] {
        let error = refusal(dir.path(), identity);
        assert!(error.is_usage() && error.to_string().contains(expected), "{error}");
    }
}

/// Expect: a journal that is missing among others is not made anew.
#[test]
fn a_missing_journal_is_not_made_anew() {
    for group in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        let file = dir.path().join(format!("group-{group}.sqlite"));
        fs::remove_file(&file).unwrap();
        let error = refusal(dir.path(), TWO_GROUPS).to_string();
        assert!(error.contains(&format!("group-{group}.sqlite: it is missing")), "{error}");
        assert!(matches!(Reader::open_all(dir.path()), Err(LedgerError::MissingGroup(_))) && !file.exists());
    }
}

/// Expect: a ledger that was not made to its end is none, and is made at the next start, also for other numbers; but
/// journals with rows are never made anew.
#[test]
fn a_ledger_that_was_not_made_to_its_end_is_made_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    fs::rename(dir.path().join("group-1.sqlite"), dir.path().join("group-1.unfinished")).unwrap();
    fs::write(dir.path().join("creating"), "").unwrap();
    let error = try_read(dir.path(), 0).unwrap_err().to_string();
    assert!(error.contains("a server was stopped while it made it"), "{error}");
    let three = Identity { groups: 3, ..TWO_GROUPS };
    drop(Directory::open(dir.path(), three, CREATED_WALL_MS + 1).unwrap());
    assert_eq!(Reader::open_all(dir.path()).unwrap().len(), 3);

    let dir = tempfile::tempdir().unwrap();
    commit(&mut writer(&open(dir.path()), 0), 1..2);
    fs::write(dir.path().join("creating"), "").unwrap();
    let error = refusal(dir.path(), TWO_GROUPS).to_string();
    assert!(error.contains("remove this mark"), "{error}");
    fs::remove_file(dir.path().join("creating")).unwrap();
    assert_eq!(read(dir.path(), 0).1.rows, 1);
}

/// Expect: one server at a time; the lock's file and its holder are named, and readers are let in.
#[test]
fn a_ledger_has_one_server_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!is_running(dir.path()));
    let ledger = open(dir.path());
    assert!(is_running(dir.path()));
    let error = refusal(dir.path(), TWO_GROUPS).to_string();
    let expected = format!("lock: a server runs on this ledger (process {})", std::process::id());
    assert!(error.contains(&expected), "{error}");
    assert_eq!(read(dir.path(), 0).1.rows, 0);
    // A writer holds the lock as long as the directory does.
    let writer = writer(&ledger, 0);
    drop(ledger);
    assert!(is_running(dir.path()));
    drop(writer);
    // A process that another test has just begun has our descriptors until it runs its own program.
    let end = Instant::now() + Duration::from_secs(10);
    while is_running(dir.path()) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!is_running(dir.path()));
    open(dir.path());
}

const READ_ONLY: &str = "REDPKT_TEST_READ_ONLY_LEDGER";

/// The process that may only read: this test's binary again, as another user. Without its variable it does nothing.
#[test]
fn read_only_child() {
    let Some(dir) = std::env::var_os(READ_ONLY) else { return };
    let dir = Path::new(&dir);
    assert_eq!(read(dir, 0).1.rows, 1, "a ledger that was closed can be read");
    println!("said: {}", refusal(dir, TWO_GROUPS));
}

/// Expect: a server refuses a directory that it may not write to, with one line; a reader reads it.
#[test]
fn a_read_only_directory_is_refused_to_a_server_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("odd ?#% name");
    commit(&mut writer(&open(&name), 0), 1..2);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let all = |mode| {
        for entry in fs::read_dir(&name).unwrap() {
            fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    all(0o444);
    fs::set_permissions(&name, fs::Permissions::from_mode(0o555)).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["ledger::sqlite::tests::places::read_only_child", "--exact", "--nocapture"])
        .env(READ_ONLY, &name);
    // Nothing is read-only to root.
    if dir.path().metadata().unwrap().uid() == 0 {
        child.uid(65_534).gid(65_534);
    }
    let Ok(output) = child.output() else {
        eprintln!("passed over: another user cannot run this test's binary");
        return;
    };
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("lock: cannot lock it, as a server must to write here: Permission denied"),
        "{said}"
    );
    fs::set_permissions(&name, fs::Permissions::from_mode(0o755)).unwrap();
}
