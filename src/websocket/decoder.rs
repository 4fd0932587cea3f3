//! The header of a frame a client sent (§5.2), and everything that can be wrong with it alone. Knows nothing of messages:
//! what must follow what, and how large it may be, is the receiver's.

use super::error::ProtocolError;
use super::frame::{FIN, LENGTH_16, LENGTH_64, MASK, MAX_CONTROL_PAYLOAD, Opcode, RSV1, RSV2_RSV3};

/// The header of a client frame, found to be in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) fin: bool,
    /// The message is compressed; only ever set where it was allowed.
    pub(super) rsv1: bool,
    pub(super) opcode: Opcode,
    /// What the client claims; any 64-bit number.
    pub(super) payload_len: u64,
    pub(super) key: [u8; 4],
}

impl FrameHeader {
    /// Parses the header at the start of `bytes` and tells its length; `None` when there is more of it to come.
    ///
    /// `rsv1_allowed` says whether a message may be compressed (RFC 7692 §6). An error is found with the second byte, so
    /// however the bytes are split, of several errors it is the same one: the order is Bun's.
    pub(super) fn parse(bytes: &[u8], rsv1_allowed: bool) -> Result<Option<(Self, usize)>, ProtocolError> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        // §5.1: the server MUST close the connection upon receiving a frame that is not masked.
        if second & MASK == 0 {
            return Err(ProtocolError::IncorrectlyMasked);
        }
        let opcode = Opcode::from_u8(first & 0x0F);
        let rsv1 = first & RSV1 != 0;
        // RFC 7692 §6.1: RSV1 is the first fragment's. §5.2: MUST be 0 unless an extension defines a meaning.
        if rsv1 && !(rsv1_allowed && matches!(opcode, Some(Opcode::Text | Opcode::Binary))) {
            return Err(ProtocolError::UnexpectedRsv1);
        }
        if first & RSV2_RSV3 != 0 {
            return Err(ProtocolError::UnexpectedRsv23);
        }
        let opcode = opcode.ok_or(ProtocolError::InvalidOpcode)?;
        let fin = first & FIN != 0;
        let length = second & !MASK;
        // §5.5: control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented.
        if opcode.is_control() {
            if !fin {
                return Err(ProtocolError::FragmentedControlFrame);
            }
            if usize::from(length) > MAX_CONTROL_PAYLOAD {
                return Err(ProtocolError::ControlFrameTooBig);
            }
        }
        // §5.2 wants the minimal length; Bun takes any, and it means the same.
        let (payload_len, rest) = match length {
            LENGTH_16 => match rest.split_first_chunk() {
                Some((length, rest)) => (u16::from_be_bytes(*length).into(), rest),
                None => return Ok(None),
            },
            LENGTH_64 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            length => (length.into(), rest),
        };
        let Some((&key, rest)) = rest.split_first_chunk() else { return Ok(None) };
        Ok(Some((Self { fin, rsv1, opcode, payload_len, key }, bytes.len() - rest.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::MAX_HEADER;
    use super::*;
    use ProtocolError::*;

    fn parse(bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, ProtocolError> {
        FrameHeader::parse(bytes, false)
    }

    #[test]
    fn a_header_is_two_bytes_a_length_and_a_key() {
        // FIN TEXT, MASK 5, key 37FA213D, then payload
        let (header, len) = parse(b"\x81\x85\x37\xFA\x21\x3Dpayload").unwrap().unwrap();
        assert_eq!(len, 6);
        assert_eq!((header.fin, header.opcode, header.payload_len), (true, Opcode::Text, 5));
        assert_eq!(header.key, [0x37, 0xFA, 0x21, 0x3D]);
        // BINARY without FIN, MASK 126, length 0x0102, key
        let (header, len) = parse(b"\x02\xFE\x01\x02\x01\x02\x03\x04").unwrap().unwrap();
        assert_eq!((len, header.fin, header.opcode, header.payload_len), (8, false, Opcode::Binary, 0x0102));
        // FIN CONTINUATION, MASK 127, length 2^64 - 1, key
        let (header, len) =
            parse(b"\x80\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x02\x03\x04").unwrap().unwrap();
        assert_eq!((len, header.opcode, header.payload_len), (MAX_HEADER, Opcode::Continuation, u64::MAX));
    }

    #[test]
    fn a_header_cut_anywhere_is_not_there_yet() {
        for whole in [
            &b"\x81\x85\x37\xFA\x21\x3D"[..],
            b"\x82\xFE\x01\x02\x37\xFA\x21\x3D",
            b"\x80\xFF\0\0\0\0\0\x01\x02\x03\x37\xFA\x21\x3D",
        ] {
            for cut in 0..whole.len() {
                assert_eq!(parse(&whole[..cut]), Ok(None), "{cut} of {whole:02X?}");
            }
            assert_eq!(parse(whole).unwrap().unwrap().1, whole.len());
        }
    }

    #[test]
    fn lengths_need_not_be_minimal_except_in_control_frames() {
        let length = |bytes: &[u8]| parse(bytes).map(|header| header.unwrap().0.payload_len);
        assert_eq!(length(b"\x81\xFE\0\x05\0\0\0\0"), Ok(5));
        assert_eq!(length(b"\x81\xFF\0\0\0\0\0\0\0\x05\0\0\0\0"), Ok(5));
        assert_eq!(length(b"\x89\xFE\0\x05\0\0\0\0"), Err(ControlFrameTooBig));
    }

    #[test]
    fn rsv1_is_for_the_first_frame_of_a_message_where_it_is_allowed() {
        for first in 0xC0..=0xCF {
            let text_or_binary = matches!(first, 0xC1 | 0xC2);
            let parsed = FrameHeader::parse(&[first, 0x80, 0, 0, 0, 0], true);
            assert_eq!(parsed.is_ok(), text_or_binary, "{first:02X}");
            assert_eq!(parsed.err(), (!text_or_binary).then_some(UnexpectedRsv1), "{first:02X}");
            assert_eq!(parse(&[first, 0x80]), Err(UnexpectedRsv1), "{first:02X}");
        }
    }

    /// Every first byte, masked or not, with every length: what Bun 1.4.5 answers, in its order of precedence.
    #[test]
    fn of_several_errors_it_finds_the_one_that_bun_finds() {
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                let (control, known) = (first & 0x08 != 0, matches!(first & 0x0F, 0..=2 | 8..=10));
                let expected = [
                    (second & 0x80 == 0, IncorrectlyMasked),
                    (first & 0x40 != 0, UnexpectedRsv1),
                    (first & 0x30 != 0, UnexpectedRsv23),
                    (!known, InvalidOpcode),
                    (control && first & 0x80 == 0, FragmentedControlFrame),
                    (control && second & 0x7F > 125, ControlFrameTooBig),
                ];
                let expected = expected.into_iter().find_map(|(wrong, error)| wrong.then_some(error));
                assert_eq!(parse(&[first, second]).err(), expected, "{first:02X} {second:02X}");
            }
        }
    }
}
