//! RFC 6455 §5 read plainly: all the bytes of a client at once, one frame after the other. The order of the checks is the receiver's.

use super::seen::Seen;
use crate::websocket::close::{NO_STATUS_RECEIVED, is_valid_received};
use crate::websocket::{Decompressor, Inflater, ProtocolError};
use ProtocolError::*;
use std::str::Utf8Error;

/// What a client has said with `wire`, up to its first mistake or its close frame.
pub(super) fn read(wire: &[u8], limit: usize, decompressor: Option<Decompressor>) -> Vec<Seen> {
    let mut reader = Reader { rest: wire, limit, decompressor, message: None, seen: Vec::new() };
    loop {
        match reader.frame() {
            Ok(Next::Frame) => {}
            Ok(Next::Nothing) => return reader.seen,
            Err(error) => {
                reader.seen.push(Seen::Failed(error));
                return reader.seen;
            }
        }
    }
}

struct Reader<'w> {
    rest: &'w [u8],
    limit: usize,
    decompressor: Option<Decompressor>,
    message: Option<Message>,
    seen: Vec<Seen>,
}

/// A message that is not finished.
struct Message {
    is_text: bool,
    is_compressed: bool,
    payload: Vec<u8>,
}

enum Next {
    Frame,
    Nothing,
}

impl Reader<'_> {
    fn frame(&mut self) -> Result<Next, ProtocolError> {
        let &[first, second, ..] = self.rest else { return Ok(Next::Nothing) };
        let (fin, rsv1, opcode, len) = (first >= 0x80, first & 0x40 != 0, first & 0x0F, second & 0x7F);
        let is_control = opcode >= 8;
        let mistakes = [
            (second < 0x80, IncorrectlyMasked),
            (rsv1 && !(self.decompressor.is_some() && matches!(opcode, 1 | 2)), UnexpectedRsv1),
            (first & 0x30 != 0, UnexpectedRsv23),
            (!matches!(opcode, 0..=2 | 8..=10), InvalidOpcode),
            (is_control && !fin, FragmentedControlFrame),
            (is_control && len > 125, ControlFrameTooBig),
        ];
        if let Some((_, error)) = mistakes.into_iter().find(|(is_made, _)| *is_made) {
            return Err(error);
        }
        let len_bytes = match len {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.rest.len() < 2 + len_bytes + 4 {
            return Ok(Next::Nothing);
        }
        let long = self.rest[2..2 + len_bytes].iter().fold(0, |len, &byte| len << 8 | u64::from(byte));
        let len = if len_bytes > 0 { long } else { len.into() };
        let key = &self.rest[2 + len_bytes..][..4];
        let payload = &self.rest[2 + len_bytes + 4..];
        let is_whole = payload.len() as u64 >= len;
        let payload = if is_whole { &payload[..len as usize] } else { payload };
        self.rest = &self.rest[2 + len_bytes + 4 + payload.len()..];
        let payload: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        if is_control {
            return if is_whole { self.control(opcode, payload) } else { Ok(Next::Nothing) };
        }
        self.data(opcode, rsv1, len, &payload)?;
        match (is_whole, fin) {
            (true, true) => self.finish(),
            (true, false) => Ok(Next::Frame),
            (false, _) => Ok(Next::Nothing),
        }
    }

    fn control(&mut self, opcode: u8, payload: Vec<u8>) -> Result<Next, ProtocolError> {
        match opcode {
            9 => self.seen.push(Seen::Ping(payload)),
            10 => self.seen.push(Seen::Pong(payload)),
            _ => {
                self.seen.push(match payload[..] {
                    [] => Seen::Close(NO_STATUS_RECEIVED, String::new()),
                    [_] => return Err(InvalidClosePayload),
                    [high, low, ref reason @ ..] => {
                        let code = u16::from(high) << 8 | u16::from(low);
                        if !is_valid_received(code) {
                            return Err(InvalidCloseCode);
                        }
                        Seen::Close(code, str::from_utf8(reason).map_err(|_| InvalidUtf8)?.to_owned())
                    }
                });
                return Ok(Next::Nothing);
            }
        }
        Ok(Next::Frame)
    }

    /// A data frame of `len` bytes, of which these have come.
    fn data(&mut self, opcode: u8, rsv1: bool, len: u64, payload: &[u8]) -> Result<(), ProtocolError> {
        match (&self.message, opcode) {
            (None, 0) => return Err(UnexpectedContinuation),
            (Some(_), 1 | 2) => return Err(UnfinishedMessage),
            _ => {}
        }
        let message = self.message.get_or_insert_with(|| Message {
            is_text: opcode == 1,
            is_compressed: rsv1,
            payload: Vec::new(),
        });
        if len >> 63 != 0 || message.payload.len() as u128 + u128::from(len) > self.limit as u128 {
            return Err(MessageTooBig);
        }
        message.payload.extend(payload);
        if message.is_text && !message.is_compressed {
            let is_wrong = |error: Utf8Error| error.error_len().is_some();
            if str::from_utf8(&message.payload).is_err_and(is_wrong) {
                return Err(InvalidUtf8);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Next, ProtocolError> {
        let Some(Message { is_text, is_compressed, mut payload }) = self.message.take() else {
            unreachable!("a data frame is of a message")
        };
        if is_compressed && let Some(decompressor) = &mut self.decompressor {
            payload = decompressor.decompress(&mut Inflater::default(), &payload, self.limit)?.into_vec();
        }
        self.seen.push(match is_text {
            true => Seen::Text(String::from_utf8(payload).map_err(|_| InvalidUtf8)?),
            false => Seen::Binary(payload),
        });
        Ok(Next::Frame)
    }
}
