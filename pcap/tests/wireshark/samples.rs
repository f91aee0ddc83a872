//! The sample captures through the dissector and through `show --json`.

use crate::tshark::{Fields, Tshark};
use redpkt_pcap::fields::{code_name, kind_name, op_name, status_name};
use redpkt_proto::Op;
use redpkt_proto::body::{EntryKind, RefusalCode, Status};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const SAMPLES: [&str; 7] = ["handshake", "shake", "loss", "replay", "garbage", "money", "overload"];

/// A value of the JSON as tshark writes it; names are numbers there.
fn texts(name: &str, value: &Value) -> Vec<String> {
    let number_of = |text: &str| -> Option<u8> {
        let mut bytes = 0..=u8::MAX;
        bytes.find(|byte| {
            let found = match name {
                "op" => Op::from_wire(*byte).map(op_name),
                "status" => Status::from_wire(*byte).map(status_name),
                "code" => RefusalCode::from_wire(*byte).map(code_name),
                "kind" => EntryKind::from_wire(*byte).map(kind_name),
                _ => None,
            };
            found == Some(text)
        })
    };
    match value {
        Value::Array(values) => values.iter().flat_map(|value| texts(name, value)).collect(),
        Value::String(text) => {
            vec![number_of(text).map_or_else(|| with_colons(text), |byte| byte.to_string())]
        }
        Value::Number(number) if name == "flags" => vec![format!("0x{:02x}", number.as_u64().unwrap())],
        other => vec![other.to_string()],
    }
}

fn with_colons(digits: &str) -> String {
    let bytes: Vec<&str> = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]).collect();
    bytes.join(":")
}

/// The fields of an object of `show --json`, under tshark's names.
fn fields(frame: &Value) -> Fields {
    let mut fields = Fields::new();
    for name in ["user", "seq", "version", "op", "flags", "load_level"] {
        fields.insert(format!("redpkt.{name}"), texts(name, &frame[name]));
    }
    let body = frame["body"].as_object().expect("only frames with a body are compared");
    for (name, value) in body {
        match value {
            Value::Object(inner) => inner.iter().for_each(|(inner, value)| {
                fields.insert(format!("redpkt.body.{name}.{inner}"), texts(inner, value));
            }),
            value => _ = fields.insert(format!("redpkt.body.{name}"), texts(name, value)),
        }
    }
    fields
}

/// Expect: of every frame whose body is open or in clear, both decoders say the same, field by field.
#[test]
fn samples_read_alike() {
    let Some(tshark) = Tshark::find() else { return };
    for name in SAMPLES {
        let file = |end| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("samples/{name}.{end}"));
        let (pcap, keys) = (file("pcap"), file("keys"));
        let mut show = Command::new(env!("CARGO_BIN_EXE_redpkt-pcap"));
        let shown = show.arg("show").arg(&pcap).arg("--keylog").arg(&keys).arg("--json").output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        let shown = shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let shown: Vec<Fields> =
            shown.filter(|frame| !frame["body"].is_null()).map(|frame| fields(&frame)).collect();
        let of_datagrams = tshark.fields_of(&pcap, &keys);
        let frames = of_datagrams.iter().flat_map(|found| &found.frames);
        let dissected: Vec<Fields> = frames
            .filter(|frame| frame.keys().any(|name| name.starts_with("redpkt.body.")))
            .map(|frame| {
                let mut frame = crate::of_the_wire(frame);
                frame.retain(|name, _| name != "redpkt.direction" && name != "redpkt.tag");
                frame
            })
            .collect();
        assert!(shown.len() > 10, "{name}: {} frames", shown.len());
        assert_eq!(shown.len(), dissected.len(), "{name}");
        for (at, (shown, dissected)) in shown.iter().zip(&dissected).enumerate() {
            assert_eq!(shown, dissected, "{name}: frame {at} of those with a body");
        }
    }
}
