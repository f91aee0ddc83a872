#!/usr/bin/env python3
"""Makes the test vectors in this folder, from PROTOCOL.md alone.

    python3 make.py            writes the .json files beside this script
    python3 make.py --check    compares them with what it would write; exit 1 if one differs

Python 3.9 or newer, nothing to install: primitives.py has BLAKE3 and AEGIS-128L, written from their
specifications and checked at start against published examples; wire.py has what PROTOCOL.md says;
session_frames.py has the vectors of session frames. No code is shared with the Rust crate, so the two
agree only where PROTOCOL.md made both do the same.

Every file is an object {"about": ..., lists of cases}. Bytes are hex. Integers of 64 bits are decimal
strings, because not every JSON reader keeps them whole; smaller ones are numbers.
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True

import session_frames
from primitives import M32, check_primitives
from wire import *


def tickets():
    keys = {1: some_bytes("server key 1", 32), 2: some_bytes("server key 2", 32), 255: bytes(range(32))}
    cases = []
    for at, (user, expiry_s, key_id) in enumerate(
        [(1, 1_900_000_000, 2), (77, 1_893_456_000, 1), (0, 0, 255), (2**64 - 1, M32, 1), (10**18, 1_767_225_600, 2)]
    ):
        nonce = bytes(7) if user == 0 else some_bytes(f"ticket nonce {at}", 7)
        fields = ticket_fields(expiry_s, key_id, nonce)
        secret = ticket_secret(keys[key_id], user, fields)
        cases.append(
            {
                "user": str(user),
                "expiry_s": expiry_s,
                "key_id": key_id,
                "nonce": nonce.hex(),
                "fields": fields.hex(),
                "secret": secret.hex(),
                "text": ticket_text(user, fields, secret),
            }
        )
    good = cases[0]["text"]
    one = "00" * 32
    return {
        "about": "Tickets and key files. All tickets are of the keys in key_file.",
        "key_file": "# redpkt server keys: the first issues tickets, all verify them\n"
        + "".join(f"{key_id} {keys[key_id].hex()}\n" for key_id in (2, 1, 255)),
        "key_ids": [2, 1, 255],
        "tickets": cases,
        "unknown_key_ids": [0, 3, 254],
        "texts_of_the_first_ticket": [good, "  " + good + "\n", "rp1-" + good[4:].upper()],
        "texts_of_no_ticket": ["", "rp1-", good[4:], "rp2-" + good[4:], good[:-1], good[:-2], good + "00", good[:-1] + "g"],
        "same_key_files": [
            f"1 {one}\n",
            f"1 {one}",
            f"# a comment\n\n  1\t{one}  # another\r\n",
            f"1    {'00' * 32}\n#2 {one}\n",
        ],
        "bad_key_files": [
            {"why": "no key", "text": "# nothing\n"},
            {"why": "no text", "text": ""},
            {"why": "id above 255", "text": f"256 {one}\n"},
            {"why": "no id", "text": f"{one}\n"},
            {"why": "too few digits", "text": f"1 {one[2:]}\n"},
            {"why": "too many digits", "text": f"1 {one}00\n"},
            {"why": "no hex", "text": f"1 {'0g' * 32}\n"},
            {"why": "an id twice", "text": f"1 {one}\n1 {one}\n"},
            {"why": "nine keys", "text": "".join(f"{key_id} {one}\n" for key_id in range(9))},
        ],
    }


def keyed_hashes():
    cases = []
    for label, size, of in [
        ("rp1-tick", 32, 20),
        ("rp1-mac_", 16, 48),
        ("rp1-mac_", 16, 56),
        ("rp1-sess", 16, 28),
        ("rp1-srnd", 8, 20),
        ("rp1-cook", 8, 38),
        ("rp1-path", 8, 38),
    ]:
        key, fields = some_bytes(f"{label} {of} key", 32), (some_bytes(f"{label} {of}", 32) * 2)[:of]
        cases.append(
            {
                "label": label,
                "key": key.hex(),
                "input": (label.encode() + fields).hex(),
                "result": keyed(key, label, fields, size=size).hex(),
            }
        )
    return {"about": "BLAKE3 in keyed mode; result is a prefix of its 32 bytes.", "keyed_hashes": cases}


def sessions():
    numbers = [0, 1, 249, 250, 999, 1_000, 250 * 0x1234_5678, 250 * M32 + 249]
    cases = []
    for at, (user, number) in enumerate([(1, 1), (77, 0x0A0B_0C0D), (0, 0), (2**64 - 1, M32)]):
        secret = some_bytes(f"session secret {at}", 32)
        server_secret = some_bytes(f"server secret {at}", 32)
        client_random = some_bytes(f"client random {at}", 8)
        drawn = server_random(server_secret, user, client_random, number)
        cases.append(
            {
                "user": str(user),
                "ticket_secret": secret.hex(),
                "client_random": client_random.hex(),
                "server_secret": server_secret.hex(),
                "session_number": number,
                "server_random": drawn.hex(),
                "session_key": session_key(secret, user, client_random, drawn, number).hex(),
            }
        )
    return {
        "about": "Session numbers, server randoms and session keys.",
        "session_numbers": [
            {"wall_ms": str(1_735_689_600_000 + after), "session_number": session_number(1_735_689_600_000 + after)}
            for after in numbers
        ],
        "session_keys": cases,
    }


def cookies():
    cases = []
    places = [
        ("192.0.2.1", 4000, None),
        ("127.0.0.1", 1, None),
        ("255.1.2.3", 65_535, None),
        ("::1", 7100, None),
        ("2001:db8::7", 258, None),
        ("fe80::1", 9, 7),
        ("fe80::1", 9, 0x0102_0304),
        ("fe80::1", 9, 0),
        ("febf::1", 9, 3),
    ]
    for at, (ip, port, scope) in enumerate(places):
        for purpose in ("join", "path"):
            user = USERS[at + 1]
            made = (0x0A0B_0C0D + at) & M32
            nonce = some_bytes(f"client random {at}", 8) if purpose == "join" else u64(0x0A0B_0C00 + at)
            secret = some_bytes(f"cookie secret {at % 3}", 32)
            scoped = f"{ip}%{scope}" if scope is not None else ip
            mac = cookie_mac(secret, purpose, made, scoped, port, user, nonce)
            cases.append(
                {
                    "purpose": purpose,
                    "secret": secret.hex(),
                    "made": made,
                    "ip": ip,
                    "scope": scope or 0,
                    "port": port,
                    "ip_bytes": address_bytes(scoped).hex(),
                    "user": str(user),
                    "nonce": nonce.hex(),
                    "cookie": (u32(made) + mac).hex(),
                }
            )
    return {
        "about": "Cookies as PROTOCOL.md's server makes them. nonce: the client random (join), or the session number as 8 bytes (path).",
        "cookies": cases,
    }


def steering():
    users = USERS + [i * 1_000 for i in range(1, 6)] + [i << 20 for i in range(1, 6)] + [i << 32 | 7 for i in range(1, 6)]
    users += [int.from_bytes(some_bytes(f"user {i}", 8), "little") for i in range(12)]
    layouts = [(1, 1, 1), (2, 2, 2), (64, 6, 4), (256, 2, 2), (256, 256, 7), (1_024, 10, 3), (65_536, 48, 48), (65_536, 65_536, 5)]
    return {
        "about": "Who handles a user. place is [SET, group, worker].",
        "hashes": [{"user": str(user), "steering_hash": steering_hash(user)} for user in users],
        "layouts": [
            {
                "sets": sets,
                "groups": groups,
                "workers": workers,
                "places": [
                    {"user": str(user), "place": [h % sets, h % sets % groups, h % sets % groups % workers]}
                    for user in users
                    for h in [steering_hash(user)]
                ],
            }
            for sets, groups, workers in layouts
        ],
    }


def handshakes():
    cases = []
    for at, (user, ip, port) in enumerate([(77, "192.0.2.1", 4000), (2**64 - 1, "2001:db8::7", 65_535)]):
        server_key = some_bytes(f"server key {at}", 32)
        expiry_s, key_id, nonce = 1_900_000_000 + at, 2 + at, some_bytes(f"ticket nonce {at}", 7)
        client_random = some_bytes(f"handshake client random {at}", 8)
        cookie_secret, server_secret = some_bytes(f"cookie secret {at}", 32), some_bytes(f"server secret {at}", 32)
        hello_ms, join_ms = 1_770_000_000_123, 1_770_000_000_523
        settings = {"keepalive_s": 20, "idle_s": 60, "shakes_per_s": 10 * at, "in_flight_max": 32, "frames_per_datagram_max": 18}

        fields = ticket_fields(expiry_s, key_id, nonce)
        secret = ticket_secret(server_key, user, fields)
        made = session_number(hello_ms)
        cookie = u32(made) + cookie_mac(cookie_secret, "join", made, ip, port, user, client_random)
        number = session_number(join_ms)
        drawn = server_random(server_secret, user, client_random, number)
        welcome = (
            drawn
            + u32(number)
            + u16(settings["keepalive_s"])
            + u16(settings["idle_s"])
            + u64(join_ms)
            + u16(settings["shakes_per_s"])
            + bytes([settings["in_flight_max"], settings["frames_per_datagram_max"]])
            + bytes(4)
        )

        def frame(to_client, op, body):
            return handshake_frame(secret, user, to_client, op, body, client_random).hex()

        cases.append(
            {
                "server_key": server_key.hex(),
                "user": str(user),
                "expiry_s": expiry_s,
                "key_id": key_id,
                "nonce": nonce.hex(),
                "ticket_secret": secret.hex(),
                "client_random": client_random.hex(),
                "ip": ip,
                "port": port,
                "cookie_secret": cookie_secret.hex(),
                "server_secret": server_secret.hex(),
                "hello_wall_ms": str(hello_ms),
                "join_wall_ms": str(join_ms),
                **settings,
                "cookie": cookie.hex(),
                "server_random": drawn.hex(),
                "session_number": number,
                "session_key": session_key(secret, user, client_random, drawn, number).hex(),
                "hello": frame(False, "HELLO", fields + client_random + bytes(12)),
                "challenge": frame(True, "CHALLENGE", cookie + bytes(20)),
                "join": frame(False, "JOIN", fields + client_random + cookie),
                "welcome": frame(True, "WELCOME", welcome),
            }
        )
    return {"about": "Whole handshakes: all inputs, and the four frames.", "handshakes": cases}


USER = session_frames.USER


def hints():
    cases = []
    refused = some_bytes("refused tag", 16)

    def case(name, op, code, retry, user=USER, load_level=0, versions=(1, 1)):
        body = refused + bytes([code, *versions, 0]) + u32(retry) + bytes(8)
        cases.append(
            {
                "name": name,
                "user": str(user),
                "op": OPS[op],
                "load_level": load_level,
                "refused_tag": refused.hex(),
                "code": code,
                "version_min": versions[0],
                "version_max": versions[1],
                "retry_after_ms": retry,
                "frame": (header(user, True, op, load_level=load_level) + body + bytes(16)).hex(),
            }
        )

    case("STALE", "STALE", 0, 500)
    for name, code in REFUSALS.items():
        case(f"ERROR {name}", "ERROR", code, 250 if name in ("Full", "Busy", "Load") else 0, load_level=10 * code)
    case("ERROR Version of a server that speaks 1 to 3", "ERROR", 1, 0, user=2**64 - 1, versions=(1, 3))
    return {"about": "STALE and ERROR. Their tag is zero.", "hints": cases}


def replay():
    traces = []

    def trace(name, seqs):
        window = ReplayWindow()
        traces.append({"name": name, "seqs": [[seq, window.take(seq)] for seq in seqs]})

    trace("seq 0 is never accepted", [0, 1, 0, 200, 0])
    trace("in order", range(1, 9))
    trace("each once", [1, 1, 2, 2, 1, 3, 3])
    trace("reordered within the window", [5, 3, 4, 1, 2, 5, 4, 3, 2, 1])
    trace("127 behind is accepted, 128 behind is not", [128, 1, 0, 129, 1, 2, 200, 72, 73, 74, 73])
    trace("a jump of 127, 128 and 129", [1, 128, 1, 2, 256, 128, 129, 385, 256, 257, 258])
    trace("a jump forgets what is behind the window and nothing in it", [1, 2, 3, 130, 2, 3, 4, 131, 3, 4, 5])
    trace("a late frame does not move the window", [300, 200, 428, 301, 300, 200, 429])
    top = M32
    trace("the last seq does not overflow", [top - 200, top, top, top - 127, top - 128, top - 1, 0, 1, top - 127])
    mixed = [int.from_bytes(some_bytes(f"seq {i}", 2), "little") % 40 + i * 6 + 1 for i in range(60)]
    trace("mixed", [seq for pair in zip(mixed, mixed[3:] + mixed[:3]) for seq in pair])
    return {"about": "[seq, is it accepted], in the order of arrival. All tags are right.", "traces": traces}


FILES = {
    "tickets": tickets,
    "keyed_hashes": keyed_hashes,
    "sessions": sessions,
    "cookies": cookies,
    "steering": steering,
    "handshakes": handshakes,
    "sealed": session_frames.sealed,
    "money": session_frames.money,
    "sends": session_frames.sends,
    "invitations": session_frames.invitations,
    "relay": session_frames.relay,
    "hints": hints,
    "replay": replay,
}


def readable(value, indent=0):
    """JSON, a line for what fits in one."""
    line = json.dumps(value)
    if len(line) + indent <= 110 or not isinstance(value, (dict, list)):
        return line
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        inner = [f"{json.dumps(k)}: {readable(v, indent + 1)}" for k, v in value.items()]
        return "{\n" + pad + f",\n{pad}".join(inner) + "\n" + " " * indent + "}"
    if all(isinstance(v, list) for v in value):
        inner, rows = [json.dumps(v) for v in value], [""]
        for item in inner:
            if rows[-1] and len(rows[-1]) + len(item) + indent > 100:
                rows.append("")
            rows[-1] += (", " if rows[-1] else "") + item
        return "[\n" + pad + f",\n{pad}".join(rows) + "\n" + " " * indent + "]"
    return "[\n" + pad + f",\n{pad}".join(readable(v, indent + 1) for v in value) + "\n" + " " * indent + "]"


def main():
    check_primitives()
    folder, differ = pathlib.Path(__file__).parent, False
    for name, make in FILES.items():
        file, text = folder / f"{name}.json", readable(make()) + "\n"
        assert json.loads(text) == make()
        if "--check" not in sys.argv:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            differ = True
            print(f"{file.name} differs")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
