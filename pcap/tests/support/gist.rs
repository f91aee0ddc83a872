//! What a capture tells, whatever its format is.

use super::Scene;
use redpkt_proto::body::Status;
use serde_json::{Value, json};

/// A user joins and shakes twice, and wins once.
pub fn scene() -> Scene {
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    scene.shake(&mut phone, Status::Miss);
    scene.shake(&mut phone, Status::Ok);
    scene
}

/// What is the same in all of them.
pub fn gist(stats: &Value) -> Value {
    json!([
        stats["records"],
        stats["datagrams"],
        stats["frames"],
        stats["ops"],
        stats["shake"],
        stats["requests"],
        stats["response_us"],
        stats["lost"],
        stats["not_redpkt"],
        stats["sessions"],
        stats["checksum_partial_or_wrong"],
        stats["doubled"],
    ])
}
