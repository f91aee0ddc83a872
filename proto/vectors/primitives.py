"""BLAKE3 (keyed, one block) and AEGIS-128L, written from their specifications.

check_primitives compares them with published examples.
"""

import struct

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
