//! The protocol errors of a client: one table gives each its status code, its string code and its text. Wire, JS and
//! README all use it.

use std::fmt;

/// What a client did wrong; ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolError {
    /// A client frame without a mask (§5.1).
    IncorrectlyMasked,
    /// RSV1 where no extension gives it a meaning: nothing agreed, a control frame, a continuation (§5.2, RFC 7692 §6).
    UnexpectedRsv1,
    /// RSV2 or RSV3, which no extension of ours uses (§5.2).
    UnexpectedRsv23,
    /// One of the reserved opcodes 3-7 and 11-15 (§5.2).
    InvalidOpcode,
    /// A control frame with FIN clear (§5.5).
    FragmentedControlFrame,
    /// A control frame with more than 125 bytes of payload (§5.5).
    ControlFrameTooBig,
    /// A continuation frame with nothing to continue (§5.4).
    UnexpectedContinuation,
    /// A new text or binary frame before the fragmented message was finished (§5.4).
    UnfinishedMessage,
    /// A message larger than `maxPayloadLength`, or a length of 2^63 and more (§5.2).
    MessageTooBig,
    /// Text or a close reason that is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A compressed message that does not inflate (RFC 7692 §7.2.2).
    InvalidCompressedData,
    /// A close frame with a payload of one byte (§5.5.1).
    InvalidClosePayload,
    /// A close frame with a status code that must not be sent (§7.4).
    InvalidCloseCode,
    /// No memory for a message within the limit; the one row that is not the client's fault (§7.4.1).
    OutOfMemory,
}

impl ProtocolError {
    /// The status code of the close frame that answers it.
    pub fn status_code(self) -> u16 {
        self.row().0
    }

    /// The string code, stable for programs to compare: `"WS_ERR_INVALID_UTF8"`.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    /// The reason, as the close frame and the `close` handler give it.
    pub fn reason(self) -> &'static str {
        self.row().2
    }

    #[rustfmt::skip] // a table: one row, one line
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::IncorrectlyMasked      => (1002, "WS_ERR_INCORRECTLY_MASKED", "Received an incorrectly masked frame"),
            Self::UnexpectedRsv1         => (1002, "WS_ERR_UNEXPECTED_RSV_1", "Received unexpected RSV1 bit"),
            Self::UnexpectedRsv23        => (1002, "WS_ERR_UNEXPECTED_RSV_2_3", "Received unexpected RSV2 or RSV3 bit"),
            Self::InvalidOpcode          => (1002, "WS_ERR_INVALID_OPCODE", "Received invalid opcode"),
            Self::FragmentedControlFrame => (1002, "WS_ERR_FRAGMENTED_CONTROL_FRAME", "Received fragmented control frame"),
            Self::ControlFrameTooBig     => (1002, "WS_ERR_CONTROL_FRAME_TOO_BIG", "Received too big control frame"),
            Self::UnexpectedContinuation => (1002, "WS_ERR_UNEXPECTED_CONTINUATION", "Received continuation frame outside a fragmented message"),
            Self::UnfinishedMessage      => (1002, "WS_ERR_UNFINISHED_MESSAGE", "Received new message inside a fragmented message"),
            Self::MessageTooBig          => (1009, "WS_ERR_MESSAGE_TOO_BIG", "Received too big message"),
            Self::InvalidUtf8            => (1007, "WS_ERR_INVALID_UTF8", "Received invalid UTF-8"),
            Self::InvalidCompressedData  => (1007, "WS_ERR_INVALID_COMPRESSED_DATA", "Received invalid compressed data"),
            Self::InvalidClosePayload    => (1002, "WS_ERR_INVALID_CLOSE_PAYLOAD", "Received invalid close payload"),
            Self::InvalidCloseCode       => (1002, "WS_ERR_INVALID_CLOSE_CODE", "Received invalid close code"),
            Self::OutOfMemory            => (1011, "WS_ERR_OUT_OF_MEMORY", "Out of memory"),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for ProtocolError {}

#[cfg(test)]
mod tests {
    use super::ProtocolError::*;
    use crate::websocket::close;

    const ALL: [super::ProtocolError; 14] = [
        IncorrectlyMasked,
        UnexpectedRsv1,
        UnexpectedRsv23,
        InvalidOpcode,
        FragmentedControlFrame,
        ControlFrameTooBig,
        UnexpectedContinuation,
        UnfinishedMessage,
        MessageTooBig,
        InvalidUtf8,
        InvalidCompressedData,
        InvalidClosePayload,
        InvalidCloseCode,
        OutOfMemory,
    ];

    #[test]
    fn every_error_has_a_code_and_a_text_of_its_own() {
        for (i, a) in ALL.iter().enumerate() {
            assert!(a.code().starts_with("WS_ERR_"), "{a:?}");
            for b in &ALL[..i] {
                assert_ne!(a.code(), b.code());
                assert_ne!(a.reason(), b.reason());
            }
        }
    }

    #[test]
    fn every_error_can_be_told_to_the_peer() {
        for error in ALL {
            assert!(close::is_valid_received(error.status_code()), "{error:?}");
            assert_eq!(close::truncate_reason(error.reason()), error.reason());
        }
    }

    #[test]
    fn an_error_displays_as_its_reason() {
        assert_eq!(MessageTooBig.to_string(), "Received too big message");
    }
}
