//! Any text as a ticket: it is refused, or it is a ticket whose text reads as the same ticket again.
#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::fuzz_target;
use redpkt_proto::ticket::Ticket;

fuzz_target!(|text: &str| {
    if let Ok(ticket) = text.parse::<Ticket>() {
        let written = ticket.to_text();
        assert!(written.eq_ignore_ascii_case(text.trim()));
        assert_eq!(written.parse(), Ok(ticket));
    }
});
