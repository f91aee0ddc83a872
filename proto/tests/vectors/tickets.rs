//! `tickets.json`: tickets, their secrets and texts, key files.

use crate::{Hex, Wide, read, ticket_secret};
use redpkt_proto::body::TicketFields;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::ticket::Ticket;
use serde::Deserialize;
use zerocopy::IntoBytes;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tickets {
    #[serde(rename = "about")]
    _about: String,
    key_file: String,
    key_ids: Vec<u8>,
    tickets: Vec<TicketCase>,
    unknown_key_ids: Vec<u8>,
    texts_of_the_first_ticket: Vec<String>,
    texts_of_no_ticket: Vec<String>,
    same_key_files: Vec<String>,
    bad_key_files: Vec<BadKeyFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TicketCase {
    user: Wide,
    expiry_s: u32,
    key_id: u8,
    nonce: Hex<7>,
    fields: Hex<12>,
    secret: Hex<32>,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BadKeyFile {
    why: String,
    text: String,
}

impl TicketCase {
    fn fields(&self) -> TicketFields {
        TicketFields { expiry_s: self.expiry_s.into(), key_id: self.key_id, nonce: self.nonce.0 }
    }
}

#[test]
fn ticket_fields_are_expiry_key_id_and_nonce() {
    for case in read::<Tickets>("tickets").tickets {
        assert_eq!(case.fields().as_bytes(), case.fields.0, "{}", case.text);
    }
}

#[test]
fn a_tickets_secret_is_a_keyed_hash_of_user_and_fields() {
    let file: Tickets = read("tickets");
    let ring = KeyRing::parse(&file.key_file).unwrap();
    for case in file.tickets {
        let secret = ring.secret(case.user.0, &case.fields()).expect("its key is in the file");
        assert_eq!(secret.bytes(), &case.secret.0, "{}", case.text);
    }
}

#[test]
fn a_tickets_text_is_prefix_user_fields_and_secret() {
    for case in read::<Tickets>("tickets").tickets {
        let ticket =
            Ticket { user: case.user.0, fields: case.fields(), secret: ticket_secret(&case.secret.0) };
        assert_eq!(ticket.to_text(), case.text);
        assert_eq!(case.text.parse(), Ok(ticket));
    }
}

#[test]
fn white_space_around_a_ticket_and_the_case_of_its_digits_do_not_matter() {
    let file: Tickets = read("tickets");
    let first: Ticket = file.tickets[0].text.parse().unwrap();
    for text in file.texts_of_the_first_ticket {
        assert_eq!(text.parse().as_ref(), Ok(&first), "{text:?}");
    }
}

#[test]
fn other_texts_are_no_tickets() {
    for text in read::<Tickets>("tickets").texts_of_no_ticket {
        assert!(text.parse::<Ticket>().is_err(), "{text:?}");
    }
}

#[test]
fn a_key_file_lists_ids_and_keys_the_issuing_one_first() {
    let file: Tickets = read("tickets");
    let ring = KeyRing::parse(&file.key_file).unwrap();
    assert_eq!(ring.ids().collect::<Vec<_>>(), file.key_ids);
    assert_eq!(ring.to_text(), file.key_file);
}

#[test]
fn a_ticket_of_an_unknown_key_has_no_secret() {
    let file: Tickets = read("tickets");
    let ring = KeyRing::parse(&file.key_file).unwrap();
    for key_id in file.unknown_key_ids {
        let fields = TicketFields { key_id, ..file.tickets[0].fields() };
        assert!(ring.secret(1, &fields).is_none(), "key id {key_id}");
    }
}

#[test]
fn comments_and_white_space_in_a_key_file_do_not_matter() {
    let files = read::<Tickets>("tickets").same_key_files;
    let first = KeyRing::parse(&files[0]).unwrap().to_text();
    for text in files {
        assert_eq!(KeyRing::parse(&text).unwrap().to_text(), first, "{text:?}");
    }
}

#[test]
fn bad_key_files_are_refused() {
    for BadKeyFile { why, text } in read::<Tickets>("tickets").bad_key_files {
        assert!(KeyRing::parse(&text).is_err(), "{why}");
    }
}
