//! `sessions.json`: session numbers, server randoms, session keys.

use crate::{Hex, Wide, at_wall_ms, read, ticket_secret};
use redpkt_proto::handshake;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sessions {
    #[serde(rename = "about")]
    _about: String,
    session_numbers: Vec<SessionNumber>,
    session_keys: Vec<SessionKeyCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionNumber {
    wall_ms: Wide,
    session_number: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionKeyCase {
    user: Wide,
    ticket_secret: Hex<32>,
    client_random: Hex<8>,
    server_secret: Hex<32>,
    session_number: u32,
    server_random: Hex<8>,
    session_key: Hex<16>,
}

#[test]
fn a_session_number_counts_steps_of_250_ms_since_2025() {
    for case in read::<Sessions>("sessions").session_numbers {
        assert_eq!(at_wall_ms(case.wall_ms.0).session_number(), case.session_number, "{}", case.wall_ms.0);
    }
}

#[test]
fn a_server_random_is_a_keyed_hash_of_user_client_random_and_session_number() {
    for case in read::<Sessions>("sessions").session_keys {
        let random = handshake::server_random(
            &case.server_secret.0,
            case.user.0,
            &case.client_random.0,
            case.session_number,
        );
        assert_eq!(random, case.server_random.0, "user {}", case.user.0);
    }
}

#[test]
fn a_session_key_is_a_keyed_hash_of_user_both_randoms_and_session_number() {
    for case in read::<Sessions>("sessions").session_keys {
        let key = handshake::session_key(
            &ticket_secret(&case.ticket_secret.0),
            case.user.0,
            &case.client_random.0,
            &case.server_random.0,
            case.session_number,
        );
        assert_eq!(key.bytes(), &case.session_key.0, "user {}", case.user.0);
    }
}
