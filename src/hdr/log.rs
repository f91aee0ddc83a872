//! HdrHistogram's interval log: lines of text, each with a stretch of time and the whole histogram of the values in
//! it, so that stretches, threads, hosts and runs can be added up later.
//!
//! A line is `[Tag=TAG,]START_S,LENGTH_S,MAX,HISTOGRAM`: start and length in s with three decimals, the greatest value
//! (for the eye alone), and the histogram in its V2 encoding, deflated, in base64. Lines that begin with `#` are
//! comments. Source: `HistogramLogWriter` of HdrHistogram (Java), format 1.3.

use super::MOST;
use super::unit::Unit;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use std::io::{self, Read as _, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How an encoded histogram begins, plain and deflated.
const V2: [u8; 4] = 0x1c84_9313_u32.to_be_bytes();
const V2_DEFLATED: [u8; 4] = 0x1c84_9314_u32.to_be_bytes();

/// Bytes before the counts: cookie, length of the counts, offset, digits (4 each), least, greatest, ratio (8 each).
const V2_HEADER: usize = 40;

/// The longest encoding that is taken, in bytes: every count of the finest histogram there is, 9 bytes each, is less.
const V2_BYTES_MAX: u64 = 64 << 20;

/// A log in memory: some KB for each second of a busy run, where the histogram itself takes 220 KB.
#[derive(Clone, Debug)]
pub struct Log {
    begins: SystemTime,
    what: &'static str,
    lines: String,
}

impl Log {
    /// One without intervals, of what began at this time; `what` says in a few words what is logged.
    pub fn new(begins: SystemTime, what: &'static str) -> Log {
        Log { begins, what, lines: String::new() }
    }

    /// Adds the values, in ns, of `length` from `start` on, which counts from the beginning. A tag tells apart what is
    /// logged into one file; it has neither commas nor spaces.
    pub fn add(&mut self, tag: Option<&str>, start: Duration, length: Duration, histogram: &Histogram<u64>) {
        self.lines.push_str(&line(tag, start, length, histogram));
    }

    /// Writes the file.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(heading(self.begins, self.what).as_bytes())?;
        out.write_all(self.lines.as_bytes())
    }
}

/// What a log begins with: of what began at this time, and what it is in a few words.
pub fn heading(begins: SystemTime, what: &str) -> String {
    let begins = begins.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    format!(
        "#[Logged by redpkt: {what}; Interval_Max in ms]\n\
         #[Histogram log format version 1.3]\n\
         #[StartTime: {begins:.3} (seconds since epoch)]\n\
         {}\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
        Unit::Ns.comment()
    )
}

/// An interval's line, as [`Log::add`] has it.
pub fn line(tag: Option<&str>, start: Duration, length: Duration, histogram: &Histogram<u64>) -> String {
    const NS_IN_MS: f64 = 1e6;
    let (start, length) = (start.as_secs_f64(), length.as_secs_f64());
    let (max, encoded) = (histogram.max() as f64 / NS_IN_MS, encode(histogram));
    let tag = tag.map_or_else(String::new, |tag| format!("Tag={tag},"));
    format!("{tag}{start:.3},{length:.3},{max:.3},{encoded}\n")
}

/// Why a line cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// No interval and no comment.
    #[error("is not of an interval log, or cut off")]
    Line,
    /// What should be a histogram is none, or not whole.
    #[error("its histogram is cut off or damaged")]
    Histogram,
    /// A histogram of another version, or of fractions.
    #[error("its histogram is not in the V2 encoding of whole numbers")]
    Encoding,
    /// Numbers that no measurement has.
    #[error("it has more than 2^53 values, or a value above 2^53")]
    TooMuch,
}

/// One interval, not decoded yet.
#[derive(Clone, Copy, Debug)]
pub struct Interval<'a> {
    /// Tells apart what is logged into one file.
    pub tag: Option<&'a str>,
    encoded: &'a str,
}

/// Reads a line, its line feed included; none for a comment. A whole log is not given to the library's iterator,
/// which reads on past the line's end and takes quadratic time for some files.
pub fn interval(line: &[u8]) -> Result<Option<Interval<'_>>, Bad> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    match IntervalLogIterator::new(line).next() {
        None | Some(Ok(LogEntry::StartTime(_) | LogEntry::BaseTime(_))) => Ok(None),
        Some(Err(_)) => Err(Bad::Line),
        Some(Ok(LogEntry::Interval(interval))) => {
            let tag = interval.tag().map(|tag| tag.as_str());
            Ok(Some(Interval { tag, encoded: interval.encoded_histogram() }))
        }
    }
}

impl Interval<'_> {
    /// The histogram, in the log's unit.
    pub fn decode(&self) -> Result<Histogram<u64>, Bad> {
        decode(self.encoded)
    }
}

/// A whole histogram in a word of text: its V2 encoding, deflated, in base64.
pub fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    let encoded = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
    encoded.expect("a histogram of u64 counts far below i64::MAX fits in memory");
    BASE64.encode(bytes)
}

/// The histogram of such a word, whoever has written it.
pub fn decode(encoded: &str) -> Result<Histogram<u64>, Bad> {
    let bytes = BASE64.decode(encoded).map_err(|_| Bad::Histogram)?;
    let bytes = inflated(&bytes)?;
    check(&bytes)?;
    let histogram = Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|_| Bad::Histogram)?;
    match histogram.len() <= MOST && histogram.max() <= MOST {
        true => Ok(histogram),
        false => Err(Bad::TooMuch),
    }
}

/// The plain encoding of a histogram that may be deflated.
fn inflated(bytes: &[u8]) -> Result<Vec<u8>, Bad> {
    let (cookie, rest) = bytes.split_first_chunk::<4>().ok_or(Bad::Histogram)?;
    match *cookie {
        V2 => Ok(bytes.to_vec()),
        V2_DEFLATED => {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or(Bad::Histogram)?;
            let deflated = rest.get(..u32::from_be_bytes(*length) as usize).ok_or(Bad::Histogram)?;
            let mut plain = Vec::new();
            let read = ZlibDecoder::new(deflated).take(V2_BYTES_MAX).read_to_end(&mut plain);
            read.map_err(|_| Bad::Histogram)?;
            Ok(plain)
        }
        _ => Err(Bad::Encoding),
    }
}

/// What the library takes on trust: it reserves as many bytes as the length says, up to 4 GiB, and negates the least
/// number there is, which a nine-byte code of ones would be.
fn check(bytes: &[u8]) -> Result<(), Bad> {
    if !bytes.starts_with(&V2) {
        return Err(Bad::Encoding);
    }
    let (header, counts) = bytes.split_at_checked(V2_HEADER).ok_or(Bad::Histogram)?;
    let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let counts = counts.get(..length).ok_or(Bad::Histogram)?;
    match counts.windows(9).any(|code| code == [0xff; 9]) {
        true => Err(Bad::TooMuch),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram<u64> {
        let mut histogram = crate::hdr::histogram();
        values.iter().for_each(|value| histogram.record(*value).unwrap());
        histogram
    }

    fn counts(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
        histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }

    fn written(histogram: &Histogram<u64>) -> Vec<u8> {
        let mut log = Log::new(UNIX_EPOCH + Duration::from_millis(1_500), "a test");
        log.add(None, Duration::ZERO, Duration::from_secs(1), histogram);
        let mut bytes = Vec::new();
        log.write(&mut bytes).unwrap();
        bytes
    }

    /// Expect: what the library's reader expects of a log: its start, and one interval with its times and its maximum.
    #[test]
    fn the_librarys_reader_takes_what_is_written() {
        let bytes = written(&of(&[5_000_000]));
        let entries: Vec<_> = IntervalLogIterator::new(&bytes).map(Result::unwrap).collect();
        let [LogEntry::StartTime(start), LogEntry::Interval(interval)] = &entries[..] else {
            panic!("{entries:?}");
        };
        assert_eq!(*start, Duration::from_millis(1_500));
        assert_eq!(
            (interval.start_timestamp(), interval.duration()),
            (Duration::ZERO, Duration::from_secs(1))
        );
        assert!((interval.max() - 5.0).abs() < 0.01);
    }

    /// Expect: a log by another program, from HdrHistogram's own tests, with a tag.
    #[test]
    fn a_foreign_line_is_read() {
        let line = b"Tag=A,0.127,1.007,2.769,HISTFAAAAEV42pNpmSzMwMCgyAABTBDKT4GBgdnNYMcCBvsPEBEJISEuATEZMQ4uASkhIR4nrxg9v2lMaxhvMekILGZkKmcCAEf2CsI=\r\n";
        let interval = interval(line).unwrap().unwrap();
        assert_eq!(interval.tag, Some("A"));
        let max_ms = interval.decode().unwrap().max() as f64 / 1e6;
        assert!((max_ms - 2.769).abs() < 0.003, "{max_ms}");
    }

    /// Expect: an error at each place where a line may be cut off, and none for the whole line.
    #[test]
    fn a_line_that_is_cut_off_is_noticed() {
        let bytes = written(&of(&[100, 5_000, 70_000_000]));
        let last = bytes.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
        let read = |line: &[u8]| interval(line)?.ok_or(Bad::Line)?.decode();
        assert!(read(last).is_ok());
        for end in 0..last.len() - 1 {
            let cut = [&last[..end], b"\n"].concat();
            assert!(read(&cut).is_err(), "{end}");
        }
    }

    proptest! {
        /// Expect: every count back, to the bucket.
        #[test]
        fn a_histogram_comes_back(values in prop::collection::vec(0..90_000_000_000_u64, 0..200)) {
            let mut histogram = crate::hdr::histogram();
            values.iter().for_each(|value| histogram.saturating_record(*value));
            let bytes = written(&histogram);
            let last = bytes.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
            let back = interval(last).unwrap().unwrap().decode().unwrap();
            prop_assert_eq!(counts(&back), counts(&histogram));
        }

        /// Expect: a histogram or an error whatever the counts and the header are, and never more memory than a
        /// histogram can take.
        #[test]
        fn damaged_encodings_are_refused(
            at in prop::collection::vec((0..80_usize, any::<u8>()), 1..6),
            counts in prop::collection::vec(prop_oneof![Just(0xff), any::<u8>()], 0..60),
        ) {
            let mut bytes = Vec::new();
            let mut plain = hdrhistogram::serialization::V2Serializer::new();
            plain.serialize(&of(&[100, 5_000]), &mut bytes).unwrap();
            bytes.truncate(V2_HEADER);
            bytes[4..8].copy_from_slice(&(counts.len() as u32).to_be_bytes());
            bytes.extend(counts);
            let length = bytes.len();
            at.into_iter().for_each(|(at, byte)| bytes[at % length] = byte);
            let encoded = BASE64.encode(&bytes);
            let _ = Interval { tag: None, encoded: &encoded }.decode();
        }
    }
}
