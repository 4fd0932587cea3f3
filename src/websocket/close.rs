//! The closing handshake: ready states, status codes and close frames (§5.5.1, §7.1.5–6, §7.4).

use super::error::ProtocolError;
use super::frame::{self, MAX_CONTROL_PAYLOAD, Opcode};

/// Where a connection is in its life, with the numbers of the browser API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReadyState {
    /// The opening handshake is not finished.
    Connecting = 0,
    /// Messages go both ways.
    Open = 1,
    /// A close frame was sent, the connection is not closed yet.
    Closing = 2,
    /// Closed.
    Closed = 3,
}

impl ReadyState {
    /// The number JS sees.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// Whether data may be sent. §5.5.1: MUST NOT send any more data frames after sending a close frame.
    pub const fn can_send(self) -> bool {
        matches!(self, Self::Open)
    }
}

/// Whether a peer may send `code` in a close frame: 1000-1003, 1007-1014 and 3000-4999 (§7.4, and what IANA added).
pub const fn is_valid_received(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The status code and reason of a close frame's payload; `None` when it is empty.
///
/// The code is judged before the reason: a close frame with both wrong fails with [`ProtocolError::InvalidCloseCode`].
pub fn parse_close(payload: &[u8]) -> Result<Option<(u16, &str)>, ProtocolError> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        // §5.5.1: if there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer.
        [_] => return Err(ProtocolError::InvalidClosePayload),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !is_valid_received(code) {
        return Err(ProtocolError::InvalidCloseCode);
    }
    let reason = simdutf8::basic::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
    Ok(Some((code, reason)))
}

/// Appends a close frame with the low 16 bits of `code`, whatever they are, and `reason`, which [`truncate_reason`] has
/// seen.
///
/// When those bits are 0, 1005 or 1006 the frame is empty, and the reason is dropped.
pub fn write_close(out: &mut Vec<u8>, code: i32, reason: &str) {
    debug_assert!(reason.len() <= MAX_REASON, "an untruncated close reason");
    let code = code as u16;
    // §7.4.1: 1005 and 1006 MUST NOT be set as a status code in a Close control frame by an endpoint.
    if matches!(code, 0 | NO_STATUS_RECEIVED | ABNORMAL_CLOSURE) {
        frame::write_header(out, Opcode::Close, 0, false);
        return;
    }
    frame::write_header(out, Opcode::Close, 2 + reason.len(), false);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// As much of `reason` as fits a close frame, 123 bytes, cut between two characters.
pub fn truncate_reason(reason: &str) -> &str {
    if reason.len() <= MAX_REASON {
        return reason;
    }
    let end = (0..=MAX_REASON).rev().find(|&end| reason.is_char_boundary(end)).unwrap_or(0);
    &reason[..end]
}

/// The code reported for a close frame without one. Never sent.
pub const NO_STATUS_RECEIVED: u16 = 1005;

/// The code reported for a connection that ended without a close frame. Never sent.
pub const ABNORMAL_CLOSURE: u16 = 1006;

/// Bytes of a reason: what a control frame may carry without the status code.
pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use tokio_tungstenite::tungstenite::{
        Message,
        protocol::{Role, WebSocket},
    };

    fn close(code: i32, reason: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_close(&mut out, code, reason);
        out
    }

    #[test]
    fn a_peer_may_send_exactly_these_codes() {
        let valid: Vec<u16> = (0..=u16::MAX).filter(|&code| is_valid_received(code)).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(valid, expected);
    }

    #[test]
    fn a_payload_is_nothing_or_a_code_and_a_reason() {
        assert_eq!(parse_close(b""), Ok(None));
        assert_eq!(parse_close(b"\x03\xE8"), Ok(Some((1000, ""))));
        assert_eq!(parse_close(b"\x0F\xA0bye"), Ok(Some((4000, "bye"))));
    }

    #[test]
    fn a_payload_of_one_byte_is_an_error() {
        assert_eq!(parse_close(b"\x03"), Err(ProtocolError::InvalidClosePayload));
    }

    #[test]
    fn a_wrong_code_is_found_before_a_wrong_reason() {
        assert_eq!(parse_close(b"\x03\xE7\xFF"), Err(ProtocolError::InvalidCloseCode)); // 999
        assert_eq!(parse_close(b"\x03\xED\xFF"), Err(ProtocolError::InvalidCloseCode)); // 1005
        assert_eq!(parse_close(b"\x03\xE8\xFF"), Err(ProtocolError::InvalidUtf8)); // 1000
    }

    #[test]
    fn the_wire_has_the_low_16_bits_of_any_code() {
        assert_eq!(close(1000, "ok"), *b"\x88\x04\x03\xE8ok");
        assert_eq!(close(999, ""), *b"\x88\x02\x03\xE7");
        assert_eq!(close(1015, ""), *b"\x88\x02\x03\xF7");
        assert_eq!(close(70000, ""), *b"\x88\x02\x11\x70"); // 4464
        assert_eq!(close(-1, "x"), *b"\x88\x03\xFF\xFFx");
        assert_eq!(close(i32::MIN + 1000, ""), *b"\x88\x02\x03\xE8");
    }

    #[test]
    fn codes_that_stand_for_none_make_an_empty_frame_and_drop_the_reason() {
        for code in [0, 1005, 1006, 65536, 65536 + 1005, 65536 + 1006, i32::MIN] {
            assert_eq!(close(code, "dropped"), *b"\x88\x00", "{code}");
        }
    }

    #[test]
    fn a_reason_is_cut_at_123_bytes_between_two_characters() {
        let a = |n| "a".repeat(n);
        assert_eq!(truncate_reason(""), "");
        assert_eq!(truncate_reason(&a(123)), a(123));
        assert_eq!(truncate_reason(&a(124)), a(123));
        assert_eq!(truncate_reason(&(a(122) + "é")), a(122)); // the é is bytes 123 and 124
        assert_eq!(truncate_reason(&(a(121) + "é")), a(121) + "é");
        assert_eq!(truncate_reason(&"\u{1F600}".repeat(31)), "\u{1F600}".repeat(30)); // 4 bytes each
        assert_eq!(close(1000, truncate_reason(&a(500))).len(), 2 + 125);
    }

    #[test]
    fn tungstenite_reads_the_close_frame() {
        let mut client = WebSocket::from_raw_socket(Cursor::new(close(4001, "grüße")), Role::Client, None);
        let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("not a close frame") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "grüße"));
    }

    #[test]
    fn only_an_open_socket_can_send() {
        use ReadyState::*;
        assert_eq!([Connecting, Open, Closing, Closed].map(ReadyState::as_u8), [0, 1, 2, 3]);
        assert_eq!(
            [Connecting, Open, Closing, Closed].map(ReadyState::can_send),
            [false, true, false, false]
        );
    }
}
