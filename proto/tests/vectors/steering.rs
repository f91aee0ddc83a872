//! `steering.json`: who handles a user.

use crate::{Wide, read};
use redpkt_proto::steer::{Layout, steering_hash};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Steering {
    #[serde(rename = "about")]
    _about: String,
    hashes: Vec<SteeringHash>,
    layouts: Vec<LayoutCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SteeringHash {
    user: Wide,
    steering_hash: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LayoutCase {
    sets: u32,
    groups: u32,
    workers: u32,
    places: Vec<Place>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    user: Wide,
    place: [u32; 3],
}

#[test]
fn the_steering_hash_mixes_the_users_two_big_endian_words() {
    for case in read::<Steering>("steering").hashes {
        assert_eq!(steering_hash(case.user.0), case.steering_hash, "user {}", case.user.0);
    }
}

#[test]
fn a_user_has_one_set_group_and_worker() {
    for LayoutCase { sets, groups, workers, places } in read::<Steering>("steering").layouts {
        let layout = Layout { sets, groups, workers };
        for Place { user, place } in places {
            let set = layout.set_of(user.0);
            assert_eq!([set, layout.group_of(set), layout.worker_of(set)], place, "user {}", user.0);
            assert_eq!(layout.worker_of_user(user.0), place[2]);
        }
    }
}
