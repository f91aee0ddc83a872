//! `cookies.json`: cookies, and addresses as they bind them.

use crate::{Hex, Wide, read};
use redpkt_proto::Path;
use redpkt_proto::body::CookieBytes;
use redpkt_proto::cookie::{self, Purpose};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use zerocopy::IntoBytes;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cookies {
    #[serde(rename = "about")]
    _about: String,
    cookies: Vec<CookieCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CookieCase {
    purpose: String,
    secret: Hex<32>,
    made: u32,
    ip: IpAddr,
    scope: u32,
    port: u16,
    ip_bytes: Hex<16>,
    user: Wide,
    nonce: Hex<8>,
    cookie: Hex<12>,
}

impl CookieCase {
    fn path(&self) -> Path {
        let addr = match self.ip {
            IpAddr::V4(_) => SocketAddr::new(self.ip, self.port),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, self.port, 0, self.scope).into(),
        };
        Path::new(addr, 3)
    }
}

#[test]
fn an_address_is_its_ipv6_bytes_with_the_scope_of_a_link_local_one() {
    for case in read::<Cookies>("cookies").cookies {
        assert_eq!(case.path().ip, case.ip_bytes.0, "{}", case.ip);
    }
}

#[test]
fn a_cookie_is_its_time_and_a_keyed_hash_of_what_it_is_bound_to() {
    for case in read::<Cookies>("cookies").cookies {
        let purpose = match case.purpose.as_str() {
            "join" => Purpose::Join,
            "path" => Purpose::Path,
            other => panic!("no purpose: {other}"),
        };
        let mac = cookie::mac(&case.secret.0, purpose, case.made, &case.path(), case.user.0, &case.nonce.0);
        let cookie = CookieBytes { made: case.made.into(), mac };
        assert_eq!(cookie.as_bytes(), case.cookie.0, "{} {}", case.purpose, case.ip);
    }
}
