//! tshark with the dissector, away from whatever else is set up here for Wireshark.

use crate::capture::{self, Record};
use redpkt_proto::keylog::LoggedKey;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The fields of a frame, or of all around the frames, by name. A name may be there several times.
pub type Fields = BTreeMap<String, Vec<String>>;

/// What tshark has found in a datagram.
#[derive(Debug, Default)]
pub struct Found {
    /// Fields of the datagram.
    pub datagram: Fields,
    /// Fields of its frames.
    pub frames: Vec<Fields>,
}

/// What Wireshark loads.
const SCRIPTS: [(&str, &str); 2] = [
    ("redpkt.lua", include_str!("../../wireshark/redpkt.lua")),
    ("redpkt_seal.lua", include_str!("../../wireshark/redpkt_seal.lua")),
];

/// Whom Linux calls nobody.
const NOBODY: u32 = 65_534;

/// A tshark, with a directory of its own.
pub struct Tshark {
    home: TempDir,
}

impl Tshark {
    /// None, said on stdout, where tshark is not installed.
    pub fn find() -> Option<Tshark> {
        if let Err(err) = Command::new("tshark").arg("--version").output()
            && err.kind() == io::ErrorKind::NotFound
        {
            println!("not tried: tshark is not installed here");
            return None;
        }
        let home = TempDir::new().expect("a temporary directory");
        for (name, text) in SCRIPTS {
            std::fs::write(home.path().join(name), text).expect("the test's directory is writable");
        }
        std::fs::set_permissions(home.path(), Permissions::from_mode(0o755)).expect("it is ours");
        Some(Tshark { home })
    }

    fn command(&self) -> Command {
        let mut tshark = Command::new("tshark");
        let home = self.home.path();
        tshark.env("HOME", home).env("XDG_CONFIG_HOME", home).env("LC_ALL", "C.UTF-8").current_dir(home);
        // Newer ones load no scripts for root.
        if home.metadata().expect("it is ours").uid() == 0 {
            tshark.uid(NOBODY).gid(NOBODY);
        }
        tshark
    }

    fn keys_file(&self) -> PathBuf {
        self.home.path().join("test.keys")
    }

    /// Writes the key log that is used from now on.
    pub fn log_keys(&self, keys: &[LoggedKey]) {
        let lines: Vec<String> = keys.iter().map(|key| key.to_line() + "\n").collect();
        std::fs::write(self.keys_file(), lines.concat()).expect("a key log");
    }

    /// What tshark writes of these records. No bytes may make the dissector fail.
    pub fn text(&self, records: &[Record], args: &[&str]) -> String {
        capture::write(&self.capture_file(), records);
        self.read(args)
    }

    /// The fields of each record, with all answers known to their requests.
    pub fn fields(&self, records: &[Record]) -> Vec<Found> {
        let found = parse(&self.text(records, &FIELDS));
        assert_eq!(found.len(), records.len());
        found
    }

    /// The same of a capture that is there, with its key log.
    pub fn fields_of(&self, pcap: &Path, keys: &Path) -> Vec<Found> {
        for (from, to) in [(pcap, self.capture_file()), (keys, self.keys_file())] {
            std::fs::copy(from, &to).expect("the test's directory is writable");
            std::fs::set_permissions(to, Permissions::from_mode(0o644)).expect("it is ours");
        }
        parse(&self.read(&FIELDS))
    }

    fn capture_file(&self) -> PathBuf {
        self.home.path().join("test.pcap")
    }

    fn read(&self, args: &[&str]) -> String {
        let mut tshark = self.command();
        tshark.args(["-n", "-X", "lua_script:redpkt.lua", "-r"]).arg(self.capture_file()).args(args);
        if self.keys_file().exists() {
            tshark.arg("-o").arg(format!("redpkt.keylog_file:{}", self.keys_file().display()));
        }
        let output = tshark.output().expect("tshark runs");
        let (text, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "tshark failed: {told}");
        for said in [&text, &told] {
            let error = said.lines().find(|line| line.contains("Lua") && line.contains("rror"));
            assert_eq!(error, None, "the dissector failed");
        }
        text.into_owned()
    }
}

/// Has tshark write redpkt's fields as JSON.
const FIELDS: [&str; 6] = ["-2", "-T", "json", "-J", "redpkt", "--no-duplicate-keys"];

fn parse(text: &str) -> Vec<Found> {
    let packets: Vec<Value> = serde_json::from_str(text).expect("tshark writes JSON");
    packets.iter().map(|packet| found(&packet["_source"]["layers"]["redpkt"])).collect()
}

fn found(of_redpkt: &Value) -> Found {
    let mut found = Found::default();
    let Value::Object(parts) = of_redpkt else { return found };
    for (name, value) in parts {
        match (name.as_str(), value) {
            ("redpkt.frame", Value::Array(frames)) => {
                frames.iter().for_each(|frame| found.frames.push(leaves(frame)));
            }
            ("redpkt.frame", frame) => found.frames.push(leaves(frame)),
            _ => collect(name, value, &mut found.datagram),
        }
    }
    found
}

fn leaves(frame: &Value) -> Fields {
    let mut fields = Fields::new();
    collect("", frame, &mut fields);
    fields
}

fn collect(name: &str, value: &Value, fields: &mut Fields) {
    match value {
        Value::Object(parts) => parts.iter().for_each(|(name, value)| collect(name, value, fields)),
        Value::Array(values) => values.iter().for_each(|value| collect(name, value, fields)),
        Value::String(text) => fields.entry(name.to_owned()).or_default().push(text.clone()),
        other => panic!("{name}: {other} is no field of tshark's"),
    }
}
