//! The HTTP side: orders to mint, figures, and who may ask.

use super::common::*;

const FOREIGN: [(&str, &str); 8] = [
    ("Host", "evil.example"),
    ("Host", "127.0.0.1.evil.example:80"),
    ("Host", "localhost.evil.example"),
    ("Origin", "http://evil.example"),
    ("Origin", "null"),
    ("Origin", "https://127.0.0.1"),
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Site", "same-site"),
];

/// Expect: an order is made once (201), reported ever after (200), and refused with other content (409): as
/// many packets are minted as one order asks for.
#[test]
fn an_order_to_mint_is_idempotent_by_its_id() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let order = "/mint?id=midnight&rate=1000000&total=30&fen=5..5";
    let first = server.ask("POST", order);
    assert_eq!((first.status, &first.json()["id"]), (201, &"midnight".into()));
    for _ in 0..5 {
        assert_eq!(server.ask("POST", order).status, 200);
    }
    for other in ["rate=1000000&total=31&fen=5..5", "rate=1&total=30&fen=5..5", "rate=1000000&total=30"] {
        let reply = server.ask("POST", &format!("/mint?id=midnight&{other}"));
        assert_eq!(reply.status, 409, "{reply:?}");
        assert!(reply.body.contains("midnight"), "{reply:?}");
    }
    let stats = server.stats_when("the packets", |stats| stats["orders"][0]["state"] == "done");
    assert_eq!((&stats["pool_packets"], &stats["pool_fen"]), (&30.into(), &150.into()));
    let report = server.ask("POST", order).json();
    assert_eq!((&report["minted"], &report["minted_fen"]), (&30.into(), &150.into()));
    // Without an id one is made and returned, and it is an order like any other.
    let made = server.ask("POST", "/mint?rate=10&total=1&fen=5");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.status, 201);
    assert_eq!(server.ask("POST", &format!("/mint?id={id}&rate=10&total=1&fen=5")).status, 200);
    assert_eq!(server.stats()["orders"].as_array().unwrap().len(), 2);
}

/// Expect: the order that `--mint` gives is called `start`.
#[test]
fn the_order_of_the_command_line_is_called_start() {
    let keys = Keys::new();
    let args = ["--mint", "100000", "--mint-total", "10", "--mint-fen", "2..2"];
    let server = Server::start(&keys, &args);
    let same = server.ask("POST", "/mint?id=start&rate=100000&total=10&fen=2..2");
    assert_eq!(same.status, 200, "{same:?}");
    assert_eq!(server.ask("POST", "/mint?id=start&rate=100000&total=11&fen=2..2").status, 409);
}

/// Expect: orders that cannot be are refused with 400 and the name of what is wrong; nothing is minted.
#[test]
fn impossible_orders_are_refused_by_name() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    for (query, name) in [
        ("total=1", "rate"),
        ("rate=1", "total"),
        ("rate=0&total=1", "rate"),
        ("rate=-1&total=1", "rate"),
        ("rate=1&total=1e9", "total"),
        ("rate=1&total=1&fen=0..1", "fen"),
        ("rate=1&total=1&fen=2..1", "fen"),
        ("rate=1&total=1&id=a/b", "id"),
        ("rate=1&total=1&id=", "id"),
    ] {
        let reply = server.ask("POST", &format!("/mint?{query}"));
        assert_eq!(reply.status, 400, "{query}: {reply:?}");
        assert!(reply.body.contains(name), "{query}: {reply:?}");
    }
    let long = "x".repeat(65);
    assert_eq!(server.ask("POST", &format!("/mint?rate=1&total=1&id={long}")).status, 400);
    assert_eq!(server.get("/mint?rate=1&total=1").status, 405);
    assert_eq!(server.get("/nothing").status, 404);
    assert!(server.stats()["orders"].as_array().unwrap().is_empty());
}

/// Expect: orders that together could make more fen than 63 bits hold are refused with 400, and nothing is
/// minted of the one that was too much.
#[test]
fn orders_that_could_overflow_money_are_refused() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let most = format!("/mint?rate=1&total={}&fen=1..1", i64::MAX - 10);
    assert_eq!(server.ask("POST", &most).status, 201);
    let reply = server.ask("POST", "/mint?id=more&rate=1&total=11&fen=1..1");
    assert_eq!(reply.status, 400, "{reply:?}");
    assert!(reply.body.contains("total") && reply.body.contains(&i64::MAX.to_string()), "{reply:?}");
    assert_eq!(server.ask("POST", "/mint?id=more&rate=1&total=10&fen=1..1").status, 201);
}

/// Expect: clients that never finish a request lose their connections, and others are served then, however
/// many there are.
#[test]
fn slow_clients_do_not_shut_others_out() {
    use std::io::Write as _;
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(server.http()).unwrap();
            stream.write_all(b"GET /stats.json HTTP/1.1\r\nHost: ").unwrap();
            stream
        })
        .collect();
    assert_eq!(server.get("/healthz").body, "ok\n");
    drop(slow);
}

/// Expect: orders are bounded in number; beyond, the answer says so.
#[test]
fn orders_are_bounded() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let statuses: Vec<u16> =
        (0..40).map(|at| server.ask("POST", &format!("/mint?id={at}&rate=1&total=1")).status).collect();
    let taken = statuses.iter().take_while(|status| **status == 201).count();
    assert_eq!(taken, redpkt::set::book::ORDERS_MAX);
    assert!(statuses[taken..].iter().all(|status| *status == 429), "{statuses:?}");
    assert_eq!(server.ask("POST", "/mint?id=0&rate=1&total=1").status, 200);
}

/// Expect: what a page of another site could make a browser send is refused on every route with 403, and has
/// no effect.
#[test]
fn foreign_origins_and_hosts_are_refused() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let routes =
        [("GET", "/stats.json"), ("GET", "/healthz"), ("POST", "/mint?rate=1&total=1"), ("GET", "/nothing")];
    for (method, target) in routes {
        for field in FOREIGN {
            let reply = ask(server.http(), method, target, &[field]).unwrap();
            assert_eq!(reply.status, 403, "{method} {target} {field:?}: {reply:?}");
            assert!(reply.body.starts_with(field.0), "{reply:?}");
        }
    }
    assert!(server.stats()["orders"].as_array().unwrap().is_empty());
    let own = format!("http://{}", server.http());
    let fields = [("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(ask(server.http(), "GET", "/healthz", &fields).unwrap().status, 200);
    let by_name = format!("localhost:{}", server.http().port());
    assert_eq!(ask(server.http(), "GET", "/healthz", &[("Host", &by_name)]).unwrap().status, 200);
}

/// Expect: with a token every request has to show it, whatever the address.
#[test]
fn a_token_is_asked_for_on_every_route() {
    let keys = Keys::new();
    let file = keys.file("token");
    let token = "correct horse battery staple";
    keys.write_file(&file, &format!("{token}\n"), 0o600);
    let args = ["--http", "0.0.0.0:0", "--http-token", file.to_str().unwrap()];
    let server = Server::start(&keys, &args).with_token(token);
    let addr = (std::net::Ipv4Addr::LOCALHOST, server.http().port()).into();
    for (method, target) in [("GET", "/stats.json"), ("GET", "/healthz"), ("POST", "/mint?rate=1&total=1")] {
        let wrong = format!("Bearer {}", &token[1..]);
        let bare = format!("Basic {token}");
        for fields in [
            &[][..],
            &[("Authorization", wrong.as_str())],
            &[("Authorization", &bare)],
            &[("Authorization", "")],
        ] {
            let reply = ask(addr, method, target, fields).unwrap();
            assert_eq!(reply.status, 401, "{method} {target} {fields:?}");
            assert!(!reply.body.contains(token));
        }
    }
    let right = format!("Bearer {token}");
    let fields = [("Authorization", right.as_str())];
    // It is asked for in addition: a page elsewhere is refused, whatever its browser knows.
    for foreign in FOREIGN {
        let reply = ask(addr, "GET", "/stats.json", &[fields[0], foreign]).unwrap();
        assert_eq!(reply.status, 403, "{foreign:?}: {reply:?}");
    }
    let forwarded = [fields[0], ("Host", "192.0.2.7:80")];
    assert_eq!(ask(addr, "GET", "/healthz", &forwarded).unwrap().status, 200);
    assert_eq!(ask(addr, "GET", "/healthz", &fields).unwrap().body, "ok\n");
    let stats = ask(addr, "GET", "/stats.json", &fields).unwrap().json();
    assert!(stats["orders"].as_array().unwrap().is_empty());
}

/// Expect: broken HTTP ends its own connection and nothing else.
#[test]
fn broken_http_harms_nobody() {
    use std::io::{Read as _, Write as _};
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let half = std::net::TcpStream::connect(server.http()).unwrap();
    (&half).write_all(b"GET /stats.json HTTP/1.1\r\nHost: ").unwrap();
    for bytes in [&b"\0\0\0\0\r\n\r\n"[..], &[0xff; 4_096], b"GET / HTTP/9.9\r\n\r\n"] {
        let mut stream = std::net::TcpStream::connect(server.http()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(server.get("/healthz").body, "ok\n");
    drop(half);
}
