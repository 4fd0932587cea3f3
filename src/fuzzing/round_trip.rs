//! What we say is what tungstenite and miniz_oxide hear, and the other way round (RFC 6455 §5, RFC 7692 §7.2).

use super::seen::{Seen, receive};
use super::{Cuts, Target};
use crate::websocket::close::{is_valid_received, truncate_reason, write_close};
use crate::websocket::frame::{MAX_CONTROL_PAYLOAD, Opcode, write_frame};
use crate::websocket::reference;
use crate::websocket::{Agreed, Compressor, Decompressor, Deflater};
use arbitrary::Arbitrary;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use std::borrow::Cow;
use std::io::{self, Cursor, Read, Write};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// What is said on a connection, by the server to a client and then by a client to the server.
#[derive(Arbitrary, Debug)]
pub struct RoundTrip<'a> {
    /// What was agreed to: context takeover in its lowest bit, then the server's window.
    agreed: u8,
    /// zlib's level of the client.
    level: u8,
    /// Which of the client's messages it compresses.
    compressed: u8,
    cuts: Cuts,
    code: u16,
    reason: &'a str,
    said: Vec<Said<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Said<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// A binary message of one byte over and over: mostly less than 1 KiB, or a little more than 64.
    Repeated(u8, u16),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
}

impl Said<'_> {
    fn opcode(&self) -> Opcode {
        match self {
            Self::Text(_) => Opcode::Text,
            Self::Binary(_) | Self::Repeated(..) => Opcode::Binary,
            Self::Ping(_) => Opcode::Ping,
            Self::Pong(_) => Opcode::Pong,
        }
    }

    fn payload(&self) -> Cow<'_, [u8]> {
        match *self {
            Self::Text(text) => text.as_bytes().into(),
            Self::Binary(bytes) => bytes.into(),
            Self::Repeated(byte, count @ ..0xF000) => vec![byte; usize::from(count % 1024)].into(),
            Self::Repeated(byte, count) => vec![byte; 0x1000 + usize::from(count)].into(),
            Self::Ping(bytes) | Self::Pong(bytes) => bytes[..bytes.len().min(MAX_CONTROL_PAYLOAD)].into(),
        }
    }

    fn seen(&self) -> Seen {
        let payload = self.payload().into_owned();
        match self {
            Self::Text(text) => Seen::Text((*text).to_owned()),
            Self::Binary(_) | Self::Repeated(..) => Seen::Binary(payload),
            Self::Ping(_) => Seen::Ping(payload),
            Self::Pong(_) => Seen::Pong(payload),
        }
    }
}

impl<'a> Target<'a> for RoundTrip<'a> {
    fn play(self) {
        self.tungstenite_reads_the_server();
        self.another_zlib_reads_the_server();
        self.the_server_reads_tungstenite();
    }
}

impl RoundTrip<'_> {
    fn agreed(&self) -> Agreed {
        let takeover = self.agreed & 1 != 0;
        Agreed {
            client_no_context_takeover: !takeover,
            client_max_window_bits: None,
            server_no_context_takeover: !takeover,
            server_max_window_bits: Some(8 + (self.agreed >> 1) % 8),
            server_compresses: true,
        }
    }

    fn tungstenite_reads_the_server(&self) {
        let mut wire = Vec::new();
        for said in &self.said {
            write_frame(&mut wire, said.opcode(), &said.payload());
        }
        write_close(&mut wire, self.code.into(), truncate_reason(self.reason));
        let mut client = WebSocket::from_raw_socket(Wire::incoming(wire), Role::Client, None);
        for said in &self.said {
            let seen = match client.read().expect("tungstenite takes it") {
                Message::Text(text) => Seen::Text(text.to_string()),
                Message::Binary(bytes) => Seen::Binary(bytes.into()),
                Message::Ping(bytes) => Seen::Ping(bytes.into()),
                Message::Pong(bytes) => Seen::Pong(bytes.into()),
                other => panic!("tungstenite reads {other:?}"),
            };
            assert_eq!(seen, said.seen());
        }
        let has_code = is_valid_received(self.code);
        if has_code || matches!(self.code, 0 | 1005 | 1006) {
            let Message::Close(close) = client.read().expect("tungstenite takes it") else {
                panic!("tungstenite reads no close frame")
            };
            let close = close.map(|close| (u16::from(close.code), close.reason.to_string()));
            let reason = truncate_reason(self.reason).to_owned();
            assert_eq!(close, has_code.then_some((self.code, reason)));
        }
    }

    fn another_zlib_reads_the_server(&self) {
        let agreed = self.agreed();
        let mut deflater = Deflater::default();
        let mut compressor = Compressor::new(&agreed).expect("the server compresses");
        let mut wire = Vec::new();
        for said in &self.said {
            match said.opcode() {
                opcode if opcode.is_control() => write_frame(&mut wire, opcode, &said.payload()),
                opcode => compressor.write_frame(&mut deflater, &mut wire, opcode, &said.payload()),
            }
        }

        let mut wire = Cursor::new(&wire[..]);
        let mut zlib = Decompress::new(false);
        let mut spoken = Vec::new();
        for said in &self.said {
            let (header, len) = FrameHeader::parse(&mut wire).expect("a header").expect("a whole header");
            let is_compressed = !said.opcode().is_control() && !said.payload().is_empty();
            let expected = FrameHeader {
                rsv1: is_compressed,
                opcode: OpCode::from(said.opcode() as u8),
                ..FrameHeader::default()
            };
            assert_eq!(header, expected);
            let mut payload = vec![0; len as usize];
            wire.read_exact(&mut payload).expect("a whole frame");
            if !is_compressed {
                assert_eq!(payload, *said.payload());
                continue;
            }
            if agreed.server_no_context_takeover {
                zlib.reset(false);
                spoken.clear();
            }
            // RFC 7692 §7.2.2: append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload.
            payload.extend([0x00, 0x00, 0xFF, 0xFF]);
            let mut message = Vec::with_capacity(said.payload().len() + 1);
            zlib.decompress_vec(&payload, &mut message, FlushDecompress::Sync)
                .expect("another zlib takes it");
            assert_eq!(message, *said.payload());
            let before = spoken.len();
            let distance = reference::inflate(&payload, &mut spoken);
            assert_eq!(spoken[before..], *said.payload());
            assert!(
                distance <= 1 << agreed.server_max_window_bits.unwrap_or(15),
                "{distance} is out of reach"
            );
        }
        assert_eq!(wire.position(), wire.get_ref().len() as u64, "nothing is left");
    }

    fn the_server_reads_tungstenite(&self) {
        let mut client = WebSocket::from_raw_socket(Wire::default(), Role::Client, None);
        let mut zlib = Compress::new(Compression::new(u32::from(self.level) % 10), false);
        let mut expected = Vec::new();
        for (at, said) in self.said.iter().enumerate() {
            let mut payload = said.payload();
            let data = match said.opcode() {
                Opcode::Text => Data::Text,
                Opcode::Binary => Data::Binary,
                opcode => {
                    let header = FrameHeader { opcode: OpCode::from(opcode as u8), ..FrameHeader::default() };
                    send(&mut client, Frame::from_payload(header, payload.into_owned().into()));
                    expected.push(said.seen());
                    continue;
                }
            };
            let is_compressed = self.compressed >> (at % 8) & 1 != 0;
            if is_compressed {
                payload = self.compress(&mut zlib, &payload).into();
            }
            let fragments = self.cuts.pieces(&payload);
            for (nth, fragment) in fragments.iter().enumerate() {
                let opcode = OpCode::Data(if nth == 0 { data } else { Data::Continue });
                let mut frame = Frame::message(fragment.to_vec(), opcode, nth + 1 == fragments.len());
                frame.header_mut().rsv1 = is_compressed && nth == 0;
                send(&mut client, frame);
                if nth == 0 && fragments.len() > 1 {
                    send(&mut client, Frame::ping("in between"));
                    expected.push(Seen::Ping(b"in between".to_vec()));
                }
            }
            expected.push(said.seen());
        }
        if is_valid_received(self.code) {
            let reason = truncate_reason(self.reason);
            let close = CloseFrame { code: self.code.into(), reason: Utf8Bytes::from(reason) };
            send(&mut client, Frame::close(Some(close)));
            expected.push(Seen::Close(self.code, reason.to_owned()));
        }
        let wire = client.into_inner().outgoing;
        for pieces in [vec![&wire[..]], self.cuts.pieces(&wire)] {
            let seen = receive(pieces, 1 << 20, Some(Decompressor::new(&self.agreed())));
            assert!(seen == expected, "{seen:?} of {expected:?}");
        }
    }

    fn compress(&self, zlib: &mut Compress, message: &[u8]) -> Vec<u8> {
        if self.agreed().client_no_context_takeover {
            zlib.reset();
        }
        let mut compressed = Vec::with_capacity(2 * message.len() + 100);
        zlib.compress_vec(message, &mut compressed, FlushCompress::Sync).expect("a stream that goes on");
        // RFC 7692 §7.2.1: remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end.
        compressed.truncate(compressed.len() - 4);
        compressed
    }
}

fn send(client: &mut WebSocket<Wire>, frame: Frame) {
    client.send(Message::Frame(frame)).expect("the wire takes everything");
}

/// Both directions of a connection, in memory.
#[derive(Default)]
struct Wire {
    incoming: Cursor<Vec<u8>>,
    outgoing: Vec<u8>,
}

impl Wire {
    fn incoming(bytes: Vec<u8>) -> Self {
        Self { incoming: Cursor::new(bytes), outgoing: Vec::new() }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
