//! What a WebSocket client says, whichever way it is cut (RFC 6455 §5).

use super::reader::read;
use super::seen::receive;
use super::{Cuts, Target};
use crate::websocket::{Agreed, Decompressor};
use arbitrary::Arbitrary;

/// The bytes of a client, in pieces.
#[derive(Arbitrary, Debug)]
pub struct Receive<'a> {
    /// What was agreed to: see [`decompressor`].
    agreed: u8,
    /// Which of [`LIMITS`].
    limit: u8,
    cuts: Cuts,
    wire: &'a [u8],
}

impl<'a> Target<'a> for Receive<'a> {
    fn play(self) {
        let Self { agreed, limit, cuts, wire } = self;
        let limit = LIMITS[usize::from(limit) % LIMITS.len()];
        let expected = read(wire, limit, decompressor(agreed));
        assert_eq!(receive([wire], limit, decompressor(agreed)), expected, "whole");
        assert_eq!(receive(cuts.pieces(wire), limit, decompressor(agreed)), expected, "in pieces");
        assert_eq!(receive(wire.chunks(1), limit, decompressor(agreed)), expected, "byte by byte");
    }
}

/// The decompressor of half of all connections; of these half have context takeover, with a window of 8 to 15 bits.
pub(super) fn decompressor(agreed: u8) -> Option<Decompressor> {
    (agreed & 1 != 0).then(|| {
        Decompressor::new(&Agreed {
            client_no_context_takeover: agreed & 2 != 0,
            client_max_window_bits: Some(8 + (agreed >> 2) % 8),
            server_no_context_takeover: true,
            server_max_window_bits: None,
            server_compresses: true,
        })
    })
}

/// `maxPayloadLength`, in bytes.
const LIMITS: [usize; 8] = [1000, 0, 125, 126, 0xFFFF, 0x1_0000, 1 << 20, usize::MAX];
