"""Vectors of session frames: bodies, and the same sealed."""

from primitives import M32
from wire import *

SESSION = 0x0A0B_0C0D
REQ = SESSION << 32
EARLIER = (SESSION - 1) << 32
USER = 0x0807_0605_0403_0201
PACKET = 0x0001_00FF_0000_0007
KEY = some_bytes("session key", 16)
OTHER_KEY = some_bytes("another session key", 16)
WHEN_S = 1_770_000_000
WIDE = ("token", "server_wall_ms", "req", "packet", "user", "fen", "from", "total_fen")


class Cases:
    """Session frames: what they are made of, their bytes before sealing and after."""

    def __init__(self):
        self.list = []

    def case(self, name, to_client, op, seq, fields, body, flags=0, load_level=0, user=USER, key=KEY):
        head = header(user, to_client, op, seq, flags, load_level)
        self.list.append(
            {
                "name": name,
                "session_key": key.hex(),
                "user": str(user),
                "seq": seq,
                "to_client": to_client,
                "op": OPS[op],
                "flags": flags,
                "load_level": load_level,
                "fields": {name: str(value) if name in WIDE else value for name, value in fields.items()},
                "nonce": nonce_of(seq, to_client).hex(),
                "header": head.hex(),
                "body": body.hex(),
                "frame": session_frame(key, head, body).hex(),
            }
        )

    def keepalive(self, name, to_client, seq, token, wall_ms, **more):
        fields = {"token": token, "server_wall_ms": wall_ms}
        self.case(name, to_client, "KEEPALIVE", seq, fields, u64(token) + u64(wall_ms) + bytes(16), **more)

    def path(self, name, to_client, seq, **more):
        made = SESSION + 5
        mac = cookie_mac(some_bytes("cookie secret", 32), "path", made, "198.51.100.9", 6000, USER, u64(SESSION))
        cookie = u32(made) + mac
        op = "PATH" if to_client else "PATH_OK"
        self.case(name, to_client, op, seq, {"cookie": cookie.hex()}, cookie + bytes(20), **more)

    def request(self, name, op, seq, counter, attempt, packet=0, whom=0, session=REQ, **more):
        fields = {"req": session | counter, "attempt": attempt, "packet": packet, "user": whom}
        self.case(name, False, op, seq, fields, request_body(session | counter, attempt, packet, whom), **more)

    def answer(self, name, op, seq, counter, attempt, status, retry=0, packet=0, fen=0, session=REQ, **more):
        fields = {
            "req": session | counter,
            "attempt": attempt,
            "status": STATUSES.index(status),
            "retry_after_ms": retry,
            "packet": packet,
            "fen": fen,
        }
        body = answer_body(session | counter, attempt, status, retry, packet, fen)
        self.case(name, True, op, seq, fields, body, **more)

    def entry(self, name, seq, counter, attempt, status, kind=0, when_s=0, packet=0, fen=0, **more):
        fields = {
            "req": REQ | counter,
            "attempt": attempt,
            "status": STATUSES.index(status),
            "kind": kind,
            "when_s": when_s,
            "packet": packet,
            "fen": fen,
        }
        body = entry_body(REQ | counter, attempt, status, kind, when_s, packet, fen)
        self.case(name, True, "HISTORY", seq, fields, body, **more)


def sealed():
    cases = Cases()
    cases.keepalive("the first frame of a session", False, 1, 0x1122_3344_5566_7788, 0)
    cases.keepalive("its answer", True, 1, 0x1122_3344_5566_7788, 1_770_000_000_600)
    cases.path("PATH to a new address", True, 2)
    cases.path("PATH_OK from there", False, 2)
    cases.keepalive("the answer to PATH_OK has token 0", True, 3, 0, 1_770_000_001_000)
    cases.request("a shake", "SHAKE", 3, 1, 0)
    cases.request("the same shake for the third time", "SHAKE", 5, 1, 2)
    cases.request("an open", "OPEN", 6, 2, 0, packet=PACKET)
    cases.request("an open of an earlier session", "OPEN", 7, 9, 4, packet=PACKET, session=(SESSION - 1) << 32)
    cases.answer("a shake that won nothing", "SHAKE", 4, 1, 0, "Miss", load_level=53)
    cases.answer("a shake that won", "SHAKE", 5, 3, 1, "Ok", packet=PACKET, load_level=255)
    cases.answer("a shake too many", "SHAKE", 6, 4, 0, "Busy", retry=750, flags=1)
    cases.answer("an open that took money", "OPEN", 7, 2, 0, "Ok", packet=PACKET, fen=88)
    cases.answer("an open from an unproved address", "OPEN", 9, 12, 1, "Ok", packet=PACKET, fen=1, flags=1, load_level=1)
    cases.answer("an open that took very much", "OPEN", 8, 2, 0, "Ok", packet=PACKET, fen=2**48 - 1)
    for at, status in enumerate(STATUSES[2:11]):
        retry = {"Busy": 100, "OutcomeUnknown": 5_000}.get(status, 0)
        cases.answer(f"an open answered {status}", "OPEN", 20 + at, 10 + at, 255, status, retry=retry)
    cases.answer("a shake answered TooOld", "SHAKE", 40, 1, 3, "TooOld")
    cases.answer("a shake answered Conflict", "SHAKE", 41, 2, 3, "Conflict")
    cases.answer("a shake answered OutcomeUnknown", "SHAKE", 42, 5, 0, "OutcomeUnknown", retry=1_000)
    cases.request("the last seq and counter there are", "SHAKE", M32, M32, 255, user=2**64 - 1, session=M32 << 32, key=OTHER_KEY)
    cases.answer("and the answer to it", "SHAKE", M32, M32, 255, "Miss", user=2**64 - 1, session=M32 << 32, key=OTHER_KEY)
    cases.request("user 0, a key of zeros", "SHAKE", 1, 1, 0, user=0, key=bytes(16))

    good = session_frame(KEY, header(USER, False, "SHAKE", 3), request_body(REQ | 1, 0))

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
            "frame": session_frame(OTHER_KEY, header(USER, False, "SHAKE", 3), request_body(REQ | 1, 0)).hex(),
        },
    ]
    return {
        "about": "Session frames before and after sealing, and frames that must not open under session_key.",
        "frames": cases.list,
        "session_key": KEY.hex(),
        "must_not_open": [{"why": "nothing: this one opens", "frame": good.hex()}] + refused,
    }


def money():
    cases = Cases()
    cases.request("a share", "SHARE", 1, 1, 0, packet=PACKET, whom=77)
    cases.answer("its answer", "SHARE", 1, 1, 0, "Ok", packet=PACKET)
    cases.answer("a share to oneself", "SHARE", 2, 2, 0, "Oneself")
    cases.answer("a share to nobody", "SHARE", 3, 3, 0, "BadRecipients")
    cases.answer("a share of what one has no share of", "SHARE", 4, 4, 0, "NotInvited")
    cases.answer("a share of what is all gone", "SHARE", 5, 5, 0, "Empty")
    cases.request("a grab", "GRAB", 2, 6, 0, packet=PACKET)
    cases.answer("its answer", "GRAB", 6, 6, 0, "Ok", packet=PACKET)
    for at, status in enumerate(["UnknownPacket", "NotInvited", "Empty", "Expired"]):
        cases.answer(f"a grab answered {status}", "GRAB", 10 + at, 10 + at, 1, status)
    cases.request("what does the wallet hold?", "BALANCE", 3, 20, 0)
    cases.answer("88 yuan", "BALANCE", 20, 20, 0, "Ok", fen=8_800)
    cases.answer("nothing", "BALANCE", 21, 21, 0, "Ok")
    cases.answer("very much", "BALANCE", 22, 22, 0, "Ok", fen=2**63 - 1, load_level=9)
    cases.request("the newest entry of the history", "HISTORY", 4, 30, 0)
    cases.request("the 18th", "HISTORY", 5, 31, 0, packet=17)
    for at, (name, kind) in enumerate(ENTRY_KINDS.items()):
        packet = 0 if name.startswith("paid") else PACKET + at
        fen = 0 if name == "won" else 100 + at
        cases.entry(f"an entry: {name}", 30 + at, 30 + at, 0, "Ok", kind, WHEN_S + at, packet, fen)
    cases.entry("the last time and amount there are", 37, 37, 0, "Ok", 5, M32, 0, 2**64 - 1)
    cases.entry("no such entry", 38, 38, 0, "NothingThere")
    cases.entry("a history that is put off: retry_after_ms in place of when", 39, 39, 2, "Busy", when_s=750)
    cases.request("the first open invitation", "INVITES", 6, 40, 0)
    cases.request("the one after that", "INVITES", 7, 41, 0, packet=PACKET)
    cases.answer("an open invitation", "INVITES", 40, 40, 0, "Ok", packet=PACKET, fen=8_800)
    cases.answer("no more", "INVITES", 41, 41, 0, "NothingThere")
    cases.request("what became of a send of an earlier session?", "ASK", 8, 50, 3, session=EARLIER)
    cases.answer("it made a packet", "SEND", 50, 50, 3, "Ok", packet=PACKET, fen=100, session=EARLIER)
    cases.answer("nothing is known of it", "ASK", 51, 51, 0, "NotDone", session=EARLIER)
    cases.answer("not now", "ASK", 52, 52, 0, "Busy", retry=20, session=EARLIER)
    cases.answer("a packet was made", "SEND", 60, 60, 0, "Ok", packet=PACKET, fen=2**24 - 1)
    put_off = ["Busy", "OutcomeUnknown"]
    refused = ["TooLittleMoney", "BadAmount", "BadShares", "BadRecipients", "Oneself", "Incomplete"]
    for at, status in enumerate(put_off + ["TooOld", "Conflict", "NotDone"] + refused):
        retry = 500 if status in put_off else 0
        cases.answer(f"a send answered {status}", "SEND", 61 + at, 61 + at, 4, status, retry=retry)
    return {
        "about": "Requests about money and their answers, before and after sealing. SEND itself is in sends.json.",
        "frames": cases.list,
    }


def sends():
    named = [1_000 + 7 * at for at in range(54)]
    cases = []
    seq = 1
    for name, recipients, total_fen, shares, equal, attempt in [
        ("one recipient", named[:1], 1, 1, False, 0),
        ("three fill the SEND", named[:3], 8_800, 8, True, 1),
        ("the fourth needs a SEND_MORE", named[:4], 0x03_02_01, 255, False, 255),
        ("as many as there may be", named, 2**24 - 1, 54, True, 0),
        ("the last user there is", [2**64 - 2], 600, 6, False, 2),
    ]:
        counter = M32 if attempt == 255 else 70 + len(cases)
        groups = [recipients[at : at + 3] for at in range(0, len(recipients), 3)]
        frames = []
        for index, group in enumerate(groups):
            if index == 0:
                head = header(USER, False, "SEND", seq, send_flags(len(groups) - 1, equal), attempt)
                body = send_body(counter, total_fen, shares, group)
            else:
                head = header(USER, False, "SEND_MORE", seq)
                body = send_more_body(counter, index, group)
            sealed_frame = session_frame(KEY, head, body)
            frames.append({"header": head.hex(), "body": body.hex(), "frame": sealed_frame.hex()})
            seq += 1
        cases.append(
            {
                "name": name,
                "counter": counter,
                "attempt": attempt,
                "total_fen": total_fen,
                "shares": shares,
                "equal": equal,
                "recipients": [str(user) for user in recipients],
                "first_seq": seq - len(groups),
                "frames": frames,
            }
        )
    terms = [
        ("one recipient", 1, 1, [5, 0, 0]),
        ("a place for each", 255, 255, named[:3]),
        ("fewer shares than recipients", 10, 1, named),
        ("recipients end in the first of two frames", 10, 2, [5, 6, 0, 0, 0, 0]),
        ("no fen", 0, 1, [5, 0, 0]),
        ("no shares", 10, 0, [5, 0, 0]),
        ("more shares than fen", 9, 10, [5, 0, 0]),
        ("no recipients", 10, 1, [0, 0, 0]),
        ("a hole in a frame", 10, 1, [5, 0, 6]),
        ("a hole before the first", 10, 1, [0, 5, 0]),
        ("a hole between frames", 10, 1, [5, 6, 0, 7, 0, 0]),
        ("one twice", 10, 1, [5, 6, 5]),
        ("one twice in far frames", 10, 1, named[:53] + named[:1]),
        ("oneself", 10, 1, [5, USER, 0]),
        ("oneself twice is one twice", 10, 1, [USER, USER, 0]),
        ("all wrong: the amount first", 0, 0, [0, 0, 0]),
        ("the shares before the recipients", 10, 11, [USER, 0, 0]),
    ]
    return {
        "about": "SEND and its SEND_MORE, one datagram each; and what a server thinks of terms, if the wallet holds enough.",
        "session_key": KEY.hex(),
        "user": str(USER),
        "sends": cases,
        "terms": [
            {
                "name": name,
                "total_fen": total_fen,
                "shares": shares,
                "places": [str(user) for user in at],
                "status": STATUSES.index(terms_status(USER, total_fen, shares, at)),
            }
            for name, total_fen, shares, at in terms
        ],
    }


def invitations():
    cases = Cases()

    def invite(name, seq, packet, inviter, expiry_s, shares, total_fen, **more):
        fields = {
            "packet": packet,
            "from": inviter,
            "expiry_s": expiry_s,
            "shares": shares,
            "total_fen": total_fen,
        }
        body = invite_body(packet, inviter, expiry_s, shares, total_fen)
        cases.case(name, True, "INVITE", seq, fields, body, **more)

    invite("from a user", 1, PACKET, 77, WHEN_S, 8, 8_800)
    invite("the same again has another seq", 2, PACKET, 77, WHEN_S, 8, 8_800)
    invite("from the house, its total not told", 3, PACKET + 1, 0, M32, 500, 0, load_level=40)
    cases.case("it came", False, "INVITE_OK", 1, {"packet": PACKET}, invite_ok_body(PACKET))
    return {"about": "Invitations and what acknowledges them, before and after sealing.", "frames": cases.list}


def relay():
    cases = Cases()

    def asked(name, seq, counter, attempt, kind, message):
        fields = {"req": REQ | counter, "attempt": attempt, "kind": kind, "message": message.hex()}
        cases.case(name, False, "RELAY", seq, fields, relay_body(REQ | counter, attempt, 0, kind, message))

    def answered(name, seq, counter, attempt, status, kind, message):
        number = STATUSES.index(status)
        fields = {"req": REQ | counter, "attempt": attempt, "status": number, "kind": kind, "message": message.hex()}
        cases.case(name, True, "RELAY", seq, fields, relay_body(REQ | counter, attempt, number, kind, message))

    def redirect(name, seq, ip, port, retry):
        fields = {"ip": ip, "port": port, "retry_after_ms": retry}
        cases.case(name, True, "REDIRECT", seq, fields, redirect_body(ip, port, retry))

    asked("a message as long as it may be", 1, 1, 0, 7, b"happy new year, all!")
    asked("an empty message", 2, 2, 3, 0, b"")
    answered("the answer", 1, 1, 0, "Ok", 7, b"and to you")
    answered("not now: the message is retry_after_ms", 2, 2, 3, "Busy", 0, u32(1_500))
    redirect("to an IPv4 address", 3, "192.0.2.7", 7_100, 0)
    redirect("to an IPv6 address", 4, "2001:db8::7", 65_535, 3_000)
    return {"about": "RELAY and REDIRECT, before and after sealing.", "frames": cases.list}
