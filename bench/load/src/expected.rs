//! A stream that repeats itself and must arrive to the byte, so that checking it is one comparison per read.

use std::rc::Rc;

use crate::Result;
use crate::frame::hex;

/// How much of a known stream has arrived.
pub(crate) struct Expected {
    /// Over and over; clients that get the same may share it.
    stream: Rc<[u8]>,
    received: u64,
}

impl Expected {
    pub(crate) fn new(stream: impl Into<Rc<[u8]>>) -> Self {
        Self { stream: stream.into(), received: 0 }
    }

    /// Bytes that have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Takes what came next; anything but what was expected is an error that shows both.
    pub(crate) fn check(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let start = (self.received % self.stream.len() as u64) as usize;
            let (now, later) = bytes.split_at(bytes.len().min(self.stream.len() - start));
            let expected = &self.stream[start..start + now.len()];
            if now != expected {
                let at = now.iter().zip(expected).take_while(|(got, wanted)| got == wanted).count();
                let (got, wanted) = (hex(&now[at..]), hex(&expected[at..]));
                return Err(format!("byte {}: {got}instead of {wanted}", self.received + at as u64));
            }
            self.received += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_may_come_in_any_pieces_and_goes_round() {
        for size in 1..12 {
            let mut expected = Expected::new(*b"abcde");
            for piece in b"abcdeabcdeabcde".chunks(size) {
                expected.check(piece).unwrap();
            }
            assert_eq!(expected.received(), 15);
        }
    }

    #[test]
    fn what_is_lost_changed_or_swapped_shows_with_its_place() {
        let error = |bytes: &[u8]| Expected::new(*b"abcde").check(bytes).unwrap_err();
        assert_eq!(error(b"abde"), "byte 2: 64 65 instead of 63 64 ");
        assert_eq!(error(b"abcdeaa"), "byte 6: 61 instead of 62 ");
        assert!(error(b"b").starts_with("byte 0"));
    }
}
