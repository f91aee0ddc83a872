//! AEGIS-128L on four frames at once, where the processor has AVX-512 and VAES.
//!
//! One short message under AEGIS is bound by latency: each of its 19 state updates waits for the one
//! before. Four frames of a batch, each with its own key and nonce, lie side by side in the 128-bit lanes
//! of eight 512-bit registers and hide that. The result is bit for bit that of
//! [`redpkt_proto::seal`], which also does the work where these instructions are missing.

use redpkt_proto::Frame;
use redpkt_proto::seal::SessionKey;

/// Frames in one go.
pub const LANES: usize = 4;

/// Proof that this processor has what [`seal`](Lanes::seal) and [`open`](Lanes::open) need.
#[derive(Clone, Copy, Debug)]
pub struct Lanes(());

impl Lanes {
    /// The proof, on a processor that has AVX-512F and VAES.
    pub fn detect() -> Option<Lanes> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("vaes") {
            return Some(Lanes(()));
        }
        None
    }

    /// Seals each frame under the key beside it, as [`redpkt_proto::seal::seal`] does.
    pub fn seal(self, keys: &[&SessionKey; LANES], frames: &mut [Frame; LANES]) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `self` exists only where the instructions do.
        unsafe {
            x86::seal(keys, frames);
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!("there is no proof on this machine: {} {}", keys.len(), frames.len());
    }

    /// Opens each frame under the key beside it, as [`redpkt_proto::seal::open`] does; whether each was
    /// authentic. The body of one that was not is of no use.
    pub fn open(self, keys: &[&SessionKey; LANES], frames: &mut [Frame; LANES]) -> [bool; LANES] {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `self` exists only where the instructions do.
        unsafe {
            x86::open(keys, frames)
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!("there is no proof on this machine: {} {}", keys.len(), frames.len());
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::LANES;
    use redpkt_proto::Frame;
    use redpkt_proto::seal::{SessionKey, nonce};
    use std::arch::x86_64::*;
    use zerocopy::IntoBytes as _;

    /// The eight 128-bit words of the state, of four messages each.
    type State = [__m512i; 8];

    /// The constants of the specification.
    const C0: u128 = u128::from_le_bytes([0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 121, 98]);
    const C1: u128 =
        u128::from_le_bytes([219, 61, 24, 85, 109, 194, 47, 241, 32, 17, 49, 66, 115, 181, 40, 221]);

    /// Lengths of the associated data (a header) and of the message (a body), in bits.
    const LENGTHS: u128 = 128 | 256 << 64;

    /// Puts four 16-byte words side by side.
    #[target_feature(enable = "avx512f,vaes")]
    fn gather(words: [&[u8; 16]; LANES]) -> __m512i {
        let [a, b, c, d] = words.map(|word| u128::from_le_bytes(*word));
        let half = |word: u128| (word as i64, (word >> 64) as i64);
        let ((a0, a1), (b0, b1), (c0, c1), (d0, d1)) = (half(a), half(b), half(c), half(d));
        _mm512_set_epi64(d1, d0, c1, c0, b1, b0, a1, a0)
    }

    /// Puts one word into all lanes.
    #[target_feature(enable = "avx512f,vaes")]
    fn splat(word: u128) -> __m512i {
        let (low, high) = (word as i64, (word >> 64) as i64);
        _mm512_set_epi64(high, low, high, low, high, low, high, low)
    }

    /// Takes the four words apart.
    #[target_feature(enable = "avx512f,vaes")]
    fn scatter(words: __m512i) -> [[u8; 16]; LANES] {
        let lane = |word: __m128i| {
            let (low, high) =
                (_mm_cvtsi128_si64(word) as u64, _mm_cvtsi128_si64(_mm_unpackhi_epi64(word, word)) as u64);
            (u128::from(low) | u128::from(high) << 64).to_le_bytes()
        };
        [
            lane(_mm512_extracti32x4_epi32::<0>(words)),
            lane(_mm512_extracti32x4_epi32::<1>(words)),
            lane(_mm512_extracti32x4_epi32::<2>(words)),
            lane(_mm512_extracti32x4_epi32::<3>(words)),
        ]
    }

    /// `Update` of the specification.
    #[target_feature(enable = "avx512f,vaes")]
    fn update(s: State, m0: __m512i, m1: __m512i) -> State {
        [
            _mm512_aesenc_epi128(s[7], _mm512_xor_si512(s[0], m0)),
            _mm512_aesenc_epi128(s[0], s[1]),
            _mm512_aesenc_epi128(s[1], s[2]),
            _mm512_aesenc_epi128(s[2], s[3]),
            _mm512_aesenc_epi128(s[3], _mm512_xor_si512(s[4], m1)),
            _mm512_aesenc_epi128(s[4], s[5]),
            _mm512_aesenc_epi128(s[5], s[6]),
            _mm512_aesenc_epi128(s[6], s[7]),
        ]
    }

    /// `Init`, then `Absorb` of the headers.
    #[target_feature(enable = "avx512f,vaes")]
    fn begin(keys: &[&SessionKey; LANES], frames: &[Frame; LANES]) -> State {
        let key = gather(keys.map(SessionKey::bytes));
        let nonces = frames.each_ref().map(|frame| nonce(frame.header.seq.get(), frame.header.direction()));
        let nonce = gather(nonces.each_ref());
        let (c0, c1) = (splat(C0), splat(C1));
        let key_nonce = _mm512_xor_si512(key, nonce);
        let (key_c0, key_c1) = (_mm512_xor_si512(key, c0), _mm512_xor_si512(key, c1));
        let mut s = [key_nonce, c1, c0, c1, key_nonce, key_c0, key_c1, key_c0];
        for _ in 0..10 {
            s = update(s, nonce, key);
        }
        let headers = frames.each_ref().map(|frame| {
            let mut header = [0; 16];
            header.copy_from_slice(frame.header.as_bytes());
            header
        });
        update(s, gather(headers.each_ref()), _mm512_setzero_si512())
    }

    /// The key stream for the two halves of the bodies.
    #[target_feature(enable = "avx512f,vaes")]
    fn key_stream(s: &State) -> (__m512i, __m512i) {
        (
            _mm512_xor_si512(_mm512_xor_si512(s[6], s[1]), _mm512_and_si512(s[2], s[3])),
            _mm512_xor_si512(_mm512_xor_si512(s[2], s[5]), _mm512_and_si512(s[6], s[7])),
        )
    }

    /// `Finalize`: the tags.
    #[target_feature(enable = "avx512f,vaes")]
    fn finish(mut s: State) -> [[u8; 16]; LANES] {
        let t = _mm512_xor_si512(s[2], splat(LENGTHS));
        for _ in 0..7 {
            s = update(s, t, t);
        }
        let tag = s[..7].iter().skip(1).fold(s[0], |tag, word| _mm512_xor_si512(tag, *word));
        scatter(tag)
    }

    #[target_feature(enable = "avx512f,vaes")]
    fn halves(frames: &[Frame; LANES]) -> (__m512i, __m512i) {
        let half =
            |frame: &Frame, at: usize| -> [u8; 16] { *frame.body[at..].first_chunk().expect("half a body") };
        let (first, second) =
            (frames.each_ref().map(|frame| half(frame, 0)), frames.each_ref().map(|frame| half(frame, 16)));
        (gather(first.each_ref()), gather(second.each_ref()))
    }

    #[target_feature(enable = "avx512f,vaes")]
    fn put_halves(frames: &mut [Frame; LANES], first: __m512i, second: __m512i) {
        for (frame, (first, second)) in frames.iter_mut().zip(scatter(first).iter().zip(&scatter(second))) {
            frame.body[..16].copy_from_slice(first);
            frame.body[16..].copy_from_slice(second);
        }
    }

    #[target_feature(enable = "avx512f,vaes")]
    pub fn seal(keys: &[&SessionKey; LANES], frames: &mut [Frame; LANES]) {
        let s = begin(keys, frames);
        let (m0, m1) = halves(frames);
        let (z0, z1) = key_stream(&s);
        put_halves(frames, _mm512_xor_si512(m0, z0), _mm512_xor_si512(m1, z1));
        let tags = finish(update(s, m0, m1));
        frames.iter_mut().zip(tags).for_each(|(frame, tag)| frame.tag = tag);
    }

    #[target_feature(enable = "avx512f,vaes")]
    pub fn open(keys: &[&SessionKey; LANES], frames: &mut [Frame; LANES]) -> [bool; LANES] {
        let s = begin(keys, frames);
        let (c0, c1) = halves(frames);
        let (z0, z1) = key_stream(&s);
        let (m0, m1) = (_mm512_xor_si512(c0, z0), _mm512_xor_si512(c1, z1));
        put_halves(frames, m0, m1);
        let tags = finish(update(s, m0, m1));
        // One comparison of whole words: it takes as long whichever byte differs.
        std::array::from_fn(|lane| u128::from_le_bytes(frames[lane].tag) == u128::from_le_bytes(tags[lane]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redpkt_proto::seal;
    use zerocopy::{FromBytes as _, IntoBytes as _};

    proptest! {
        /// Expect: the same bytes as one frame at a time, and only authentic frames open.
        #[test]
        fn four_lanes_do_what_one_does(
            keys in any::<[[u8; 16]; LANES]>(),
            frames in any::<[[[u8; 16]; 4]; LANES]>(),
            damaged in prop::option::of((0..LANES, 0usize..512)),
        ) {
            let Some(lanes) = Lanes::detect() else { return Ok(()) };
            let keys = keys.map(SessionKey::from_bytes);
            let mut sealed = frames.map(|frame| Frame::read_from_bytes(frame.as_bytes()).unwrap());
            let plain = sealed;
            lanes.seal(&keys.each_ref(), &mut sealed);
            let mut one_by_one = plain;
            one_by_one.iter_mut().zip(&keys).for_each(|(frame, key)| seal::seal(key, frame));
            prop_assert_eq!(sealed, one_by_one);

            if let Some((lane, bit)) = damaged {
                sealed[lane].as_mut_bytes()[bit / 8] ^= 1 << (bit % 8);
            }
            let mut opened = sealed;
            let authentic = lanes.open(&keys.each_ref(), &mut opened);
            for lane in 0..LANES {
                let whole = damaged.is_none_or(|(damaged, _)| damaged != lane);
                prop_assert_eq!(authentic[lane], whole);
                prop_assert_eq!(seal::open(&keys[lane], &mut sealed[lane]).is_ok(), whole);
                if whole {
                    prop_assert_eq!(opened[lane].body, plain[lane].body);
                }
            }
        }
    }
}
