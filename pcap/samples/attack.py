"""What an attacker sends, for the sample captures.

attack.py replay CAPTURE ADDRESS   every datagram to ADDRESS in a capture that `redpkt serve --pcap` wrote, once more
attack.py garbage ADDRESS          two hundred datagrams that are no redpkt, or nearly
"""

import random
import socket
import struct
import sys
import time

IPV4_BYTES, UDP_BYTES = 20, 8


def datagrams_to(path, port):
    """UDP payloads to `port` in a pcap file of raw IPv4, nanoseconds, little-endian."""
    data = open(path, "rb").read()
    assert data[:4] == struct.pack("<I", 0xA1B23C4D), "a capture of redpkt serve --pcap"
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        packet = data[at + 16 : at + 16 + length]
        at += 16 + length
        if struct.unpack_from(">H", packet, IPV4_BYTES + 2)[0] == port:
            yield packet[IPV4_BYTES + UDP_BYTES :]


def garbage():
    """Wrong lengths, other protocols, other versions, no such op, a server's direction, several users, a forged tag."""
    rng = random.Random(1)
    header = lambda user, version, op: struct.pack("<QIBBBB", user, rng.getrandbits(32), version, op, 0, 0)
    frame = lambda user, version, op: header(user, version, op) + rng.randbytes(48)
    dns = bytes.fromhex("123401000001000000000000") + b"\x07example\x03com\x00\x00\x01\x00\x01"
    kinds = [
        lambda: rng.randbytes(rng.choice([0, 1, 63, 65, 100, 1216])),
        lambda: dns,
        lambda: b"GET / HTTP/1.1\r\nHost: example\r\n\r\n",
        lambda: frame(7, 2, 16),
        lambda: frame(7, 1, 200),
        lambda: frame(7, 0x81, 16),
        lambda: frame(7, 1, 16) + frame(8, 1, 16),
        lambda: frame(rng.randint(1, 10), 1, 16),
        lambda: frame(1 << 40, 1, 1),
        lambda: rng.randbytes(64),
    ]
    return [kinds[n % len(kinds)]() for n in range(200)]


def main():
    what, *rest = sys.argv[1:]
    host, port = rest[-1].rsplit(":", 1)
    address = (host, int(port))
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for datagram in datagrams_to(rest[0], address[1]) if what == "replay" else garbage():
        out.sendto(datagram, address)
        time.sleep(0.002)


main()
