//! `replay.json`: which seqs the window accepts.

use crate::read;
use redpkt_proto::replay::ReplayWindow;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    #[serde(rename = "about")]
    _about: String,
    traces: Vec<Trace>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trace {
    name: String,
    seqs: Vec<(u32, bool)>,
}

#[test]
fn the_replay_window_accepts_each_seq_once_and_none_128_behind() {
    for Trace { name, seqs } in read::<Replay>("replay").traces {
        let mut window = ReplayWindow::new();
        for (at, (seq, accepted)) in seqs.into_iter().enumerate() {
            assert_eq!(window.check(seq).is_ok(), accepted, "{name}: seq {seq} at {at}");
            if accepted {
                window.accept(seq);
            }
        }
    }
}
