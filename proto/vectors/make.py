#!/usr/bin/env python3
"""Makes the test vectors in this folder, from PROTOCOL.md alone.

    python3 make.py            writes the .json files beside this script
    python3 make.py --check    compares them with what it would write; exit 1 if one differs

Python 3.9 or newer, nothing to install: BLAKE3 (keyed, one block) and AEGIS-128L are below, written from
their specifications and checked at start against published examples. No code is shared with the Rust
crate, so the two agree only where PROTOCOL.md made both do the same.

Every file is an object {"about": ..., lists of cases}. Bytes are hex. Integers of 64 bits are decimal
strings, because not every JSON reader keeps them whole; smaller ones are numbers.
"""

import hashlib
import ipaddress
import json
import pathlib
import struct
import sys

M32 = 0xFFFF_FFFF

# --- BLAKE3, keyed, inputs of at most one block -----------------------------------------------------

BLAKE3_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
BLAKE3_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, ROOT, KEYED_HASH = 1, 2, 8, 16


def rotr(x, n):
    return (x >> n | x << (32 - n)) & M32


def blake3_keyed(key, data):
    """32 bytes of BLAKE3's keyed hash of at most 64 bytes."""
    assert len(key) == 32 and len(data) <= 64
    m = list(struct.unpack("<16I", data.ljust(64, b"\0")))
    flags = CHUNK_START | CHUNK_END | ROOT | KEYED_HASH
    v = [*struct.unpack("<8I", key), *BLAKE3_IV[:4], 0, 0, len(data), flags]

    def g(a, b, c, d, x, y):
        v[a] = (v[a] + v[b] + x) & M32
        v[d] = rotr(v[d] ^ v[a], 16)
        v[c] = (v[c] + v[d]) & M32
        v[b] = rotr(v[b] ^ v[c], 12)
        v[a] = (v[a] + v[b] + y) & M32
        v[d] = rotr(v[d] ^ v[a], 8)
        v[c] = (v[c] + v[d]) & M32
        v[b] = rotr(v[b] ^ v[c], 7)

    for _ in range(7):
        g(0, 4, 8, 12, m[0], m[1])
        g(1, 5, 9, 13, m[2], m[3])
        g(2, 6, 10, 14, m[4], m[5])
        g(3, 7, 11, 15, m[6], m[7])
        g(0, 5, 10, 15, m[8], m[9])
        g(1, 6, 11, 12, m[10], m[11])
        g(2, 7, 8, 13, m[12], m[13])
        g(3, 4, 9, 14, m[14], m[15])
        m = [m[i] for i in BLAKE3_PERMUTATION]
    return struct.pack("<8I", *(v[i] ^ v[i + 8] for i in range(8)))


# --- AEGIS-128L with a 16-byte tag --------------------------------------------------------------------


def gf_double(x):
    return (x << 1 ^ (0x1B if x & 0x80 else 0)) & 0xFF


def aes_sbox():
    def multiply(a, b):
        product = 0
        while b:
            product ^= a if b & 1 else 0
            a, b = gf_double(a), b >> 1
        return product

    box = []
    for x in range(256):
        inverse = next((y for y in range(1, 256) if multiply(x, y) == 1), 0)
        out = 0x63
        for shift in range(5):
            out ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
        box.append(out)
    return box


SBOX = aes_sbox()


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def band(a, b):
    return bytes(x & y for x, y in zip(a, b))


def aes_round(block, key):
    """SubBytes, ShiftRows, MixColumns, AddRoundKey."""
    out = bytearray()
    for column in range(4):
        a = [SBOX[block[(4 * (column + row) + row) % 16]] for row in range(4)]
        every = a[0] ^ a[1] ^ a[2] ^ a[3]
        out += bytes(a[i] ^ every ^ gf_double(a[i] ^ a[(i + 1) % 4]) for i in range(4))
    return xor(out, key)


C0 = bytes.fromhex("000101020305080d1522375990e97962")
C1 = bytes.fromhex("db3d18556dc22ff12011314273b528dd")


class Aegis128L:
    def __init__(self, key, nonce):
        kn = xor(key, nonce)
        self.s = [kn, C1, C0, C1, kn, xor(key, C0), xor(key, C1), xor(key, C0)]
        for _ in range(10):
            self.update(nonce, key)

    def update(self, m0, m1):
        s = self.s
        inputs = [xor(s[0], m0), s[1], s[2], s[3], xor(s[4], m1), s[5], s[6], s[7]]
        self.s = [aes_round(s[(i + 7) % 8], inputs[i]) for i in range(8)]

    def absorb(self, ad):
        for at in range(0, len(ad), 32):
            block = ad[at : at + 32].ljust(32, b"\0")
            self.update(block[:16], block[16:])

    def encrypt(self, message):
        out = b""
        for at in range(0, len(message), 32):
            s, piece = self.s, message[at : at + 32]
            block = piece.ljust(32, b"\0")
            z0 = xor(xor(s[6], s[1]), band(s[2], s[3]))
            z1 = xor(xor(s[2], s[5]), band(s[6], s[7]))
            out += xor(block, z0 + z1)[: len(piece)]
            self.update(block[:16], block[16:])
        return out

    def tag(self, ad_len, message_len):
        t = xor(self.s[2], struct.pack("<QQ", ad_len * 8, message_len * 8))
        for _ in range(7):
            self.update(t, t)
        tag = bytes(16)
        for i in range(7):
            tag = xor(tag, self.s[i])
        return tag


def aegis_seal(key, nonce, ad, message):
    cipher = Aegis128L(key, nonce)
    cipher.absorb(ad)
    ciphertext = cipher.encrypt(message)
    return ciphertext, cipher.tag(len(ad), len(message))


def check_primitives():
    unhex = bytes.fromhex
    # BLAKE3's own test vectors: key "whats the Elvish word for friend", input 00 01 02 …
    assert blake3_keyed(b"whats the Elvish word for friend", b"") == unhex(
        "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"
    )
    # draft-irtf-cfrg-aegis-aead, appendix A: AESRound, AEGIS-128L 1 and 2.
    assert aes_round(bytes(range(16)), bytes(range(16, 32))) == unhex("7a7b4e5638782546a8c0477a3b813f43")
    key, nonce = b"\x10\x01" + bytes(14), b"\x10\x00\x02" + bytes(13)
    assert aegis_seal(key, nonce, b"", bytes(16)) == (
        unhex("c1c0e58bd913006feba00f4b3cc3594e"),
        unhex("abe0ece80c24868a226a35d16bdae37a"),
    )
    assert aegis_seal(key, nonce, b"", b"") == (b"", unhex("c2b879a67def9d74e6c14f708bbcc9b4"))


# --- PROTOCOL.md: keyed hashes ------------------------------------------------------------------------


def keyed(key, label, *fields, size):
    return blake3_keyed(key, label.encode() + b"".join(fields))[:size]


def u16(x):
    return x.to_bytes(2, "little")


def u32(x):
    return x.to_bytes(4, "little")


def u64(x):
    return x.to_bytes(8, "little")


def ticket_fields(expiry_s, key_id, nonce):
    return u32(expiry_s) + bytes([key_id]) + nonce


def ticket_secret(server_key, user, fields):
    return keyed(server_key, "rp1-tick", u64(user), fields, size=32)


def ticket_text(user, fields, secret):
    return "rp1-" + (u64(user) + fields + secret).hex()


def session_number(wall_ms):
    return (wall_ms - 1_735_689_600_000) // 250


def session_key(secret, user, client_random, server_random, number):
    return keyed(secret, "rp1-sess", u64(user), client_random, server_random, u32(number), size=16)


def server_random(server_secret, user, client_random, number):
    return keyed(server_secret, "rp1-srnd", u64(user), client_random, u32(number), size=8)


def address_bytes(ip):
    address = ipaddress.ip_address(ip)
    if address.version == 4:
        return bytes(10) + b"\xff\xff" + address.packed
    packed = address.packed
    if address.is_link_local:
        packed = packed[:4] + int(address.scope_id or 0).to_bytes(4, "big") + packed[8:]
    return packed


def cookie_mac(secret, purpose, made, ip, port, user, nonce):
    label = {"join": "rp1-cook", "path": "rp1-path"}[purpose]
    return keyed(secret, label, u32(made), address_bytes(ip), u16(port), u64(user), nonce, size=8)


# --- PROTOCOL.md: frames ------------------------------------------------------------------------------

OPS = {
    "HELLO": 1,
    "CHALLENGE": 2,
    "JOIN": 3,
    "WELCOME": 4,
    "STALE": 5,
    "ERROR": 6,
    "KEEPALIVE": 7,
    "PATH": 8,
    "PATH_OK": 9,
    "SHAKE": 16,
    "OPEN": 17,
}
STATUSES = [
    "Ok",
    "Miss",
    "Busy",
    "TooOld",
    "Conflict",
    "NotDone",
    "UnknownPacket",
    "NotInvited",
    "Empty",
    "Expired",
    "OutcomeUnknown",
]
REFUSALS = {"Version": 1, "TicketExpired": 2, "TicketKey": 3, "Full": 4, "Busy": 5}


def header(user, to_client, op, seq=0, flags=0, load_level=0, version=1):
    return u64(user) + u32(seq) + bytes([version | (0x80 if to_client else 0), OPS[op], flags, load_level])


def handshake_frame(secret, user, to_client, op, body, client_random):
    clear = header(user, to_client, op) + body
    assert len(clear) == 48
    bound_to = client_random if to_client else b""
    return clear + keyed(secret, "rp1-mac_", clear, bound_to, size=16)


def nonce_of(seq, to_client):
    return u32(seq) + bytes([1 if to_client else 0]) + bytes(11)


def session_frame(key, head, body):
    assert len(head) == 16 and len(body) == 32
    seq, to_client = int.from_bytes(head[8:12], "little"), head[12] >= 0x80
    ciphertext, tag = aegis_seal(key, nonce_of(seq, to_client), head, body)
    return head + ciphertext + tag


def request_body(req, attempt, packet):
    return u64(req) + bytes([attempt]) + bytes(7) + u64(packet) + bytes(8)


def answer_body(req, attempt, status, retry_after_ms, packet, fen):
    return (
        u64(req) + bytes([attempt, STATUSES.index(status), 0, 0]) + u32(retry_after_ms) + u64(packet) + u64(fen)
    )


def steering_hash(user):
    wire = u64(user)
    w0, w1 = int.from_bytes(wire[:4], "big"), int.from_bytes(wire[4:], "big")
    h = (w1 * 0x85EBCA6B + w0) & M32
    h ^= h >> 16
    h = h * 0x7FEB352D & M32
    h ^= h >> 15
    h = h * 0x846CA68B & M32
    h ^= h >> 16
    h = h * 0x9E3779B1 & M32
    return h >> 16


class ReplayWindow:
    """As PROTOCOL.md says it: by a set of everything accepted, not by bits."""

    def __init__(self):
        self.newest, self.accepted = 0, {0}

    def take(self, seq):
        fresh = seq > self.newest or (self.newest - seq <= 127 and seq not in self.accepted)
        if fresh:
            self.accepted.add(seq)
            self.newest = max(self.newest, seq)
        return fresh


# --- the vectors --------------------------------------------------------------------------------------


def some_bytes(name, size):
    """Bytes that look random and are the same in each run."""
    return hashlib.sha256(b"redpkt vectors: " + name.encode()).digest()[:size]


USERS = [0, 1, 2, 7, 255, 256, 77, 65_536, 1_000_000, M32, M32 + 1, 0x0807_0605_0403_0201, 10**18, 2**64 - 2, 2**64 - 1]


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


SESSION = 0x0A0B_0C0D
USER = 0x0807_0605_0403_0201
PACKET = 0x0001_00FF_0000_0007


def sealed():
    key = some_bytes("session key", 16)
    other = some_bytes("another session key", 16)
    req = SESSION << 32
    cases = []

    def case(name, to_client, op, seq, fields, body, flags=0, load_level=0, user=USER, key=key):
        head = header(user, to_client, op, seq, flags, load_level)
        shown = {k: str(v) if k in ("token", "server_wall_ms", "req", "packet", "fen") else v for k, v in fields.items()}
        cases.append(
            {
                "name": name,
                "session_key": key.hex(),
                "user": str(user),
                "seq": seq,
                "to_client": to_client,
                "op": OPS[op],
                "flags": flags,
                "load_level": load_level,
                "fields": shown,
                "nonce": nonce_of(seq, to_client).hex(),
                "header": head.hex(),
                "body": body.hex(),
                "frame": session_frame(key, head, body).hex(),
            }
        )

    def keepalive(name, to_client, seq, token, wall_ms, **more):
        fields = {"token": token, "server_wall_ms": wall_ms}
        case(name, to_client, "KEEPALIVE", seq, fields, u64(token) + u64(wall_ms) + bytes(16), **more)

    def path(name, to_client, seq, **more):
        made = SESSION + 5
        mac = cookie_mac(some_bytes("cookie secret", 32), "path", made, "198.51.100.9", 6000, USER, u64(SESSION))
        cookie = u32(made) + mac
        case(name, to_client, "PATH" if to_client else "PATH_OK", seq, {"cookie": cookie.hex()}, cookie + bytes(20), **more)

    def request(name, op, seq, counter, attempt, packet=0, session=req, **more):
        fields = {"req": session | counter, "attempt": attempt, "packet": packet}
        case(name, False, op, seq, fields, request_body(session | counter, attempt, packet), **more)

    def answer(name, op, seq, counter, attempt, status, retry=0, packet=0, fen=0, session=req, **more):
        fields = {
            "req": session | counter,
            "attempt": attempt,
            "status": STATUSES.index(status),
            "retry_after_ms": retry,
            "packet": packet,
            "fen": fen,
        }
        body = answer_body(session | counter, attempt, status, retry, packet, fen)
        case(name, True, op, seq, fields, body, **more)

    keepalive("the first frame of a session", False, 1, 0x1122_3344_5566_7788, 0)
    keepalive("its answer", True, 1, 0x1122_3344_5566_7788, 1_770_000_000_600)
    path("PATH to a new address", True, 2)
    path("PATH_OK from there", False, 2)
    keepalive("the answer to PATH_OK has token 0", True, 3, 0, 1_770_000_001_000)
    request("a shake", "SHAKE", 3, 1, 0)
    request("the same shake for the third time", "SHAKE", 5, 1, 2)
    request("an open", "OPEN", 6, 2, 0, PACKET)
    request("an open of an earlier session", "OPEN", 7, 9, 4, PACKET, session=(SESSION - 1) << 32)
    answer("a shake that won nothing", "SHAKE", 4, 1, 0, "Miss", load_level=53)
    answer("a shake that won", "SHAKE", 5, 3, 1, "Ok", packet=PACKET, load_level=255)
    answer("a shake too many", "SHAKE", 6, 4, 0, "Busy", retry=750, flags=1)
    answer("an open that took money", "OPEN", 7, 2, 0, "Ok", packet=PACKET, fen=88)
    answer("an open from an unproved address", "OPEN", 9, 12, 1, "Ok", packet=PACKET, fen=1, flags=1, load_level=1)
    answer("an open that took very much", "OPEN", 8, 2, 0, "Ok", packet=PACKET, fen=2**48 - 1)
    for at, status in enumerate(STATUSES[2:]):
        retry = {"Busy": 100, "OutcomeUnknown": 5_000}.get(status, 0)
        answer(f"an open answered {status}", "OPEN", 20 + at, 10 + at, 255, status, retry=retry)
    answer("a shake answered TooOld", "SHAKE", 40, 1, 3, "TooOld")
    answer("a shake answered Conflict", "SHAKE", 41, 2, 3, "Conflict")
    answer("a shake answered OutcomeUnknown", "SHAKE", 42, 5, 0, "OutcomeUnknown", retry=1_000)
    request("the last seq and counter there are", "SHAKE", M32, M32, 255, user=2**64 - 1, session=M32 << 32, key=other)
    answer("and the answer to it", "SHAKE", M32, M32, 255, "Miss", user=2**64 - 1, session=M32 << 32, key=other)
    request("user 0, a key of zeros", "SHAKE", 1, 1, 0, user=0, key=bytes(16))

    good = session_frame(key, header(USER, False, "SHAKE", 3), request_body(req | 1, 0, 0))

    def changed(at, by=1):
        return (good[:at] + bytes([good[at] ^ by]) + good[at + 1 :]).hex()

    refused = [
        {"why": "another user", "frame": changed(0)},
        {"why": "another seq", "frame": changed(8)},
        {"why": "another version", "frame": changed(12, 2)},
        {"why": "the other direction", "frame": changed(12, 0x80)},
        {"why": "another op", "frame": changed(13)},
        {"why": "another flag", "frame": changed(14)},
        {"why": "another load level", "frame": changed(15)},
        {"why": "another body", "frame": changed(16)},
        {"why": "another body, at its end", "frame": changed(47, 0x80)},
        {"why": "another tag", "frame": changed(48)},
        {"why": "another tag, at its end", "frame": changed(63, 0x80)},
        {"why": "no tag", "frame": (good[:48] + bytes(16)).hex()},
        {
            "why": "sealed with another key",
            "frame": session_frame(other, header(USER, False, "SHAKE", 3), request_body(req | 1, 0, 0)).hex(),
        },
    ]
    return {
        "about": "Session frames before and after sealing, and frames that must not open under session_key.",
        "frames": cases,
        "session_key": key.hex(),
        "must_not_open": [{"why": "nothing: this one opens", "frame": good.hex()}] + refused,
    }


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
        case(f"ERROR {name}", "ERROR", code, 250 if name in ("Full", "Busy") else 0, load_level=10 * code)
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
    "sealed": sealed,
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
