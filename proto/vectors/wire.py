"""What PROTOCOL.md defines: keyed hashes, frames, bodies, steering, the replay window.

Nothing here was taken from the Rust crate.
"""

import hashlib
import ipaddress

from primitives import M32, aegis_seal, blake3_keyed

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
    "SEND": 18,
    "SEND_MORE": 19,
    "SHARE": 20,
    "GRAB": 21,
    "BALANCE": 22,
    "HISTORY": 23,
    "INVITE": 24,
    "INVITE_OK": 25,
    "RELAY": 26,
    "REDIRECT": 27,
    "ASK": 28,
    "INVITES": 29,
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
    "TooLittleMoney",
    "BadAmount",
    "BadShares",
    "BadRecipients",
    "Oneself",
    "Incomplete",
    "NothingThere",
]
ENTRY_KINDS = {"won": 1, "opened": 2, "sent": 3, "returned": 4, "paid in": 5, "paid out": 6}
REFUSALS = {"Version": 1, "TicketExpired": 2, "TicketKey": 3, "Full": 4, "Busy": 5, "Load": 6}


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


def request_body(req, attempt, packet=0, user=0):
    return u64(req) + bytes([attempt]) + bytes(7) + u64(packet) + u64(user)


def answer_body(req, attempt, status, retry_after_ms, packet, fen):
    return (
        u64(req) + bytes([attempt, STATUSES.index(status), 0, 0]) + u32(retry_after_ms) + u64(packet) + u64(fen)
    )


def entry_body(req, attempt, status, kind, when_s, packet, fen):
    return u64(req) + bytes([attempt, STATUSES.index(status), kind, 0]) + u32(when_s) + u64(packet) + u64(fen)


def places(recipients):
    """A frame's three recipients."""
    return b"".join(u64(user) for user in recipients).ljust(24, b"\0")


def send_flags(more, equal):
    assert 0 <= more <= 17
    return more | (0x80 if equal else 0)


def send_body(counter, total_fen, shares, recipients):
    return u32(counter) + total_fen.to_bytes(3, "little") + bytes([shares]) + places(recipients)


def send_more_body(counter, index, recipients):
    return u32(counter) + bytes([index]) + bytes(3) + places(recipients)


def terms_status(sender, total_fen, shares, in_places):
    """What a server with enough money in the sender's wallet answers to a SEND."""
    named = [user for user in in_places if user != 0]
    if total_fen == 0:
        return "BadAmount"
    if shares == 0 or shares > total_fen:
        return "BadShares"
    if not named or in_places[: len(named)] != named or len(set(named)) < len(named):
        return "BadRecipients"
    return "Oneself" if sender in named else "Ok"


def invite_body(packet, inviter, expiry_s, shares, total_fen):
    return u64(packet) + u64(inviter) + u32(expiry_s) + u16(shares) + bytes(2) + u64(total_fen)


def invite_ok_body(packet):
    return u64(packet) + bytes(24)


def relay_body(req, attempt, status, kind, message):
    """To the server the status is zero."""
    assert len(message) <= 20
    return u64(req) + bytes([attempt, status, kind, len(message)]) + message.ljust(20, b"\0")


def redirect_body(ip, port, retry_after_ms):
    return address_bytes(ip) + u16(port) + bytes(2) + u32(retry_after_ms) + bytes(8)


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


# --- what vectors are made of -------------------------------------------------------------------------


def some_bytes(name, size):
    """Bytes that look random and are the same in each run."""
    return hashlib.sha256(b"redpkt vectors: " + name.encode()).digest()[:size]


USERS = [0, 1, 2, 7, 255, 256, 77, 65_536, 1_000_000, M32, M32 + 1, 0x0807_0605_0403_0201, 10**18, 2**64 - 2, 2**64 - 1]
