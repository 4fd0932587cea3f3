//! What a client sent, as events: messages, pings, pongs and the close frame (§5.4–5.6, §8.1). One [`Receiver`] per
//! connection. It never answers; what is owed (a pong, the close frame) is for whoever gets the event.

use super::close::{self, NO_STATUS_RECEIVED};
use super::decoder::FrameHeader;
use super::error::ProtocolError;
use super::frame::{MAX_HEADER, Opcode};
use super::inflate::{Decompressor, Inflater};
use super::mask::{rotate, unmask};
use std::mem;
use std::ops::Deref;

/// The receiving half of one connection: remembers what is unfinished between two reads, and nothing else.
///
/// Idle, between two messages, it owns no heap memory but the window of a client with context takeover.
#[derive(Debug)]
pub struct Receiver {
    state: State,
    /// Whether a message is unfinished, and of what kind.
    unfinished: Option<Kind>,
    /// Whether the unfinished message is compressed.
    is_compressed: bool,
    /// How many bytes at the end of `message` are the beginning of a character.
    partial_char: u8,
    /// The unfinished message as far as it has arrived, unmasked; compressed, or if it is text, UTF-8 up to `partial_char`.
    message: Vec<u8>,
    /// The payload of a control frame that comes in pieces.
    control: Vec<u8>,
    /// Present where permessage-deflate was agreed to.
    decompressor: Option<Decompressor>,
}

/// What a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message, over all its fragments and decompressed. Control frames are exempt.
    pub max_payload_length: usize,
}

/// Something a client sent, whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message.
    Message(Kind, Payload<'a>),
    /// A ping. The same payload is owed back as a pong.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The close frame, the last event of a connection. The same code and reason are owed back.
    Close {
        /// The status code; 1005 when the frame was empty.
        code: u16,
        /// The reason; often empty.
        reason: &'a str,
    },
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any bytes.
    Binary,
    /// Valid UTF-8.
    Text,
    /// Text that was seen to be ASCII. Where nobody looked, that is `Text` too.
    Ascii,
}

/// The payload of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A message of one frame that lay whole in the input: its last bytes are the last that were taken off it. Nothing was allocated.
    Borrowed(&'a [u8]),
    /// A message that was decompressed into the inflater's buffer; nothing was allocated.
    Inflated(&'a [u8]),
    /// A message that came in several reads or fragments, or was decompressed to more than that buffer holds. The capacity may be up to
    /// twice the length.
    Owned(Vec<u8>),
}

impl Receiver {
    /// A receiver for a connection whose opening handshake is done; with a decompressor where that agreed to permessage-deflate.
    pub const fn new(decompressor: Option<Decompressor>) -> Self {
        Self {
            state: State::HEADER,
            unfinished: None,
            is_compressed: false,
            partial_char: 0,
            message: Vec::new(),
            control: Vec::new(),
            decompressor,
        }
    }

    /// Takes the next event out of `input`, which it advances past the bytes of that event (and unmasks in place).
    ///
    /// `Ok(None)` means that all of `input` was consumed and nothing is complete; what is unfinished is remembered.
    /// After a close frame or an error the connection is over: the rest of `input`, and whatever comes later, is
    /// consumed without a look and gives `Ok(None)`.
    pub fn receive<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i mut [u8],
        limits: &Limits,
        inflater: &'a mut Inflater,
    ) -> Result<Option<Event<'a>>, ProtocolError> {
        match self.step(input, limits, inflater) {
            Ok(Step::Incomplete) => Ok(None),
            Ok(Step::Message(event)) => Ok(Some(event)),
            Ok(Step::Control(Opcode::Close, payload)) => {
                self.end(input);
                // §7.1.5, §7.1.6: without a body the code is 1005 and the reason empty.
                let close = close::parse_close(payload.unwrap_or(&self.control))?;
                let (code, reason) = close.unwrap_or((NO_STATUS_RECEIVED, ""));
                Ok(Some(Event::Close { code, reason }))
            }
            Ok(Step::Control(opcode, payload)) => {
                let payload = payload.unwrap_or(&self.control);
                Ok(Some(if opcode == Opcode::Ping { Event::Ping(payload) } else { Event::Pong(payload) }))
            }
            Err(error) => {
                self.end(input);
                Err(error)
            }
        }
    }

    /// Goes through `input` until a message or a control frame is complete.
    fn step<'a, 'i: 'a>(
        &mut self,
        input: &mut &'i mut [u8],
        limits: &Limits,
        inflater: &'a mut Inflater,
    ) -> Result<Step<'a>, ProtocolError> {
        loop {
            match &mut self.state {
                State::Header { bytes, len } => {
                    if self.control.capacity() != 0 {
                        self.control = Vec::new(); // its event was seen: an idle receiver owns no memory
                    }
                    let may_be_compressed = self.decompressor.is_some();
                    let Some(header) = take_header(bytes, len, input, may_be_compressed)? else {
                        return Ok(Step::Incomplete);
                    };
                    let kind = self.kind_of(&header, limits)?;
                    if let Some((payload, is_ascii)) = self.take_whole(&header, input) {
                        return match kind {
                            Some(kind) if header.rsv1 => self.decompress(kind, payload, limits, inflater),
                            Some(kind) => kind.borrowed(payload, is_ascii),
                            None => return Ok(Step::Control(header.opcode, Some(payload))),
                        }
                        .map(Step::Message);
                    }
                    if kind.is_some() && self.unfinished.is_none() {
                        self.unfinished = kind;
                        self.is_compressed = header.rsv1;
                    }
                    // `kind_of` has compared the length with a `usize`.
                    let remaining = header.payload_len as usize;
                    let FrameHeader { fin, opcode, key, .. } = header;
                    self.state = State::Payload { fin, opcode, remaining, key };
                }
                State::Payload { fin, opcode, remaining, key } => {
                    let (fin, opcode) = (*fin, *opcode);
                    let piece = split_off(input, *remaining);
                    unmask(piece, *key, 0);
                    *key = rotate(*key, piece.len());
                    *remaining -= piece.len();
                    let remaining = *remaining;
                    if opcode.is_control() {
                        self.control.extend_from_slice(piece);
                    } else {
                        self.append(piece, fin.then_some(remaining))?;
                    }
                    if remaining > 0 {
                        return Ok(Step::Incomplete);
                    }
                    self.state = State::HEADER;
                    if opcode.is_control() {
                        return Ok(Step::Control(opcode, None));
                    }
                    if fin {
                        return self.finish(limits, inflater).map(Step::Message);
                    }
                }
                State::Ended => {
                    *input = &mut [];
                    return Ok(Step::Incomplete);
                }
            }
        }
    }

    /// The kind of message the frame belongs to, `None` for a control frame, if it may come here and be so large.
    fn kind_of(&self, header: &FrameHeader, limits: &Limits) -> Result<Option<Kind>, ProtocolError> {
        let kind = match (header.opcode, self.unfinished) {
            // §5.5: control frames MAY be injected in the middle of a fragmented message.
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(None),
            (Opcode::Continuation, Some(kind)) => kind,
            (Opcode::Text, None) => Kind::Text,
            (Opcode::Binary, None) => Kind::Binary,
            // §5.4: the fragments of one message MUST NOT be interleaved between the fragments of another.
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
        };
        // §5.2: of a 64-bit length the most significant bit MUST be 0. What is compressed is measured as it comes, as in Bun, and again when
        // it is decompressed.
        let room = limits.max_payload_length.checked_sub(self.message.len());
        let fits =
            header.payload_len >> 63 == 0 && room.is_some_and(|room| header.payload_len <= room as u64);
        if fits { Ok(Some(kind)) } else { Err(ProtocolError::MessageTooBig) }
    }

    /// The unmasked payload of a frame that is a whole message or control frame and lies whole in `input`, and whether it is ASCII.
    fn take_whole<'i>(&self, header: &FrameHeader, input: &mut &'i mut [u8]) -> Option<(&'i [u8], bool)> {
        let alone = header.opcode.is_control() || (header.fin && self.unfinished.is_none());
        if !alone || header.payload_len > input.len() as u64 {
            return None;
        }
        let payload = split_off(input, header.payload_len as usize);
        let is_ascii = unmask(payload, header.key, 0);
        Some((payload, is_ascii))
    }

    /// Appends an unmasked piece to the unfinished message. `rest` is how much of the message is still to come, when its
    /// last frame says so.
    fn append(&mut self, piece: &[u8], rest: Option<usize>) -> Result<(), ProtocolError> {
        reserve(&mut self.message, piece.len(), rest)?;
        let unchecked = self.message.len() - usize::from(self.partial_char);
        self.message.extend_from_slice(piece);
        if self.unfinished == Some(Kind::Text) && !self.is_compressed {
            self.partial_char = check_utf8(&self.message[unchecked..])?;
        }
        Ok(())
    }

    /// Hands over the message whose last fragment has been appended.
    fn finish<'a>(
        &mut self,
        limits: &Limits,
        inflater: &'a mut Inflater,
    ) -> Result<Event<'a>, ProtocolError> {
        // §8.1: text that ends inside a character is not UTF-8.
        if self.partial_char != 0 {
            return Err(ProtocolError::InvalidUtf8);
        }
        let message = mem::take(&mut self.message);
        let Some(kind) = self.unfinished.take() else {
            unreachable!("a data frame is only read into an unfinished message")
        };
        if mem::take(&mut self.is_compressed) {
            self.decompress(kind, &message, limits, inflater)
        } else {
            Ok(Event::Message(kind, Payload::Owned(message)))
        }
    }

    /// The message that `payload` is when it is decompressed.
    #[inline(never)] // inlined, it slows down the messages that are not compressed
    fn decompress<'a>(
        &mut self,
        kind: Kind,
        payload: &[u8],
        limits: &Limits,
        inflater: &'a mut Inflater,
    ) -> Result<Event<'a>, ProtocolError> {
        let Some(decompressor) = &mut self.decompressor else {
            unreachable!("RSV1 is an error without a decompressor")
        };
        let message = decompressor.decompress(inflater, payload, limits.max_payload_length)?;
        if kind == Kind::Text && simdutf8::basic::from_utf8(&message).is_err() {
            return Err(ProtocolError::InvalidUtf8);
        }
        Ok(Event::Message(kind, message))
    }

    /// Ends the connection for the receiver; `control` may still hold the close frame.
    fn end(&mut self, input: &mut &mut [u8]) {
        self.state = State::Ended;
        self.unfinished = None;
        self.message = Vec::new();
        self.decompressor = None;
        *input = &mut [];
    }
}

impl Payload<'_> {
    /// The payload as a vector of its own; copies what is borrowed.
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Borrowed(bytes) | Self::Inflated(bytes) => bytes.to_vec(),
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Deref for Payload<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) | Self::Inflated(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Where in a frame the input ended.
#[derive(Debug)]
enum State {
    /// In the header, of which `len` bytes have arrived.
    Header { bytes: [u8; MAX_HEADER], len: u8 },
    /// In the payload; `key` is rotated to its next byte.
    Payload { fin: bool, opcode: Opcode, remaining: usize, key: [u8; 4] },
    /// Behind the close frame or an error.
    Ended,
}

impl State {
    const HEADER: Self = Self::Header { bytes: [0; MAX_HEADER], len: 0 };
}

/// What a walk through the input came to.
enum Step<'i> {
    Incomplete,
    Message(Event<'i>),
    /// A control frame; without a payload here, it is in `Receiver::control`.
    Control(Opcode, Option<&'i [u8]>),
}

impl Kind {
    /// The message of this kind that `payload` is.
    fn borrowed(self, payload: &[u8], is_ascii: bool) -> Result<Event<'_>, ProtocolError> {
        let kind = match self {
            Self::Binary => Self::Binary,
            _ if is_ascii => Self::Ascii,
            _ if simdutf8::basic::from_utf8(payload).is_ok() => Self::Text,
            _ => return Err(ProtocolError::InvalidUtf8),
        };
        Ok(Event::Message(kind, Payload::Borrowed(payload)))
    }
}

/// Takes a header off `input`, which may begin or end inside it: `bytes` and `len` keep what came before.
fn take_header(
    bytes: &mut [u8; MAX_HEADER],
    len: &mut u8,
    input: &mut &mut [u8],
    rsv1_allowed: bool,
) -> Result<Option<FrameHeader>, ProtocolError> {
    if *len == 0
        && let Some((header, len)) = FrameHeader::parse(input, rsv1_allowed)?
    {
        split_off(input, len);
        return Ok(Some(header));
    }
    while let [byte] = split_off(input, 1) {
        // In bounds: a header is complete with its 14th byte at the latest.
        bytes[usize::from(*len)] = *byte;
        *len += 1;
        if let Some((header, _)) = FrameHeader::parse(&bytes[..usize::from(*len)], rsv1_allowed)? {
            *len = 0;
            return Ok(Some(header));
        }
    }
    Ok(None)
}

/// Takes the first `len` bytes off `input`, or all there are.
fn split_off<'i>(input: &mut &'i mut [u8], len: usize) -> &'i mut [u8] {
    let bytes = mem::take(input);
    let (first, rest) = bytes.split_at_mut(len.min(bytes.len()));
    *input = rest;
    first
}

/// Makes room for `piece` more bytes. The room doubles with what has arrived, whatever the header claims, and ends where
/// the message does.
fn reserve(message: &mut Vec<u8>, piece: usize, rest: Option<usize>) -> Result<(), ProtocolError> {
    let (len, capacity) = (message.len(), message.capacity());
    if capacity - len >= piece {
        return Ok(());
    }
    let doubled = (len + piece).max(2 * len);
    let wanted = rest.map_or(doubled, |rest| doubled.min(len + piece + rest));
    message.try_reserve_exact(wanted - len).map_err(|_| ProtocolError::OutOfMemory)
}

/// Checks text that more may follow: how many bytes at its end are the beginning of a character. Fails with the first byte
/// that no continuation can make good (Autobahn 6.4).
fn check_utf8(text: &[u8]) -> Result<u8, ProtocolError> {
    match simdutf8::compat::from_utf8(text) {
        Ok(_) => Ok(0),
        // At most three: four would be a character.
        Err(error) if error.error_len().is_none() => Ok((text.len() - error.valid_up_to()) as u8),
        Err(_) => Err(ProtocolError::InvalidUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::super::extensions::Agreed;
    use super::super::reference::Random;
    use super::*;
    use ProtocolError::*;
    use flate2::{Compress, Compression, FlushCompress};
    use std::cell::RefCell;
    use std::io::Cursor;
    use tokio_tungstenite::tungstenite::{
        Message,
        protocol::{CloseFrame, Role, WebSocket, frame::coding::CloseCode},
    };

    /// An event that owns its bytes, or the end by an error.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Seen {
        Text(String),
        Binary(Vec<u8>),
        Ping(Vec<u8>),
        Pong(Vec<u8>),
        Close(u16, String),
        Failed(ProtocolError),
    }

    const LIMITS: Limits = Limits { max_payload_length: 1000 };
    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

    // First bytes of frames: FIN and opcode.
    const TEXT: u8 = 0x81;
    const BINARY: u8 = 0x82;
    const FIRST_TEXT: u8 = 0x01;
    const FIRST_BINARY: u8 = 0x02;
    const MIDDLE: u8 = 0x00;
    const LAST: u8 = 0x80;
    const CLOSE: u8 = 0x88;
    const PING: u8 = 0x89;
    const PONG: u8 = 0x8A;

    // With RSV1: the message is compressed.
    const COMPRESSED_TEXT: u8 = 0xC1;
    const COMPRESSED_BINARY: u8 = 0xC2;
    const FIRST_COMPRESSED_TEXT: u8 = 0x41;
    const FIRST_COMPRESSED_BINARY: u8 = 0x42;

    /// "Hello", and "Hello" to who has it in the window (RFC 7692 §7.2.3).
    const HELLO: [u8; 7] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    const HELLO_AGAIN: [u8; 5] = [0xF2, 0x00, 0x11, 0x00, 0x00];

    /// The header of a client frame with the length as claimed, minimally encoded.
    fn header(first: u8, len: u64) -> Vec<u8> {
        let mut frame = vec![first];
        match len {
            0..126 => frame.push(0x80 | len as u8),
            126..0x1_0000 => {
                frame.push(0x80 | 126);
                frame.extend((len as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend(len.to_be_bytes());
            }
        }
        frame.extend(KEY);
        frame
    }

    fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
        let payload = payload.as_ref();
        let mut frame = header(first, payload.len() as u64);
        let start = frame.len();
        frame.extend(payload);
        unmask(&mut frame[start..], KEY, 0);
        frame
    }

    thread_local! {
        /// One for all receivers, as an engine has it.
        static INFLATER: RefCell<Inflater> = RefCell::default();
    }

    fn receive_into(seen: &mut Vec<Seen>, receiver: &mut Receiver, bytes: &[u8], limits: &Limits) {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        let mut inflater = INFLATER.take();
        loop {
            let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text is UTF-8");
            seen.push(match receiver.receive(&mut input, limits, &mut inflater) {
                Ok(None) => break,
                Ok(Some(Event::Message(Kind::Binary, payload))) => Seen::Binary(payload.into_vec()),
                Ok(Some(Event::Message(kind, payload))) => {
                    assert!(kind == Kind::Text || payload.is_ascii());
                    Seen::Text(utf8(&payload))
                }
                Ok(Some(Event::Ping(payload))) => Seen::Ping(payload.to_vec()),
                Ok(Some(Event::Pong(payload))) => Seen::Pong(payload.to_vec()),
                Ok(Some(Event::Close { code, reason })) => Seen::Close(code, reason.to_owned()),
                Err(error) => Seen::Failed(error),
            });
        }
        assert!(input.is_empty(), "Ok(None) leaves nothing behind");
        INFLATER.set(inflater);
    }

    /// What a new receiver makes of bytes that come in these pieces.
    fn receive_pieces<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Seen> {
        let (mut seen, mut receiver) = (Vec::new(), Receiver::new(None));
        for piece in pieces {
            receive_into(&mut seen, &mut receiver, piece, &LIMITS);
        }
        seen
    }

    /// A receiver for a client that may compress; with context takeover or without.
    fn compressed_receiver(takeover: bool) -> Receiver {
        Receiver::new(Some(Decompressor::new(&Agreed {
            client_no_context_takeover: !takeover,
            client_max_window_bits: None,
            server_no_context_takeover: true,
            server_max_window_bits: None,
            server_compresses: true,
        })))
    }

    /// What such a receiver makes of bytes that come in these pieces.
    fn receive_compressed<'p>(takeover: bool, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Seen> {
        let (mut seen, mut receiver) = (Vec::new(), compressed_receiver(takeover));
        for piece in pieces {
            receive_into(&mut seen, &mut receiver, piece, &LIMITS);
        }
        seen
    }

    /// A message compressed by itself, with a zlib that is not ours.
    fn compress(message: &[u8]) -> Vec<u8> {
        let mut compressed = Vec::with_capacity(2 * message.len() + 100);
        let mut zlib = Compress::new(Compression::default(), false);
        zlib.compress_vec(message, &mut compressed, FlushCompress::Sync).unwrap();
        compressed.truncate(compressed.len() - 4);
        compressed
    }

    fn receive(frames: &[Vec<u8>]) -> Vec<Seen> {
        receive_pieces([&frames.concat()[..]])
    }

    fn text(text: &str) -> Seen {
        Seen::Text(text.to_owned())
    }

    #[test]
    fn messages_and_control_frames_come_out_in_order() {
        let seen = receive(&[
            frame(TEXT, "a"),
            frame(PING, "p"),
            frame(BINARY, [0xFF, 0]),
            frame(PONG, ""),
            frame(TEXT, ""),
            frame(CLOSE, b"\x0F\xA0bye"), // 4000
        ]);
        assert_eq!(
            seen,
            [
                text("a"),
                Seen::Ping(b"p".to_vec()),
                Seen::Binary(vec![0xFF, 0]),
                Seen::Pong(vec![]),
                text(""),
                Seen::Close(4000, "bye".to_owned()),
            ]
        );
    }

    #[test]
    fn a_message_that_lies_whole_in_the_input_is_borrowed_from_it() {
        let mut bytes = [frame(TEXT, "hello"), frame(BINARY, [7; 300])].concat();
        let range = bytes.as_ptr_range();
        let mut input = &mut bytes[..];
        let (mut receiver, mut inflater) = (Receiver::new(None), Inflater::default());
        let Ok(Some(Event::Message(Kind::Ascii, Payload::Borrowed(hello)))) =
            receiver.receive(&mut input, &LIMITS, &mut inflater)
        else {
            panic!()
        };
        assert!(hello == b"hello" && range.contains(&hello.as_ptr()));
        assert_eq!(hello.as_ptr_range().end, input.as_ptr(), "its last byte is the last that was taken");
        let Ok(Some(Event::Message(Kind::Binary, Payload::Borrowed(sevens)))) =
            receiver.receive(&mut input, &LIMITS, &mut inflater)
        else {
            panic!()
        };
        assert!(sevens == [7; 300] && range.contains(&sevens.as_ptr()));
        assert_eq!(receiver.message.capacity() + receiver.control.capacity(), 0);
    }

    #[test]
    fn an_event_ends_before_the_bytes_of_the_next_frame() {
        let next = frame(TEXT, "next");
        let mut bytes = [frame(PING, "p"), next.clone()].concat();
        let mut input = &mut bytes[..];
        let (mut receiver, mut inflater) = (Receiver::new(None), Inflater::default());
        assert_eq!(receiver.receive(&mut input, &LIMITS, &mut inflater), Ok(Some(Event::Ping(b"p"))));
        assert_eq!(*input, next[..]);
    }

    #[test]
    fn fragments_are_joined_and_control_frames_may_come_between_them() {
        let seen = receive(&[
            frame(FIRST_TEXT, "a"),
            frame(PING, "1"),
            frame(MIDDLE, ""),
            frame(PONG, "2"),
            frame(MIDDLE, "bc"),
            frame(LAST, "d"),
            frame(FIRST_BINARY, ""),
            frame(LAST, ""),
        ]);
        assert_eq!(
            seen,
            [Seen::Ping(b"1".to_vec()), Seen::Pong(b"2".to_vec()), text("abcd"), Seen::Binary(vec![])]
        );
    }

    #[test]
    fn a_close_frame_may_come_inside_a_message_and_nothing_comes_after_it() {
        let seen =
            receive(&[frame(FIRST_TEXT, "a"), frame(CLOSE, b"\x03\xE9bye"), frame(LAST, "b"), vec![0xFF; 9]]);
        assert_eq!(seen, [Seen::Close(1001, "bye".to_owned())]);
    }

    #[test]
    fn an_empty_close_frame_is_1005() {
        assert_eq!(receive(&[frame(CLOSE, "")]), [Seen::Close(1005, String::new())]);
    }

    #[test]
    fn every_row_of_the_error_table_ends_the_connection() {
        let table: &[(&[Vec<u8>], ProtocolError)] = &[
            (&[vec![0x81, 0x01, b'a']], IncorrectlyMasked), // FIN TEXT, no MASK, length 1
            (&[vec![0x88, 0x00]], IncorrectlyMasked),       // FIN CLOSE, no MASK, length 0
            (&[frame(0xC1, "a")], UnexpectedRsv1),          // FIN RSV1 TEXT
            (&[frame(0xC9, "a")], UnexpectedRsv1),          // FIN RSV1 PING
            (&[frame(FIRST_TEXT, "a"), frame(0xC0, "a")], UnexpectedRsv1), // FIN RSV1 CONTINUATION
            (&[frame(0xA1, "a")], UnexpectedRsv23),         // FIN RSV2 TEXT
            (&[frame(0x92, "a")], UnexpectedRsv23),         // FIN RSV3 BINARY
            (&[frame(0x83, "")], InvalidOpcode),
            (&[frame(0x8F, "")], InvalidOpcode),
            (&[frame(PING, [0; 126])], ControlFrameTooBig),
            (&[frame(0x09, "a")], FragmentedControlFrame), // PING without FIN
            (&[frame(LAST, "a")], UnexpectedContinuation),
            (&[frame(MIDDLE, "a")], UnexpectedContinuation),
            (&[frame(FIRST_TEXT, "a"), frame(TEXT, "b")], UnfinishedMessage),
            (&[frame(FIRST_TEXT, ""), frame(FIRST_BINARY, "")], UnfinishedMessage),
            (&[frame(TEXT, [0xFF])], InvalidUtf8),
            (&[frame(FIRST_TEXT, [0xE4]), frame(LAST, [0xBD])], InvalidUtf8), // ends inside a character
            (&[frame(TEXT, [0; 1001])], MessageTooBig),
            (&[frame(FIRST_TEXT, [0; 500]), frame(LAST, [0; 501])], MessageTooBig),
            (&[frame(CLOSE, [3])], InvalidClosePayload),
            (&[frame(CLOSE, [3, 0xEC])], InvalidCloseCode), // 1004
            (&[frame(CLOSE, [3, 0xE8, 0xFF])], InvalidUtf8), // 1000 and a reason
        ];
        for (frames, error) in table {
            let before = frame(TEXT, "before");
            let after = frame(TEXT, "after");
            let seen = receive(&[before, frames.concat(), after]);
            assert_eq!(seen, [text("before"), Seen::Failed(*error)], "{frames:02X?}");
        }
    }

    #[test]
    fn after_an_error_later_input_is_consumed_without_a_look() {
        let (mut seen, mut receiver) = (Vec::new(), Receiver::new(None));
        receive_into(&mut seen, &mut receiver, &frame(0x83, ""), &LIMITS);
        receive_into(&mut seen, &mut receiver, &frame(0x83, ""), &LIMITS);
        receive_into(&mut seen, &mut receiver, &frame(TEXT, "a"), &LIMITS);
        assert_eq!(seen, [Seen::Failed(InvalidOpcode)]);
    }

    #[test]
    fn an_error_in_the_sequence_is_found_before_one_in_the_size() {
        // Bun 1.4.5 does the same.
        assert_eq!(receive(&[header(LAST, 1 << 63)]), [Seen::Failed(UnexpectedContinuation)]);
        let seen = receive(&[frame(FIRST_TEXT, "a"), header(TEXT, 5000)]);
        assert_eq!(seen, [Seen::Failed(UnfinishedMessage)]);
    }

    #[test]
    fn a_message_as_large_as_the_limit_passes_and_one_byte_more_fails_by_its_header_alone() {
        assert_eq!(receive(&[frame(BINARY, [1; 1000])]), [Seen::Binary(vec![1; 1000])]);
        assert_eq!(receive(&[header(BINARY, 1001)]), [Seen::Failed(MessageTooBig)]);
        let fragments = [frame(FIRST_BINARY, [1; 400]), frame(MIDDLE, [1; 600]), frame(LAST, "")];
        assert_eq!(receive(&fragments), [Seen::Binary(vec![1; 1000])]);
        assert_eq!(
            receive(&[frame(FIRST_BINARY, [1; 1000]), header(LAST, 1)]),
            [Seen::Failed(MessageTooBig)]
        );
    }

    #[test]
    fn a_limit_of_zero_lets_empty_messages_and_any_control_frame_pass() {
        let (mut seen, mut receiver) = (Vec::new(), Receiver::new(None));
        let none = Limits { max_payload_length: 0 };
        let bytes = [frame(TEXT, ""), frame(PING, [9; 125]), frame(FIRST_TEXT, ""), header(LAST, 1)].concat();
        receive_into(&mut seen, &mut receiver, &bytes, &none);
        assert_eq!(seen, [text(""), Seen::Ping(vec![9; 125]), Seen::Failed(MessageTooBig)]);
    }

    #[test]
    fn a_length_of_2_to_the_63_is_too_big_for_any_limit() {
        for len in [1 << 63, u64::MAX] {
            let (mut seen, mut receiver) = (Vec::new(), Receiver::new(None));
            let limits = Limits { max_payload_length: usize::MAX };
            receive_into(&mut seen, &mut receiver, &header(BINARY, len), &limits);
            assert_eq!(seen, [Seen::Failed(MessageTooBig)]);
        }
    }

    #[test]
    fn a_smaller_limit_applies_to_the_next_frame_of_an_unfinished_message() {
        let (mut seen, mut receiver) = (Vec::new(), Receiver::new(None));
        receive_into(&mut seen, &mut receiver, &frame(FIRST_BINARY, [1; 500]), &LIMITS);
        receive_into(&mut seen, &mut receiver, &frame(LAST, ""), &Limits { max_payload_length: 100 });
        assert_eq!(seen, [Seen::Failed(MessageTooBig)]);
    }

    #[test]
    fn lengths_need_not_be_minimal() {
        let payload = &frame(TEXT, "hello")[6..];
        // FIN TEXT, MASK 126, length 5, key · FIN TEXT, MASK 127, length 5, key
        let short = [&[0x81, 0xFE, 0, 5], &KEY[..], payload].concat();
        let long = [&[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0, 5], &KEY[..], payload].concat();
        assert_eq!(receive(&[short, long]), [text("hello"), text("hello")]);
    }

    #[test]
    fn the_buffer_grows_with_the_bytes_that_came_and_not_with_the_length_claimed() {
        let limits = Limits { max_payload_length: 1 << 40 };
        for first in [BINARY, FIRST_BINARY] {
            let (mut seen, mut receiver) = (Vec::new(), Receiver::new(None));
            receive_into(&mut seen, &mut receiver, &header(first, 1 << 40), &limits);
            assert_eq!(receiver.message.capacity(), 0);
            for received in 1..3000 {
                receive_into(&mut seen, &mut receiver, b"x", &limits);
                assert!(receiver.message.capacity() <= 2 * received, "{received}");
            }
            assert_eq!(seen, []);
        }
    }

    #[test]
    fn a_message_of_one_frame_ends_in_a_buffer_of_its_own_size() {
        let (mut receiver, mut inflater) = (Receiver::new(None), Inflater::default());
        let bytes = frame(BINARY, [1; 999]);
        for mut piece in bytes.chunks(10).map(<[u8]>::to_vec) {
            match receiver.receive(&mut &mut piece[..], &LIMITS, &mut inflater) {
                Ok(None) => {}
                Ok(Some(Event::Message(Kind::Binary, Payload::Owned(payload)))) => {
                    return assert_eq!(payload.capacity(), 999);
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("no message");
    }

    #[test]
    fn fragments_cost_nothing_but_the_bytes_in_them() {
        let (mut seen, mut receiver) = (Vec::new(), Receiver::new(None));
        receive_into(&mut seen, &mut receiver, &frame(FIRST_TEXT, ""), &LIMITS);
        let empty = frame(MIDDLE, "").repeat(1000);
        for _ in 0..100 {
            receive_into(&mut seen, &mut receiver, &empty, &LIMITS);
        }
        assert_eq!(receiver.message.capacity(), 0);
        receive_into(&mut seen, &mut receiver, &frame(LAST, "x"), &LIMITS);
        assert_eq!(seen, [text("x")]);
    }

    #[test]
    fn an_idle_receiver_is_small_and_owns_no_memory() {
        assert!(size_of::<Receiver>() <= 96, "{}", size_of::<Receiver>());
        let bytes =
            [frame(FIRST_TEXT, "ab"), frame(PING, "ping"), frame(LAST, "cd"), frame(PONG, "pong")].concat();
        let (mut seen, mut receiver) = (Vec::new(), Receiver::new(None));
        for byte in bytes.chunks(1) {
            receive_into(&mut seen, &mut receiver, byte, &LIMITS);
        }
        assert_eq!(seen, [Seen::Ping(b"ping".to_vec()), text("abcd"), Seen::Pong(b"pong".to_vec())]);
        assert_eq!(receiver.message.capacity() + receiver.control.capacity(), 0);
    }

    #[test]
    fn a_partial_character_may_be_finished_by_the_next_fragment() {
        let seen = receive(&[
            frame(FIRST_TEXT, [0xE4]),
            frame(PING, ""),
            frame(MIDDLE, [0xBD]),
            frame(LAST, [0xA0]),
        ]);
        assert_eq!(seen, [Seen::Ping(vec![]), text("你")]);
    }

    #[test]
    fn binary_messages_may_be_anything() {
        let seen = receive(&[frame(FIRST_BINARY, [0xFF]), frame(LAST, [0xC0]), frame(BINARY, [0xED, 0xA0])]);
        assert_eq!(seen, [Seen::Binary(vec![0xFF, 0xC0]), Seen::Binary(vec![0xED, 0xA0])]);
    }

    /// Bytes at the edges of UTF-8: each class of lead byte, the second bytes that are special after some of them.
    const EDGES: [u8; 16] =
        [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5];

    #[test]
    fn text_in_pieces_fails_with_the_first_byte_that_cannot_be_utf8() {
        for i in 0..EDGES.len().pow(4) {
            let bytes = [i, i >> 4, i >> 8, i >> 12].map(|i| EDGES[i & 15]);
            let mut receiver = Receiver::new(None);
            receive_into(&mut Vec::new(), &mut receiver, &header(FIRST_TEXT, 100), &LIMITS);
            for len in 1..=bytes.len() {
                let mut masked = [bytes[len - 1]];
                unmask(&mut masked, KEY, len - 1);
                let mut inflater = Inflater::default();
                let failed =
                    receiver.receive(&mut &mut masked[..], &LIMITS, &mut inflater) == Err(InvalidUtf8);
                let impossible =
                    str::from_utf8(&bytes[..len]).is_err_and(|error| error.error_len().is_some());
                assert_eq!(failed, impossible, "{:02X?}", &bytes[..len]);
                if failed {
                    break;
                }
            }
        }
    }

    #[test]
    fn text_cut_anywhere_is_judged_as_the_standard_library_judges_the_whole() {
        let samples: [&[u8]; 8] = [
            "κόσμε · grüße · 你好 · \u{1F600}\u{10FFFF}\u{FEFF}\0".as_bytes(),
            b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited", // Autobahn 6.3.1: a surrogate
            b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80edited", // Autobahn 6.4.1: beyond 10FFFF
            b"\xC0\xAF",                                                           // an overlong slash
            b"\xE0\x80\xAF and more",
            b"ends inside \xF0\x9F\x98",
            b"\x80",
            b"all of it ASCII, and longer than the 64 bytes at which the vector code begins to work",
        ];
        for sample in samples {
            let expected = match str::from_utf8(sample) {
                Ok(valid) => text(valid),
                Err(_) => Seen::Failed(InvalidUtf8),
            };
            let expected = [expected];
            for first in 0..=sample.len() {
                for second in first..=sample.len() {
                    let (a, b, c) = (&sample[..first], &sample[first..second], &sample[second..]);
                    let fragments = [frame(FIRST_TEXT, a), frame(MIDDLE, b), frame(LAST, c)];
                    assert_eq!(receive(&fragments), expected, "{sample:02X?} at {first}, {second}");
                }
            }
            assert_eq!(receive(&[frame(TEXT, sample)]), expected);
        }
    }

    #[test]
    fn invalid_text_fails_before_the_message_is_complete() {
        assert_eq!(
            receive(&[frame(FIRST_TEXT, "a\u{FFFD}"), frame(MIDDLE, [0xFF])]),
            [Seen::Failed(InvalidUtf8)]
        );
        let whole = frame(TEXT, [0xFF, b'a', b'a']);
        assert_eq!(receive_pieces([&whole[..7]]), [Seen::Failed(InvalidUtf8)]);
    }

    /// One connection with everything in it, up to the given end.
    fn conversation(end: &[u8]) -> Vec<u8> {
        let mut bytes = [
            frame(TEXT, "grüße 你好 \u{1F600}"),
            frame(FIRST_TEXT, "ein \u{1F600}"),
            frame(PING, "ping"),
            frame(MIDDLE, ""),
            frame(PONG, ""),
            frame(LAST, " ß"),
            frame(BINARY, [0xA5; 130]),
            frame(FIRST_BINARY, [1, 2, 3]),
            frame(LAST, [4; 200]),
            frame(TEXT, ""),
        ]
        .concat();
        bytes.extend(end);
        bytes
    }

    fn endings() -> [Vec<u8>; 6] {
        [
            frame(CLOSE, b"\x03\xE8t\xC3\xBCr"), // 1000 "tür"
            frame(CLOSE, b"\x03\xE8\xC3"),
            frame(TEXT, b"gut \xC0 schlecht"),
            header(BINARY, 70_000),
            vec![0x81, 0x03],       // FIN TEXT, no MASK
            frame(LAST, "nothing"), // a continuation of nothing
        ]
    }

    #[test]
    fn bytes_give_the_same_events_whichever_way_they_are_cut() {
        let mut random = Random(0x5EED);
        for end in endings() {
            let bytes = conversation(&end);
            let whole = receive_pieces([&bytes[..]]);
            assert_eq!(whole.len(), 8, "{whole:?}");
            for cut in 0..=bytes.len() {
                assert_eq!(receive_pieces([&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
            }
            for longest in [1, 2, 3, 5, 8, 20, 100] {
                for _ in 0..30 {
                    let pieces = random.pieces(&bytes, longest);
                    assert_eq!(receive_pieces(pieces.clone()), whole, "{pieces:02X?}");
                }
            }
        }
    }

    #[test]
    fn any_bytes_at_all_give_the_same_events_whichever_way_they_are_cut() {
        let mut random = Random(0xBAD5EED);
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..random.below(5) {
                let first = random.below(256) as u8;
                let claimed = random.below(140);
                bytes.extend(header(if random.below(4) > 0 { first & 0x8F } else { first }, claimed as u64));
                bytes.extend((0..claimed).map(|i| KEY[i % 4] ^ random.below(0x90) as u8));
                let lost = random.below(3) * random.below(2);
                bytes.truncate(bytes.len() - lost);
            }
            let whole = receive_pieces([&bytes[..]]);
            let pieces = random.pieces(&bytes, 9);
            assert_eq!(receive_pieces(pieces.clone()), whole, "{pieces:02X?}");
        }
    }

    #[test]
    fn it_reads_what_tungstenite_writes() {
        let mut random = Random(0xF00D);
        let mut client = WebSocket::from_raw_socket(Cursor::new(Vec::new()), Role::Client, None);
        let mut expected = Vec::new();
        for len in [0, 1, 2, 125, 126, 127, 500, 1000] {
            let words = "ü".repeat(len / 2);
            client.send(Message::text(words.clone())).unwrap();
            expected.push(Seen::Text(words));
            client.send(Message::binary(vec![len as u8; len])).unwrap();
            expected.push(Seen::Binary(vec![len as u8; len]));
            client.send(Message::Ping(vec![1; len.min(125)].into())).unwrap();
            expected.push(Seen::Ping(vec![1; len.min(125)]));
        }
        let close = CloseFrame { code: CloseCode::from(4321), reason: "genug".into() };
        client.send(Message::Close(Some(close))).unwrap();
        expected.push(Seen::Close(4321, "genug".to_owned()));

        let bytes = client.into_inner().into_inner();
        assert_eq!(receive_pieces([&bytes[..]]), expected);
        for longest in [1, 7, 64] {
            assert_eq!(receive_pieces(random.pieces(&bytes, longest)), expected);
        }
    }

    #[test]
    fn compressed_messages_come_out_as_they_went_in_between_others() {
        let bytes = [
            frame(COMPRESSED_TEXT, HELLO),
            frame(TEXT, "plain"),
            frame(PING, "p"),
            frame(COMPRESSED_BINARY, HELLO),
            frame(COMPRESSED_TEXT, [0x00]),
            frame(COMPRESSED_BINARY, []),
            frame(BINARY, [0xFF]),
            frame(CLOSE, b"\x03\xE8"), // 1000
        ]
        .concat();
        for takeover in [false, true] {
            let seen = receive_compressed(takeover, [&bytes[..]]);
            assert_eq!(
                seen,
                [
                    text("Hello"),
                    text("plain"),
                    Seen::Ping(b"p".to_vec()),
                    Seen::Binary(b"Hello".to_vec()),
                    text(""),
                    Seen::Binary(vec![]),
                    Seen::Binary(vec![0xFF]),
                    Seen::Close(1000, String::new()),
                ]
            );
        }
    }

    #[test]
    fn fragments_are_joined_before_they_are_decompressed() {
        let bytes = [
            frame(FIRST_COMPRESSED_TEXT, &HELLO[..2]),
            frame(PING, "p"),
            frame(MIDDLE, ""),
            frame(MIDDLE, &HELLO[2..6]),
            frame(LAST, &HELLO[6..]),
            frame(FIRST_COMPRESSED_BINARY, ""),
            frame(LAST, ""),
            frame(FIRST_COMPRESSED_TEXT, HELLO),
            frame(LAST, ""),
            frame(FIRST_TEXT, "pl"),
            frame(LAST, "ain"),
        ]
        .concat();
        let seen = receive_compressed(false, [&bytes[..]]);
        let expected =
            [Seen::Ping(b"p".to_vec()), text("Hello"), Seen::Binary(vec![]), text("Hello"), text("plain")];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_message_may_refer_to_an_earlier_one_only_with_context_takeover() {
        let bytes =
            [frame(COMPRESSED_TEXT, HELLO), frame(TEXT, "plain"), frame(COMPRESSED_TEXT, HELLO_AGAIN)]
                .concat();
        assert_eq!(receive_compressed(true, [&bytes[..]]), [text("Hello"), text("plain"), text("Hello")]);
        let failed = [text("Hello"), text("plain"), Seen::Failed(InvalidCompressedData)];
        assert_eq!(receive_compressed(false, [&bytes[..]]), failed);
    }

    #[test]
    fn every_error_of_a_compressed_message_ends_the_connection() {
        let table: &[(&[Vec<u8>], ProtocolError)] = &[
            (&[frame(COMPRESSED_TEXT, [0xFF])], InvalidCompressedData),
            (&[frame(COMPRESSED_TEXT, &HELLO[..3])], InvalidCompressedData), // cut off
            (&[frame(FIRST_COMPRESSED_TEXT, &HELLO[..3]), frame(LAST, "")], InvalidCompressedData),
            (&[frame(COMPRESSED_BINARY, HELLO_AGAIN)], InvalidCompressedData), // of nothing
            (&[frame(COMPRESSED_TEXT, compress(&[0xFF]))], InvalidUtf8),
            (&[frame(COMPRESSED_TEXT, compress(&[b'a', 0xE4, 0xBD]))], InvalidUtf8), // ends inside a character
            (&[frame(FIRST_COMPRESSED_TEXT, compress(&[0xC0, 0xAF])), frame(LAST, "")], InvalidUtf8),
            (&[frame(COMPRESSED_BINARY, compress(&[b'x'; 1001]))], MessageTooBig),
            (&[frame(FIRST_COMPRESSED_BINARY, compress(&[b'x'; 100_000])), frame(LAST, "")], MessageTooBig),
            (&[frame(FIRST_COMPRESSED_TEXT, HELLO), frame(0xC0, HELLO)], UnexpectedRsv1), // RSV1 CONTINUATION
            (&[frame(FIRST_TEXT, "a"), frame(0xC0, HELLO)], UnexpectedRsv1),
            (&[frame(0xC9, "p")], UnexpectedRsv1), // RSV1 PING
            (&[frame(0xC8, "")], UnexpectedRsv1),  // RSV1 CLOSE
            (&[frame(FIRST_COMPRESSED_TEXT, HELLO), frame(COMPRESSED_TEXT, HELLO)], UnfinishedMessage),
            (&[frame(0xE1, HELLO)], UnexpectedRsv23), // RSV1 RSV2 TEXT
        ];
        for (frames, error) in table {
            let bytes = [&frame(TEXT, "before")[..], &frames.concat(), &frame(TEXT, "after")].concat();
            for takeover in [false, true] {
                let seen = receive_compressed(takeover, [&bytes[..]]);
                assert_eq!(seen, [text("before"), Seen::Failed(*error)], "{frames:02X?}");
            }
        }
    }

    #[test]
    fn the_limit_is_on_what_a_message_decompresses_to() {
        let message = vec![b'x'; 1000];
        let compressed = compress(&message);
        let (first, last) = compressed.split_at(compressed.len() / 2);
        let bytes = [
            frame(COMPRESSED_BINARY, &compressed),
            frame(FIRST_COMPRESSED_BINARY, first),
            frame(LAST, last),
            frame(COMPRESSED_BINARY, compress(&[b'x'; 1001])),
        ]
        .concat();
        let expected = [Seen::Binary(message.clone()), Seen::Binary(message), Seen::Failed(MessageTooBig)];
        assert_eq!(receive_compressed(true, [&bytes[..]]), expected);
    }

    #[test]
    fn what_is_compressed_may_not_be_longer_than_the_limit_either() {
        let bytes = header(COMPRESSED_BINARY, 1000);
        assert_eq!(receive_compressed(false, [&bytes[..]]), []);
        let bytes = header(COMPRESSED_BINARY, 1001);
        assert_eq!(receive_compressed(false, [&bytes[..]]), [Seen::Failed(MessageTooBig)]);
        let bytes = [frame(FIRST_COMPRESSED_BINARY, [0; 999]), header(LAST, 2)].concat();
        assert_eq!(receive_compressed(false, [&bytes[..]]), [Seen::Failed(MessageTooBig)]);
    }

    #[test]
    fn a_small_compressed_message_is_handed_over_without_an_allocation() {
        let (mut receiver, mut inflater) = (compressed_receiver(false), Inflater::default());
        for _ in 0..2 {
            let mut bytes = frame(COMPRESSED_TEXT, HELLO);
            let received = receiver.receive(&mut &mut bytes[..], &LIMITS, &mut inflater);
            let hello = Event::Message(Kind::Text, Payload::Inflated(b"Hello"));
            assert_eq!(received, Ok(Some(hello)));
            assert_eq!(receiver.message.capacity(), 0);
        }
    }

    #[test]
    fn an_ended_receiver_owns_no_window() {
        let mut receiver = compressed_receiver(true);
        let bytes = [frame(COMPRESSED_TEXT, HELLO), frame(CLOSE, "")].concat();
        let mut seen = Vec::new();
        receive_into(&mut seen, &mut receiver, &bytes, &LIMITS);
        assert_eq!(seen, [text("Hello"), Seen::Close(1005, String::new())]);
        assert!(receiver.decompressor.is_none());
    }

    #[test]
    fn compressed_bytes_give_the_same_events_whichever_way_they_are_cut() {
        let mut random = Random(0xC0DE);
        let mut conversation = Vec::new();
        for i in 0..12 {
            let message = random.message_of(40 * i);
            let compressed = compress(&message);
            let cut = random.below(compressed.len());
            conversation.extend(frame(COMPRESSED_BINARY, &compressed));
            conversation.extend(frame(FIRST_COMPRESSED_BINARY, &compressed[..cut]));
            conversation.extend(frame(PING, "p"));
            conversation.extend(frame(LAST, &compressed[cut..]));
            conversation.extend(frame(COMPRESSED_TEXT, HELLO));
            conversation.extend(frame(COMPRESSED_TEXT, HELLO_AGAIN));
            conversation.extend(frame(FIRST_TEXT, "plain"));
            conversation.extend(frame(LAST, ""));
        }
        for end in
            [frame(COMPRESSED_TEXT, &HELLO[..3]), frame(COMPRESSED_TEXT, compress(&[0xFF])), frame(0xC0, "")]
        {
            let bytes = [&conversation[..], &end].concat();
            let whole = receive_compressed(true, [&bytes[..]]);
            assert_eq!(whole.len(), 12 * 6 + 1, "{whole:?}");
            for longest in [1, 2, 5, 20, 100, 1000] {
                for _ in 0..3 {
                    let pieces = random.pieces(&bytes, longest);
                    assert_eq!(receive_compressed(true, pieces), whole, "in pieces of up to {longest}");
                }
            }
        }
    }

    #[test]
    fn any_bytes_at_all_give_the_same_events_from_a_client_that_may_compress() {
        let mut random = Random(0xBADC0DE);
        for _ in 0..3000 {
            let mut bytes = Vec::new();
            for _ in 0..random.below(6) {
                let mut compressed = compress(&random.message_of(300));
                if random.below(4) == 0 {
                    let at = random.below(compressed.len());
                    compressed[at] ^= 1 << random.below(8);
                }
                let cut = random.below(compressed.len());
                let (first, rest) = compressed.split_at(if random.below(2) == 0 { cut } else { 0 });
                if !first.is_empty() {
                    bytes.extend(frame(FIRST_COMPRESSED_TEXT + random.below(2) as u8, first));
                }
                let first = [LAST, COMPRESSED_TEXT, COMPRESSED_BINARY, MIDDLE, PING, 0xC0][random.below(6)];
                bytes.extend(frame(first, rest));
            }
            let whole = receive_compressed(true, [&bytes[..]]);
            let pieces = random.pieces(&bytes, 50);
            assert_eq!(receive_compressed(true, pieces.clone()), whole, "{pieces:02X?}");
        }
    }
}
