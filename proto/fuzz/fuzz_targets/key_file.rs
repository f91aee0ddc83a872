//! Any text as a key file: it is refused, or it has 1 to 8 keys, and its own text reads as the same again.
#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::fuzz_target;
use redpkt_proto::KEYS_MAX;
use redpkt_proto::keyring::KeyRing;

fuzz_target!(|text: &str| {
    if let Ok(ring) = KeyRing::parse(text) {
        let mut ids: Vec<u8> = ring.ids().collect();
        assert!((1..=KEYS_MAX).contains(&ids.len()));
        let written = ring.to_text();
        assert_eq!(KeyRing::parse(&written).expect("our own text").to_text(), written);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ring.ids().count(), "an id stands twice");
    }
});
