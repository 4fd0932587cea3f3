//! What a client compresses, whichever way it is cut (RFC 7692 §7.2.2): never more than the limit, and what miniz_oxide makes of it.

use super::receive::decompressor;
use super::seen::{Seen, receive};
use super::{Cuts, Target};
use crate::websocket::inflate::{Decompressor, Inflater};
use crate::websocket::mask::unmask;
use crate::websocket::{Payload, ProtocolError};
use arbitrary::Arbitrary;
use flate2::{Decompress, FlushDecompress, Status};

/// Compressed messages of a client, in fragments.
#[derive(Arbitrary, Debug)]
pub struct Inflation<'a> {
    /// What was agreed to: context takeover, and window bits.
    agreed: u8,
    /// Bytes that a message may have.
    limit: u16,
    cuts: Cuts,
    /// The messages: one of so many bytes as its first byte says, 0xFF for all that is left.
    messages: &'a [u8],
}

impl<'a> Target<'a> for Inflation<'a> {
    fn play(self) {
        let limit = usize::from(self.limit) * 4;
        let messages = split(self.messages);
        let mut ours = self.decompressor();
        let mut other = Some(Decompress::new(false));
        let mut inflater = Inflater::default();
        let mut expected = Vec::new();
        for compressed in &messages {
            if compressed.len() > limit {
                // The receiver does not even try.
                expected.push(Seen::Failed(ProtocolError::MessageTooBig));
                break;
            }
            let message = ours.decompress(&mut inflater, compressed, limit).map(Payload::into_vec);
            if self.agreed & 2 != 0 {
                other = Some(Decompress::new(false));
            }
            compare(&mut other, compressed, limit, &message);
            match message {
                Ok(message) => expected.push(Seen::Binary(message)),
                Err(error) => {
                    expected.push(Seen::Failed(error));
                    break;
                }
            }
        }
        let wire: Vec<u8> = messages.iter().flat_map(|message| frames(&self.cuts.pieces(message))).collect();
        let seen = receive(self.cuts.pieces(&wire), limit, Some(self.decompressor()));
        assert_eq!(seen, expected, "in fragments and pieces");
    }
}

impl Inflation<'_> {
    fn decompressor(&self) -> Decompressor {
        decompressor(self.agreed | 1).expect("compression is agreed to")
    }
}

/// Compares our result with that of a zlib of other people's, as long as there is one: in front of what comes behind a final block it
/// forgets its window.
fn compare(
    zlib: &mut Option<Decompress>,
    compressed: &[u8],
    limit: usize,
    ours: &Result<Vec<u8>, ProtocolError>,
) {
    if zlib.is_none() {
        return;
    }
    let theirs = inflate(zlib, compressed, limit);
    match ours {
        Ok(ours) => {
            assert!(ours.len() <= limit);
            assert_eq!(theirs.as_ref(), Some(ours), "another zlib reads something else");
        }
        Err(ProtocolError::MessageTooBig) => {
            // It may have looked further, and found it broken.
            assert!(theirs.is_none_or(|theirs| theirs.len() > limit), "another zlib finds it smaller");
        }
        Err(ProtocolError::InvalidCompressedData) => {}
        Err(other) => panic!("{other:?}"),
    }
}

/// What another zlib makes of a message, as far as `limit` and a byte; `None` when it takes it for broken.
fn inflate(zlib: &mut Option<Decompress>, compressed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(limit + 1);
    // RFC 7692 §7.2.2: append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload. There are clients that send them.
    let is_sent = compressed.is_empty() || compressed.ends_with(&TAIL);
    let input = [compressed, if is_sent { &[] } else { &TAIL[..] }].concat();
    let mut read = 0;
    let stream = zlib.as_mut()?;
    loop {
        let before = stream.total_in();
        let status = stream.decompress_vec(&input[read..], &mut message, FlushDecompress::Sync).ok()?;
        read += (stream.total_in() - before) as usize;
        if status == Status::StreamEnd {
            *zlib = None;
            return Some(message);
        }
        if message.len() > limit || read == input.len() {
            return Some(message);
        }
    }
}

/// The messages in `bytes`.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let [len, rest @ ..] = bytes {
        let len = if *len == 0xFF { rest.len() } else { rest.len().min((*len).into()) };
        let (message, rest) = rest.split_at(len);
        messages.push(message);
        bytes = rest;
    }
    messages
}

/// A compressed binary message in these fragments.
fn frames(fragments: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (at, fragment) in fragments.iter().enumerate() {
        let fin = if at + 1 == fragments.len() { 0x80 } else { 0 };
        wire.push(fin | if at == 0 { 0x42 } else { 0 }); // FIN, RSV1 BINARY or CONTINUATION
        wire.push(0xFF); // MASK, 64-bit length
        wire.extend((fragment.len() as u64).to_be_bytes());
        wire.extend(KEY);
        let start = wire.len();
        wire.extend(*fragment);
        unmask(&mut wire[start..], KEY, 0);
    }
    wire
}

const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
