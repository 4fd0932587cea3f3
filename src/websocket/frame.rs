//! Opcodes, and the frames a server sends (§5.2): never fragmented, never masked, lengths minimal.

use std::ops::Deref;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0,
    /// A text message, or its first fragment.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// The close frame.
    Close = 8,
    /// A ping; owed a pong with the same payload.
    Ping = 9,
    /// A pong, asked for or not.
    Pong = 10,
}

impl Opcode {
    /// The opcode of the low four bits of a frame's first byte; `None` for the reserved ones.
    pub const fn from_u8(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Continuation),
            1 => Some(Self::Text),
            2 => Some(Self::Binary),
            8 => Some(Self::Close),
            9 => Some(Self::Ping),
            10 => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether frames of this opcode are control frames: never fragmented, at most 125 bytes (§5.5).
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// An encoded header on the stack, for vectored writes: `[&header, payload]`.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    bytes: [u8; MAX_SERVER_HEADER],
    len: u8,
}

impl Deref for Header {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Encodes the header of a server frame that is a whole message: FIN set, no mask, minimal length.
pub fn encode_header(opcode: Opcode, payload_len: usize, rsv1: bool) -> Header {
    let mut bytes = [0; MAX_SERVER_HEADER];
    bytes[0] = FIN | if rsv1 { RSV1 } else { 0 } | opcode as u8;
    // §5.2: the minimal number of bytes MUST be used to encode the length.
    let len = match payload_len {
        0..=MAX_CONTROL_PAYLOAD => {
            bytes[1] = payload_len as u8;
            2
        }
        126..=0xFFFF => {
            bytes[1] = LENGTH_16;
            bytes[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
            4
        }
        _ => {
            bytes[1] = LENGTH_64;
            bytes[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
            10
        }
    };
    Header { bytes, len }
}

/// Appends the header that [`encode_header`] describes; `payload_len` bytes of payload must follow.
pub fn write_header(out: &mut Vec<u8>, opcode: Opcode, payload_len: usize, rsv1: bool) {
    out.extend_from_slice(&encode_header(opcode, payload_len, rsv1));
}

/// Appends a whole, uncompressed frame.
pub fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let header = encode_header(opcode, payload.len(), false);
    out.reserve(header.len() + payload.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
}

/// Bytes of the longest header: two, a 64-bit length and a masking key, which only a client sends.
pub const MAX_HEADER: usize = 14;

/// Bytes of the longest header a server sends: two and a 64-bit length.
pub(super) const MAX_SERVER_HEADER: usize = 10;

/// Bytes a control frame may carry, and the largest length that needs no extended length (§5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// First byte: the last (or only) fragment of a message.
pub(super) const FIN: u8 = 0x80;
/// First byte: the message is compressed (RFC 7692 §6).
pub(super) const RSV1: u8 = 0x40;
/// First byte: reserved, no extension of ours uses them.
pub(super) const RSV2_RSV3: u8 = 0x30;
/// Second byte: a masking key and a masked payload follow.
pub(super) const MASK: u8 = 0x80;
/// Second byte, low seven bits: a 16-bit length follows.
pub(super) const LENGTH_16: u8 = 126;
/// Second byte, low seven bits: a 64-bit length follows.
pub(super) const LENGTH_64: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use tokio_tungstenite::tungstenite::{
        Message,
        protocol::{Role, WebSocket},
    };

    #[test]
    fn a_header_has_fin_no_mask_and_the_shortest_length() {
        let header = |opcode, len, rsv1| encode_header(opcode, len, rsv1).to_vec();
        assert_eq!(header(Opcode::Text, 0, false), [0x81, 0]);
        assert_eq!(header(Opcode::Binary, 125, false), [0x82, 125]);
        assert_eq!(header(Opcode::Text, 126, true), [0xC1, 126, 0, 126]);
        assert_eq!(header(Opcode::Text, 0xFFFF, false), [0x81, 126, 0xFF, 0xFF]);
        assert_eq!(header(Opcode::Binary, 0x1_0000, false), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(header(Opcode::Pong, 3, false), [0x8A, 3]);
    }

    #[test]
    fn an_opcode_survives_the_wire_and_reserved_ones_are_none() {
        let known = [0, 1, 2, 8, 9, 10];
        for bits in 0..=255 {
            assert_eq!(
                Opcode::from_u8(bits).map(|opcode| opcode as u8),
                known.contains(&bits).then_some(bits)
            );
        }
        assert!(Opcode::Close.is_control() && Opcode::Ping.is_control() && Opcode::Pong.is_control());
        assert!(
            !Opcode::Continuation.is_control() && !Opcode::Text.is_control() && !Opcode::Binary.is_control()
        );
    }

    #[test]
    fn tungstenite_reads_every_length_class() {
        let mut wire = Vec::new();
        let payloads: Vec<Vec<u8>> =
            [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000, 200_000].map(|len| vec![b'x'; len]).into();
        for payload in &payloads {
            write_header(&mut wire, Opcode::Binary, payload.len(), false);
            wire.extend_from_slice(payload);
            write_frame(&mut wire, Opcode::Text, payload);
        }
        write_frame(&mut wire, Opcode::Ping, b"are you there");

        let mut client = WebSocket::from_raw_socket(Cursor::new(wire), Role::Client, None);
        for payload in payloads {
            assert_eq!(client.read().unwrap(), Message::binary(payload.clone()));
            assert_eq!(client.read().unwrap(), Message::text(String::from_utf8(payload).unwrap()));
        }
        assert_eq!(client.read().unwrap(), Message::Ping("are you there".into()));
    }
}
