//! `keyed_hashes.json`.

use crate::{Hex, read};
use redpkt_proto::derive::{self, Label};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyedHashes {
    #[serde(rename = "about")]
    _about: String,
    keyed_hashes: Vec<KeyedHash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyedHash {
    label: String,
    key: Hex<32>,
    input: String,
    result: String,
}

#[test]
fn a_keyed_hash_is_a_prefix_of_keyed_blake3_over_label_and_fields() {
    let labels = [Label::Ticket, Label::Mac, Label::Session, Label::ServerRandom, Label::Cookie, Label::Path];
    let cases = read::<KeyedHashes>("keyed_hashes").keyed_hashes;
    for case in &cases {
        let label = *labels.iter().find(|label| label.bytes() == case.label.as_bytes()).expect("known");
        let (input, result) = (hex::decode(&case.input).unwrap(), hex::decode(&case.result).unwrap());
        let (head, fields) = input.split_at(8);
        assert_eq!(head, label.bytes());
        let (one, other) = fields.split_at(fields.len() / 2);
        let hash: [u8; 32] = derive::keyed(&case.key.0, label, &[one, other]);
        assert_eq!(hash[..result.len()], result, "{}", case.label);
    }
    assert!(labels.iter().all(|label| cases.iter().any(|case| case.label.as_bytes() == label.bytes())));
}
