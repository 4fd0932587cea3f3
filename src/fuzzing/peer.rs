//! The client's end of a connection: what it says goes out as far as the kernel takes it, what it hears is kept.

use std::io::{self, Cursor, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use flate2::{Decompress, FlushDecompress};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

use crate::websocket::frame::write_frame;
use crate::websocket::{Agreed, Opcode};

/// See the module.
#[derive(Debug)]
pub(super) struct Peer {
    /// `None` when it has gone.
    stream: Option<UnixStream>,
    /// Everything it has said, whether it is on its way or not.
    pub(super) said: Vec<u8>,
    /// How much of that the kernel has taken.
    sent: usize,
    /// It says no more.
    is_finished: bool,
    fin_is_sent: bool,
    heard: Vec<u8>,
    /// It has heard the end.
    is_at_end: bool,
}

/// A frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) opcode: u8,
    /// Decompressed.
    pub(super) payload: Vec<u8>,
}

impl Heard {
    /// The frame, uncompressed.
    pub(super) fn frame(&self) -> Vec<u8> {
        let opcode = Opcode::from_u8(self.opcode).expect("an opcode");
        let mut frame = Vec::new();
        write_frame(&mut frame, opcode, &self.payload);
        frame
    }
}

impl Peer {
    /// A client that has said something already, and that has arrived.
    pub(super) fn new(stream: UnixStream, said: &[u8]) -> Self {
        Self {
            stream: Some(stream),
            said: said.to_vec(),
            sent: said.len(),
            is_finished: false,
            fin_is_sent: false,
            heard: Vec::new(),
            is_at_end: false,
        }
    }

    /// Whether nothing more will come of it.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    pub(super) fn has_gone(&self) -> bool {
        self.stream.is_none()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// How much it has heard.
    pub(super) fn heard_len(&self) -> usize {
        self.heard.len()
    }

    /// How much of what it has said the kernel has taken.
    pub(super) fn sent_len(&self) -> usize {
        self.sent
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        if !self.is_finished {
            self.said.extend_from_slice(bytes);
            self.send();
        }
    }

    /// FIN, behind everything it has said.
    pub(super) fn finish(&mut self) {
        self.is_finished = true;
        self.send();
    }

    /// Gives the kernel what it takes of what is left to be said.
    pub(super) fn send(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        while self.sent < self.said.len() {
            match stream.write(&self.said[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The server has closed already.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
                Err(error) => panic!("{error}"),
            }
        }
        if self.is_finished && !self.fin_is_sent {
            stream.shutdown(Shutdown::Write).expect("an open socket");
            self.fin_is_sent = true;
        }
    }

    /// Hears at most `count` bytes.
    pub(super) fn hear(&mut self, count: usize) {
        let Some(stream) = &mut self.stream else { return };
        let before = self.heard.len();
        match stream.take(count as u64).read_to_end(&mut self.heard) {
            Ok(_) => self.is_at_end |= self.heard.len() < before + count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // ECONNRESET: the server has closed with bytes of ours unread, and what it said before is lost.
            Err(error) => panic!("{error}"),
        }
    }

    /// Goes without a word.
    pub(super) fn vanish(&mut self) {
        self.is_finished = true;
        self.stream = None;
    }

    /// The whole frames it has heard, and what there is of another one behind them.
    pub(super) fn frames(&self, agreed: Option<&Agreed>) -> (Vec<Heard>, &[u8]) {
        let mut wire = Cursor::new(&self.heard[..]);
        let mut zlib = Decompress::new(false);
        let mut frames = Vec::new();
        loop {
            let start = wire.position() as usize;
            let Some((header, len)) = FrameHeader::parse(&mut wire).expect("a header of a server") else {
                return (frames, &self.heard[start..]);
            };
            assert!(header.is_final && header.mask.is_none() && !header.rsv2 && !header.rsv3, "{header:?}");
            let begin = wire.position() as usize;
            let Some(payload) = self.heard[begin..].get(..len as usize) else {
                return (frames, &self.heard[start..]);
            };
            wire.set_position(begin as u64 + len);
            let payload = match header.rsv1 {
                true => inflate(&mut zlib, payload, agreed.expect("agreed to")),
                false => payload.to_vec(),
            };
            frames.push(Heard { opcode: header.opcode.into(), payload });
        }
    }
}

/// A message of the server, as another zlib reads it.
fn inflate(zlib: &mut Decompress, payload: &[u8], agreed: &Agreed) -> Vec<u8> {
    if agreed.server_no_context_takeover {
        zlib.reset(false);
    }
    // RFC 7692 §7.2.2: append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload.
    let input = [payload, &[0x00, 0x00, 0xFF, 0xFF]].concat();
    let mut message = Vec::with_capacity(4 * payload.len() + 64);
    let before = zlib.total_in();
    loop {
        let read = (zlib.total_in() - before) as usize;
        if read == input.len() && message.len() < message.capacity() {
            return message;
        }
        message.reserve(message.capacity());
        zlib.decompress_vec(&input[read..], &mut message, FlushDecompress::Sync).expect("compressed data");
    }
}
