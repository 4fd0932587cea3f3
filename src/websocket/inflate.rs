//! Decompressing what a client says (RFC 7692 §7.2.2). An engine has one [`Inflater`] for all its sockets; a socket has a
//! [`Decompressor`], which owns as much of the window that the client was granted as the client has used: nothing without context
//! takeover, at most 2 KiB at the level 3KB, 4 at 4KB, 8 at 8KB, 16 at 16KB, and 32 at the others.

use super::deflate::TAIL;
use super::error::ProtocolError;
use super::extensions::{Agreed, MAX_WINDOW_BITS};
use super::receiver::Payload;
use super::window::Window;
use zlib_rs::{Inflate, InflateError, InflateFlush, Status};

/// What the sockets of an engine share to decompress: a stream, and the buffer that messages of less than 64 KiB are handed over in.
///
/// Allocates at first use, 47 KiB and 64 KiB, and keeps it.
#[derive(Default)]
pub struct Inflater {
    stream: Option<Inflate>,
    scratch: Vec<u8>,
}

/// The decompressing half of one connection.
#[derive(Debug)]
pub struct Decompressor {
    /// The window bits of a client that may refer to its earlier messages.
    takeover: Option<u8>,
    /// What it may refer to; nothing before its first message.
    window: Option<Box<Window>>,
}

impl Decompressor {
    /// A decompressor for a connection with these parameters. Allocates at first use.
    pub fn new(agreed: &Agreed) -> Self {
        let bits = agreed.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        Self { takeover: (!agreed.client_no_context_takeover).then_some(bits), window: None }
    }

    /// The client's next message, of at most `max_len` bytes.
    pub(crate) fn decompress<'a>(
        &mut self,
        inflater: &'a mut Inflater,
        compressed: &[u8],
        max_len: usize,
    ) -> Result<Payload<'a>, ProtocolError> {
        let said = self.window.as_deref().map_or((&[][..], &[][..]), Window::as_slices);
        let message = inflater.inflate(said, compressed, max_len)?;
        if let Some(bits) = self.takeover {
            self.window.get_or_insert_default().push(&message, 1 << bits);
        }
        Ok(message)
    }
}

impl Inflater {
    /// Decompresses a message that may refer back to `said`, the end of which comes in two pieces. Whatever `compressed` would come to,
    /// it takes no more memory than `max_len` and one byte, or the scratch.
    fn inflate(
        &mut self,
        said: (&[u8], &[u8]),
        compressed: &[u8],
        max_len: usize,
    ) -> Result<Payload<'_>, ProtocolError> {
        if compressed.is_empty() {
            return Ok(Payload::Inflated(&[])); // not even an empty block, but Bun takes it
        }
        let stream = self.stream.get_or_insert_with(|| Inflate::new(false, MAX_WINDOW_BITS));
        stream.reset(false);
        for piece in [said.0, said.1] {
            stream.set_dictionary(piece).map_err(to_protocol_error)?;
        }
        self.scratch.resize(SCRATCH, 0);
        let mut output = Output { scratch: &mut self.scratch, owned: Vec::new(), len: 0, max_len };
        let mut input = compressed;
        let mut ending = Some(ending_of(compressed));
        loop {
            let (read, written) = (stream.total_in(), stream.total_out());
            let status = stream
                .decompress(input, output.room(), InflateFlush::SyncFlush)
                .map_err(to_protocol_error)?;
            input = &input[(stream.total_in() - read) as usize..];
            let more = (stream.total_out() - written) as usize;
            // The ending ends a block and says nothing. Where it is read as more of a message, that was cut off.
            if more > 0 && ending.is_none() {
                return Err(ProtocolError::InvalidCompressedData);
            }
            output.len += more;
            if output.len > max_len {
                return Err(ProtocolError::MessageTooBig);
            }
            match status {
                // As in Bun, a final block is the end of the message whatever comes behind it.
                Status::StreamEnd => return Ok(output.into_payload()),
                _ if output.room().is_empty() => output.grow()?,
                Status::Ok if !input.is_empty() => {}
                // A message that its ending does not end was cut off, or ended inside a block.
                _ => input = ending.take().ok_or(ProtocolError::InvalidCompressedData)?,
            }
        }
    }
}

/// A message as far as it is decompressed: in the scratch while it fits.
struct Output<'a> {
    scratch: &'a mut [u8],
    owned: Vec<u8>,
    len: usize,
    max_len: usize,
}

impl<'a> Output<'a> {
    /// Where the next bytes go: up to one more than the message may have, which tells that it has too many.
    fn room(&mut self) -> &mut [u8] {
        let buffer = if self.owned.is_empty() { &mut *self.scratch } else { &mut self.owned };
        let end = buffer.len().min(self.max_len.saturating_add(1));
        &mut buffer[self.len..end]
    }

    /// Doubles the room, within the limit.
    fn grow(&mut self) -> Result<(), ProtocolError> {
        let wanted = self.len.saturating_mul(2).min(self.max_len.saturating_add(1));
        let more = wanted - self.owned.len();
        self.owned.try_reserve_exact(more).map_err(|_| ProtocolError::OutOfMemory)?;
        if self.owned.is_empty() {
            self.owned.extend_from_slice(&self.scratch[..self.len]);
        }
        self.owned.resize(wanted, 0);
        Ok(())
    }

    fn into_payload(mut self) -> Payload<'a> {
        if self.owned.is_empty() {
            return Payload::Inflated(&self.scratch[..self.len]);
        }
        self.owned.truncate(self.len);
        Payload::Owned(self.owned)
    }
}

/// What is decompressed behind a message: the tail that was not sent (RFC 7692 §7.2.2), and a final block, which tells whether the end of
/// another block was reached. A client that does send the tail is understood too: no message ends with a byte of 0xFF without it, for the
/// last bits are the header of an empty block.
fn ending_of(compressed: &[u8]) -> &'static [u8] {
    if compressed.ends_with(&TAIL) { &ENDING[TAIL.len()..] } else { &ENDING }
}

fn to_protocol_error(error: InflateError) -> ProtocolError {
    match error {
        InflateError::MemError => ProtocolError::OutOfMemory,
        _ => ProtocolError::InvalidCompressedData,
    }
}

/// [`TAIL`], and an empty final block of fixed codes.
const ENDING: [u8; 6] = [0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00];

/// Bytes of the buffer for messages that are handed over without an allocation.
const SCRATCH: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::super::reference::Random;
    use super::*;
    use ProtocolError::*;
    use flate2::{Compress, Compression, FlushCompress};
    use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

    const MAX: usize = 1 << 20;

    fn decompressor(takeover: bool, window_bits: Option<u8>) -> Decompressor {
        Decompressor::new(&Agreed {
            client_no_context_takeover: !takeover,
            client_max_window_bits: window_bits,
            server_no_context_takeover: true,
            server_max_window_bits: None,
            server_compresses: true,
        })
    }

    /// What a client with a zlib of its own sends.
    fn compress(zlib: &mut Compress, message: &[u8]) -> Vec<u8> {
        let mut compressed = Vec::with_capacity(2 * message.len() + 100);
        zlib.compress_vec(message, &mut compressed, FlushCompress::Sync).unwrap();
        compressed.truncate(compressed.len() - TAIL.len());
        compressed
    }

    /// `count` times `byte`, compressed.
    fn bomb(byte: u8, count: usize) -> Vec<u8> {
        compress(&mut Compress::new(Compression::best(), false), &vec![byte; count])
    }

    /// What each of these streams, in hexadecimal digits, comes to, one message after the other.
    fn decompress_all(takeover: bool, streams: &[&str]) -> Vec<Result<String, ProtocolError>> {
        let (mut inflater, mut decompressor) = (Inflater::default(), decompressor(takeover, None));
        let message = |stream: &&str| {
            let digits = stream.replace(' ', "");
            let bytes =
                (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap());
            let message = decompressor.decompress(&mut inflater, &bytes.collect::<Vec<_>>(), MAX)?;
            Ok(String::from_utf8_lossy(&message).into_owned())
        };
        streams.iter().map(message).collect()
    }

    #[test]
    fn another_zlib_is_understood_over_thousands_of_messages_at_every_level() {
        let mut random = Random(0x1F);
        let mut inflater = Inflater::default();
        for level in 0..=9 {
            for takeover in [false, true] {
                let mut zlib = Compress::new(Compression::new(level), false);
                let mut decompressor = decompressor(takeover, None);
                for i in 0..200 {
                    let message = random.message();
                    if !takeover {
                        zlib.reset();
                    }
                    let compressed = compress(&mut zlib, &message);
                    let decompressed = decompressor.decompress(&mut inflater, &compressed, MAX).unwrap();
                    assert!(*decompressed == message[..], "message {i} at level {level}");
                }
            }
        }
    }

    #[test]
    fn a_client_is_understood_with_every_window_that_it_was_granted() {
        let mut random = Random(0x2F);
        let mut inflater = Inflater::default();
        for bits in 9..=15 {
            let config =
                DeflateConfig { window_bits: -i32::from(bits), mem_level: 1, ..DeflateConfig::default() };
            let mut zlib = Deflate::new_with_config(config);
            let mut decompressor = decompressor(true, Some(bits));
            for i in 0..200 {
                let message = random.message();
                let mut compressed = vec![0; 2 * message.len() + 100];
                let before = zlib.total_out();
                zlib.compress(&message, &mut compressed, DeflateFlush::SyncFlush).unwrap();
                compressed.truncate((zlib.total_out() - before) as usize - TAIL.len());
                let decompressed = decompressor.decompress(&mut inflater, &compressed, MAX).unwrap();
                assert!(*decompressed == message[..], "message {i} of {bits} bits");
            }
        }
    }

    #[test]
    fn connections_that_share_an_inflater_do_not_mix() {
        let mut random = Random(0x3F);
        let mut inflater = Inflater::default();
        let mut connections: Vec<_> = (0..10)
            .map(|_| (Compress::new(Compression::default(), false), decompressor(true, None)))
            .collect();
        for _ in 0..2000 {
            let message = random.message();
            let index = random.below(connections.len());
            let (zlib, decompressor) = &mut connections[index];
            let compressed = compress(zlib, &message);
            assert!(*decompressor.decompress(&mut inflater, &compressed, MAX).unwrap() == message[..]);
        }
    }

    #[test]
    fn every_way_to_say_hello_is_understood() {
        for takeover in [false, true] {
            for stream in [
                "f248cdc9c90700",               // RFC 7692 §7.2.3.1
                "000500faff48656c6c6f00",       // §7.2.3.3: a stored block
                "f348cdc9c9070000",             // §7.2.3.4: a final block
                "f248050000 00ffff cac9c90700", // §7.2.3.5: two blocks
                "f348cdc9c90700",               // a final block and no empty one behind it
                "f348cdc9c90700 ffffff",        // what is behind it says nothing
                "f348cdc9c90700 f248cdc9c90700",
                "f248cdc9c90700 0000ffff",    // the tail sent as well
                "f248cdc9c90700 0000ffff 00", // and another empty block
                "f248cdc9c90700 0000ffff 00 0000ffff",
                "000500faff48656c6c6f000000ffff",
            ] {
                let streams = [stream, stream, "f248cdc9c90700"];
                assert_eq!(decompress_all(takeover, &streams), vec![Ok("Hello".to_owned()); 3], "{stream}");
            }
        }
    }

    #[test]
    fn an_empty_message_may_have_a_block_or_none() {
        for stream in ["", "00", "0200", "0300", "03000000ffff", "000000ffff", "000000ffff00"] {
            assert_eq!(
                decompress_all(true, &[stream, "f248cdc9c90700"]),
                [Ok(String::new()), Ok("Hello".to_owned())]
            );
        }
    }

    #[test]
    fn a_message_may_refer_to_those_before_it_only_with_context_takeover() {
        let streams = ["f248cdc9c90700", "f200110000", "", "f200110000"];
        let hello = Ok("Hello".to_owned());
        let expected = [hello.clone(), hello.clone(), Ok(String::new()), hello.clone()];
        assert_eq!(decompress_all(true, &streams), expected);
        let wrong = Err(InvalidCompressedData);
        assert_eq!(decompress_all(false, &streams), [hello, wrong.clone(), Ok(String::new()), wrong]);
    }

    #[test]
    fn what_is_no_whole_message_is_invalid() {
        for stream in [
            "ff", // a reserved block type
            "ffffffff",
            "0005000000",           // a stored block whose length is not what its complement says
            "f200110000",           // refers to what was never said
            "000500faff48656c6c6f", // a stored block and no block behind it
            "0000ffff",             // half a block
            "00000000",
        ] {
            assert_eq!(decompress_all(true, &[stream]), [Err(InvalidCompressedData)], "{stream}");
        }
        // Cut off anywhere: Bun hands over "Heh" for the first three bytes of "Hello".
        for whole in
            ["f248cdc9c90700", "f348cdc9c90700", "000500faff48656c6c6f00", "f248050000 00ffff cac9c90700"]
        {
            let whole = whole.replace(' ', "");
            for digits in (2..whole.len()).step_by(2) {
                let cut = &whole[..digits];
                // At the end of a block it is a whole message of what was said so far. Where only zeros are missing from the end of a final
                // block, the tail has them, and nothing is lost.
                let is_whole = ["00", "f2480500", "f24805000000ffff", "f348cdc9c907"].contains(&cut);
                let decompressed = decompress_all(true, &[cut]);
                assert_eq!(
                    decompressed == [Err(InvalidCompressedData)],
                    !is_whole,
                    "{cut}: {decompressed:?}"
                );
            }
        }
    }

    #[test]
    fn a_long_message_cut_anywhere_is_invalid() {
        let message: String = (0..1000).map(|i| format!("{},", i * i)).collect();
        let compressed = compress(&mut Compress::new(Compression::default(), false), message.as_bytes());
        let (mut inflater, mut decompressor) = (Inflater::default(), decompressor(false, None));
        for len in 1..compressed.len() {
            let decompressed = decompressor.decompress(&mut inflater, &compressed[..len], MAX);
            assert_eq!(decompressed, Err(InvalidCompressedData), "{len} of {}", compressed.len());
        }
    }

    #[test]
    fn any_bytes_at_all_are_a_message_within_the_limit_or_an_error() {
        let mut random = Random(0x5F);
        let mut inflater = Inflater::default();
        let mut messages = 0;
        for _ in 0..20_000 {
            let mut decompressor = decompressor(true, Some(9));
            let mut zlib = Compress::new(Compression::default(), false);
            let mut compressed = compress(&mut zlib, &random.message_of(200));
            for _ in 0..random.below(4) {
                let at = random.below(compressed.len());
                compressed[at] = random.below(256) as u8;
            }
            match decompressor.decompress(&mut inflater, &compressed, 1000) {
                Ok(message) => {
                    assert!(message.len() <= 1000);
                    messages += 1;
                }
                Err(error) => assert!(matches!(error, InvalidCompressedData | MessageTooBig)),
            }
        }
        assert!((5000..19_000).contains(&messages), "{messages}");
    }

    #[test]
    fn the_limit_is_on_the_message_and_one_byte_more_is_too_big() {
        let mut inflater = Inflater::default();
        for limit in [0, 1, 2, 1000, SCRATCH - 1, SCRATCH, SCRATCH + 1, 2 * SCRATCH, 1_000_000] {
            for takeover in [false, true] {
                let mut decompress = |len| {
                    let mut decompressor = decompressor(takeover, None);
                    let message = decompressor.decompress(&mut inflater, &bomb(b'x', len), limit)?;
                    assert!(message.iter().all(|&byte| byte == b'x'));
                    Ok(message.len())
                };
                assert_eq!(decompress(limit), Ok(limit));
                assert_eq!(decompress(limit + 1), Err(MessageTooBig));
                assert_eq!(decompress(3 * limit + 7), Err(MessageTooBig));
            }
        }
    }

    #[test]
    fn a_message_is_handed_over_in_the_scratch_or_in_a_vector_of_no_more_than_twice_its_size() {
        let mut inflater = Inflater::default();
        for len in [1, 1000, SCRATCH - 1, SCRATCH, SCRATCH + 1, 3 * SCRATCH, 5 * SCRATCH + 1] {
            match decompressor(true, None).decompress(&mut inflater, &bomb(b'x', len), usize::MAX).unwrap() {
                Payload::Inflated(message) => assert!(message.len() == len && len < SCRATCH),
                Payload::Owned(message) => {
                    assert!(message.len() == len && len >= SCRATCH);
                    assert!(message.capacity() <= 2 * len, "{} for {len}", message.capacity());
                }
                Payload::Borrowed(_) => unreachable!("nothing of the message lies in the input"),
            }
        }
        assert_eq!(inflater.scratch.capacity(), SCRATCH);
    }

    #[test]
    fn a_connection_owns_nothing_without_context_and_else_what_was_said_up_to_its_window() {
        assert!(size_of::<Option<Decompressor>>() <= 16, "{}", size_of::<Option<Decompressor>>());
        let mut inflater = Inflater::default();
        for len in [100, 1000, 100_000] {
            let mut alone = decompressor(false, None);
            alone.decompress(&mut inflater, &bomb(b'x', len), MAX).unwrap();
            assert!(alone.window.is_none());
            for bits in [8, 11, 15] {
                let mut decompressor = decompressor(true, Some(bits));
                assert!(decompressor.window.is_none());
                decompressor.decompress(&mut inflater, &bomb(b'x', len), MAX).unwrap();
                let (older, newer) = decompressor.window.as_ref().unwrap().as_slices();
                assert_eq!(older.len() + newer.len(), len.min(1 << bits));
            }
        }
    }
}
