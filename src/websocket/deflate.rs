//! Compressing what the server says (RFC 7692 §7.2.1). An engine has one [`Deflater`] for all its sockets; a socket has a
//! [`Compressor`], which owns nothing where messages stand alone.
//!
//! zlib's hash table alone is 128 KiB, so only the large contexts get a stream per socket. A small one is kept as what it stands for,
//! its window, and given to the engine's stream as a dictionary before each message. Bytes per socket, from its first message on:
//!
//! | level | without context | 3KB, 4KB | 8KB | 16KB | 32KB | 64KB | 128KB | 256KB, dedicated |
//! |---|---|---|---|---|---|---|---|---|
//! | bytes | 0 | 282 | 794 | 1.8 Ki | 3.8 Ki | 177 Ki | 209 Ki | 273 Ki |

use super::extensions::{Agreed, MAX_WINDOW_BITS};
use super::frame::{self, MAX_SERVER_HEADER, Opcode};
use super::window::Window;
use std::fmt;
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

/// What the sockets of an engine share to compress: a stream for each size of window in use, and the buffer that all of them write to.
///
/// Allocates at first use, 245 to 371 KiB per size and 64 KiB, and keeps it.
#[derive(Default)]
pub struct Deflater {
    /// By window bits, from [`MIN_WINDOW_BITS`] on.
    streams: [Option<Deflate>; (MAX_WINDOW_BITS - MIN_WINDOW_BITS + 1) as usize],
    scratch: Vec<u8>,
}

impl Deflater {
    /// Appends the frame of a message that stands alone; it is good for every client with a window of `window_bits` or more. An empty
    /// message is not compressed.
    pub fn write_frame(&mut self, out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], window_bits: u8) {
        self.write_frame_behind((&[], &[]), out, opcode, payload, window_bits);
    }

    /// Appends the frame of a message that may refer back to `said`, the end of which comes in two pieces.
    fn write_frame_behind(
        &mut self,
        said: (&[u8], &[u8]),
        out: &mut Vec<u8>,
        opcode: Opcode,
        payload: &[u8],
        window_bits: u8,
    ) {
        let bits = stream_bits(window_bits);
        let stream = self.streams[usize::from(bits - MIN_WINDOW_BITS)]
            .get_or_insert_with(|| new_stream(bits, SHARED_MEMORY_LEVEL));
        stream.reset();
        let level = if payload.len() <= SMALL { LEVEL_FOR_SMALL } else { LEVEL };
        let is_ready = stream.set_level(level).is_ok()
            && [said.0, said.1].iter().all(|piece| stream.set_dictionary(piece).is_ok());
        debug_assert!(is_ready, "a stream takes both between two messages");
        write_compressed(out, opcode, payload, stream, &mut self.scratch);
    }
}

/// The compressing half of one connection.
#[derive(Debug)]
pub struct Compressor {
    window_bits: u8,
    context: Context,
}

/// What is kept from message to message; nothing before the first.
enum Context {
    /// Nothing: `server_no_context_takeover`.
    None,
    Window(Option<Box<Window>>),
    Stream(Option<Box<Deflate>>),
}

impl Compressor {
    /// A compressor for a connection with these parameters; `None` when the server never compresses. Allocates at first use.
    pub fn new(agreed: &Agreed) -> Option<Self> {
        let window_bits = agreed.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        let context = match window_bits {
            _ if agreed.server_no_context_takeover => Context::None,
            ..=MAX_DICTIONARY_BITS => Context::Window(None),
            _ => Context::Stream(None),
        };
        agreed.server_compresses.then_some(Self { window_bits, context })
    }

    /// The window bits for which [`Deflater::write_frame`] may write this client's frames, once for all clients that have the same;
    /// `None` when a message depends on what this client was told before.
    pub fn shared_window_bits(&self) -> Option<u8> {
        matches!(self.context, Context::None).then_some(self.window_bits)
    }

    /// Appends the frame of this client's next message. An empty message is not compressed.
    pub fn write_frame(
        &mut self,
        deflater: &mut Deflater,
        out: &mut Vec<u8>,
        opcode: Opcode,
        payload: &[u8],
    ) {
        let bits = self.window_bits;
        match &mut self.context {
            Context::None => deflater.write_frame(out, opcode, payload, bits),
            Context::Window(window) => {
                let window = window.get_or_insert_default();
                deflater.write_frame_behind(window.as_slices(), out, opcode, payload, bits);
                window.push(payload, (1 << stream_bits(bits)) - OUT_OF_REACH);
            }
            Context::Stream(stream) => {
                let stream = stream.get_or_insert_with(|| Box::new(new_stream(bits, MEMORY_LEVEL)));
                write_compressed(out, opcode, payload, stream, &mut deflater.scratch);
            }
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Window(_) => "Window",
            Self::Stream(_) => "Stream",
        })
    }
}

/// A raw stream, without the header and checksum of zlib's own format.
fn new_stream(window_bits: u8, memory_level: i32) -> Deflate {
    Deflate::new_with_config(DeflateConfig {
        level: LEVEL,
        window_bits: -i32::from(window_bits),
        mem_level: memory_level,
        ..DeflateConfig::default()
    })
}

/// The window bits of a stream for a client with `window_bits`. zlib has no 8, but with 9 it looks back no further than 250 bytes, which
/// the 256 of 8 hold.
fn stream_bits(window_bits: u8) -> u8 {
    window_bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS)
}

/// Appends the frame of `payload` as `stream` compresses it: copied once, from `scratch`, which all streams write to, so that `out` never
/// has more capacity than its content asks for.
fn write_compressed(
    out: &mut Vec<u8>,
    opcode: Opcode,
    payload: &[u8],
    stream: &mut Deflate,
    scratch: &mut Vec<u8>,
) {
    if payload.is_empty() {
        return frame::write_frame(out, opcode, payload);
    }
    scratch.resize(SCRATCH, 0);
    let mut rest = payload;
    let mut written = compress(stream, &mut rest, scratch);
    if written < SCRATCH && rest.is_empty() {
        let content = without_tail(&scratch[..written]);
        frame::write_header(out, opcode, content.len(), true);
        out.extend_from_slice(content);
        return;
    }
    // What is longer than the scratch has a 64-bit length, which is filled in when it is known.
    let start = out.len();
    out.extend_from_slice(&[0; MAX_SERVER_HEADER]);
    loop {
        out.extend_from_slice(&scratch[..written]);
        if written < SCRATCH && rest.is_empty() {
            break;
        }
        written = compress(stream, &mut rest, scratch);
    }
    out.truncate(start + without_tail(&out[start..]).len());
    let content = start + MAX_SERVER_HEADER;
    let header = frame::encode_header(opcode, out.len() - content, true);
    out[start..content].copy_from_slice(&header);
}

/// Compresses from `rest`, which it advances, into `output` and returns how much of that it has filled. Filled in part means that all of
/// `rest` is compressed and the end of the message written.
fn compress(stream: &mut Deflate, rest: &mut &[u8], output: &mut [u8]) -> usize {
    let (read, written) = (stream.total_in(), stream.total_out());
    let is_ok = stream.compress(rest, output, DeflateFlush::SyncFlush).is_ok();
    debug_assert!(is_ok, "only a finished stream refuses");
    *rest = &rest[(stream.total_in() - read) as usize..];
    (stream.total_out() - written) as usize
}

/// RFC 7692 §7.2.1: remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end.
fn without_tail(compressed: &[u8]) -> &[u8] {
    debug_assert!(compressed.ends_with(&TAIL), "a sync flush ends with an empty block");
    &compressed[..compressed.len() - TAIL.len()]
}

/// The lengths of an empty stored block, with which a sync flush ends; not sent (RFC 7692 §7.2.1).
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The smallest window of a stream, in bits.
const MIN_WINDOW_BITS: u8 = 9;

/// The largest context, in bits, that is kept as a window: with 4 KiB a message of 1 KiB takes as long as in Bun, with 8 KiB half as long
/// again.
const MAX_DICTIONARY_BITS: u8 = 12;

/// Bytes at the far end of its window that a stream never refers to (zlib's MIN_LOOKAHEAD).
const OUT_OF_REACH: usize = 262;

/// zlib's level: 1 to 9 for faster to smaller. 4 is within 5 % of the size of 6, which Bun uses, and takes half the time.
const LEVEL: i32 = 4;

/// The level for messages so small that matching is little of the work: within 3 % of the size of 6 for 1 KiB of JSON.
const LEVEL_FOR_SMALL: i32 = 2;

/// The largest small message, in bytes.
const SMALL: usize = 2 * 1024;

/// zlib's memory level, which sets the size of its blocks: the usual one for the streams of an engine.
const SHARED_MEMORY_LEVEL: i32 = 8;

/// The memory level of a socket's own stream: 100 KiB less, 0.5 % larger.
const MEMORY_LEVEL: i32 = 5;

/// Bytes of the buffer that streams write to. Output that does not fit is more than 0xFFFF bytes even without its tail.
const SCRATCH: usize = 0x1_0000 + TAIL.len();

#[cfg(test)]
mod tests {
    use super::super::reference::{Random, inflate};
    use super::*;
    use flate2::{Decompress, FlushDecompress};

    fn agreed(takeover: bool, window_bits: Option<u8>) -> Agreed {
        Agreed {
            client_no_context_takeover: true,
            client_max_window_bits: None,
            server_no_context_takeover: !takeover,
            server_max_window_bits: window_bits,
            server_compresses: true,
        }
    }

    fn every_agreement() -> Vec<Agreed> {
        let windows = [None, Some(8), Some(9), Some(10), Some(11), Some(12), Some(13), Some(14), Some(15)];
        windows.into_iter().flat_map(|bits| [agreed(false, bits), agreed(true, bits)]).collect()
    }

    /// The payload of the one frame that `wire` is, and whether it is compressed.
    fn payload_of(wire: &[u8], opcode: Opcode) -> (bool, &[u8]) {
        assert_eq!(wire[0] & 0xBF, 0x80 | opcode as u8, "FIN and the opcode");
        let (len, payload) = match wire[1] {
            126 => (u16::from_be_bytes(wire[2..4].try_into().unwrap()).into(), &wire[4..]),
            127 => (u64::from_be_bytes(wire[2..10].try_into().unwrap()), &wire[10..]),
            len => (len.into(), &wire[2..]),
        };
        assert_eq!(len, payload.len() as u64);
        let minimal = frame::encode_header(opcode, payload.len(), wire[0] & 0x40 != 0);
        assert!(wire.starts_with(&minimal), "the length is minimal");
        (wire[0] & 0x40 != 0, payload)
    }

    fn write(compressor: &mut Compressor, deflater: &mut Deflater, message: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        compressor.write_frame(deflater, &mut wire, Opcode::Binary, message);
        wire
    }

    /// What another zlib makes of the payload of a message.
    fn decompress(zlib: &mut Decompress, payload: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(64);
        let start = zlib.total_in();
        let input = [payload, &TAIL].concat();
        loop {
            let read = (zlib.total_in() - start) as usize;
            if read == input.len() && message.len() < message.capacity() {
                return message;
            }
            message.reserve(message.len());
            zlib.decompress_vec(&input[read..], &mut message, FlushDecompress::Sync).unwrap();
        }
    }

    #[test]
    fn hello_is_the_example_of_the_rfc() {
        let mut deflater = Deflater::default();
        for bits in [9, 15] {
            let mut compressor = Compressor::new(&agreed(true, Some(bits))).unwrap();
            // FIN RSV1 TEXT, and the length. RFC 7692 §7.2.3.1, and §7.2.3.2: again, with the window of the first.
            for expected in [&b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00"[..], b"\xC1\x05\xF2\x00\x11\x00\x00"] {
                let mut wire = Vec::new();
                compressor.write_frame(&mut deflater, &mut wire, Opcode::Text, b"Hello");
                assert_eq!(wire, expected, "{wire:02X?}");
            }
        }
    }

    #[test]
    fn another_zlib_understands_thousands_of_messages_whatever_was_agreed_to() {
        let mut random = Random(0x5EED);
        let mut deflater = Deflater::default();
        for agreed in every_agreement() {
            let mut compressor = Compressor::new(&agreed).unwrap();
            let mut peer = Decompress::new(false);
            let is_extreme =
                matches!(agreed.server_max_window_bits, None | Some(9)) && !agreed.server_no_context_takeover;
            for i in 0..if is_extreme { 2000 } else { 100 } {
                let message = random.message();
                let wire = write(&mut compressor, &mut deflater, &message);
                let (is_compressed, payload) = payload_of(&wire, Opcode::Binary);
                assert!(is_compressed);
                if agreed.server_no_context_takeover {
                    peer.reset(false);
                }
                assert!(decompress(&mut peer, payload) == message, "message {i} of {agreed:?}");
            }
        }
    }

    #[test]
    fn no_message_refers_to_what_the_client_has_forgotten() {
        let mut random = Random(0xFA2);
        let mut deflater = Deflater::default();
        for agreed in every_agreement() {
            let window = 1 << agreed.server_max_window_bits.unwrap_or(15);
            let mut compressor = Compressor::new(&agreed).unwrap();
            let (mut said, mut reach) = (Vec::new(), 0);
            for _ in 0..60 {
                let message = random.message();
                let wire = write(&mut compressor, &mut deflater, &message);
                if agreed.server_no_context_takeover {
                    said.clear();
                }
                let before = said.len();
                let block = [payload_of(&wire, Opcode::Binary).1, &TAIL].concat();
                reach = reach.max(inflate(&block, &mut said));
                assert!(said[before..] == message);
            }
            assert!(reach <= window, "{reach} of {agreed:?}");
            assert!(reach > window / 3 || window > 8192, "the window is used: {reach} of {agreed:?}");
        }
    }

    #[test]
    fn with_context_takeover_a_message_said_before_takes_next_to_nothing() {
        let mut random = Random(0xC0);
        let message: Vec<u8> = (0..200).map(|_| random.below(256) as u8).collect();
        let mut deflater = Deflater::default();
        for agreed in every_agreement() {
            let mut compressor = Compressor::new(&agreed).unwrap();
            write(&mut compressor, &mut deflater, &message);
            let again = write(&mut compressor, &mut deflater, &message).len();
            assert_eq!(again < 20, !agreed.server_no_context_takeover, "{again} bytes, {agreed:?}");
        }
    }

    #[test]
    fn connections_that_share_a_deflater_do_not_mix() {
        let mut random = Random(0x313);
        let mut deflater = Deflater::default();
        let mut connections: Vec<_> = every_agreement()
            .into_iter()
            .map(|agreed| (agreed, Compressor::new(&agreed).unwrap(), Decompress::new(false)))
            .collect();
        for _ in 0..3000 {
            let message = random.message();
            let index = random.below(connections.len());
            let (agreed, compressor, peer) = &mut connections[index];
            let wire = write(compressor, &mut deflater, &message);
            if agreed.server_no_context_takeover {
                peer.reset(false);
            }
            assert!(decompress(peer, payload_of(&wire, Opcode::Binary).1) == message);
        }
    }

    #[test]
    fn a_frame_may_be_written_once_for_all_clients_without_context() {
        for agreed in every_agreement() {
            let mut compressor = Compressor::new(&agreed).unwrap();
            let bits = agreed.server_max_window_bits.unwrap_or(15);
            let shared = agreed.server_no_context_takeover.then_some(bits);
            assert_eq!(compressor.shared_window_bits(), shared);
            if let Some(bits) = shared {
                let mut deflater = Deflater::default();
                let mut once = Vec::new();
                deflater.write_frame(&mut once, Opcode::Binary, b"to whom it may concern", bits);
                assert_eq!(once, write(&mut compressor, &mut deflater, b"to whom it may concern"));
            }
        }
    }

    #[test]
    fn an_empty_message_is_not_compressed() {
        let mut deflater = Deflater::default();
        for agreed in every_agreement() {
            let mut compressor = Compressor::new(&agreed).unwrap();
            assert_eq!(write(&mut compressor, &mut deflater, b""), [0x82, 0x00]);
        }
    }

    #[test]
    fn a_disabled_compressor_is_none() {
        assert!(Compressor::new(&Agreed { server_compresses: false, ..agreed(true, None) }).is_none());
    }

    #[test]
    fn frames_are_appended_and_their_length_is_minimal_around_every_boundary() {
        let mut random = Random(0xB16);
        let noise: Vec<u8> = (0..200_000).map(|_| random.below(256) as u8).collect();
        let mut deflater = Deflater::default();
        let mut compressor = Compressor::new(&agreed(false, None)).unwrap();
        let mut lengths = Vec::new();
        for len in (115..122).chain(65_510..65_520).chain([131_000, 200_000]) {
            let mut wire = b"before".to_vec();
            compressor.write_frame(&mut deflater, &mut wire, Opcode::Text, &noise[..len]);
            assert!(wire.starts_with(b"before"));
            let (_, payload) = payload_of(&wire[6..], Opcode::Text);
            let mut said = Vec::new();
            inflate(&[payload, &TAIL].concat(), &mut said);
            assert!(said == noise[..len], "{len}");
            lengths.push(payload.len());
        }
        // What fills the scratch to the byte gets another empty block behind it.
        for boundary in [125, 126, 0xFFFF, 0x1_0000 + 5] {
            assert!(lengths.contains(&boundary), "{boundary} of {lengths:?}");
        }
    }

    #[test]
    fn what_is_queued_takes_no_more_memory_than_it_has_bytes() {
        let mut deflater = Deflater::default();
        let mut compressor = Compressor::new(&agreed(false, None)).unwrap();
        let wire = write(&mut compressor, &mut deflater, &vec![b'x'; 10_000_000]);
        assert!(wire.len() < 20_000 && wire.capacity() < 2 * wire.len(), "{}", wire.capacity());
    }

    #[test]
    fn a_connection_owns_nothing_before_its_first_message_and_without_context_never() {
        assert!(size_of::<Option<Compressor>>() <= 24, "{}", size_of::<Option<Compressor>>());
        let mut deflater = Deflater::default();
        for agreed in every_agreement() {
            let mut compressor = Compressor::new(&agreed).unwrap();
            let is_empty = |context: &Context| {
                matches!(context, Context::None | Context::Window(None) | Context::Stream(None))
            };
            assert!(is_empty(&compressor.context));
            write(&mut compressor, &mut deflater, b"first");
            assert_eq!(is_empty(&compressor.context), agreed.server_no_context_takeover);
        }
    }
}
