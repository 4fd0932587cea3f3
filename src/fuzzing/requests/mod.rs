//! What an HTTP client says, whichever way it is cut (RFC 9112), and that hyper behind the framing reads the same in it.

#[cfg(feature = "addon")]
pub(crate) mod hyper_reader;

use super::{Cuts, Target};
use crate::http::framing::{Framing, Refusal};
use arbitrary::Arbitrary;

/// The bytes of an HTTP client, in pieces.
#[derive(Arbitrary, Debug)]
pub struct Requests<'a> {
    max_content: u16,
    cuts: Cuts,
    /// How much may go on at a time; 0 for all there is.
    room: u8,
    wire: &'a [u8],
}

impl<'a> Target<'a> for Requests<'a> {
    fn play(self) {
        let Self { max_content, cuts, room, wire } = self;
        let max_content = max_content.into();
        let room = if room == 0 { usize::MAX } else { room.into() };
        let expected = follow([wire], usize::MAX, max_content);
        assert_eq!(follow(cuts.pieces(wire), usize::MAX, max_content), expected, "in pieces");
        assert_eq!(follow([wire], room, max_content), expected, "passed in pieces");
        assert_eq!(follow(wire.chunks(1), room, max_content), expected, "byte by byte");
        #[cfg(feature = "addon")]
        for pieces in [vec![wire], cuts.pieces(wire)] {
            hyper_reader::assert_reads_the_same(&hyper_reader::read(pieces, max_content), &expected, "hyper");
        }
    }
}

/// What comes of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What went on, one entry for each request that began to.
    pub(crate) passed: Vec<Vec<u8>>,
    pub(crate) targets: Vec<Vec<u8>>,
    /// Requests that went on to their end.
    pub(crate) complete: usize,
    pub(crate) refusal: Option<Refusal>,
}

/// Follows a connection whose bytes come in these pieces, with so much room for what goes on.
pub(crate) fn follow<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    room: usize,
    max_content: u64,
) -> Outcome {
    let mut framing = Framing::new(max_content);
    let mut outcome = Outcome::default();
    let mut is_within = false;
    for piece in pieces {
        let mut fresh = piece.to_vec();
        loop {
            match framing.receive(&mut fresh, room) {
                Ok([]) => break,
                Ok(passed) => {
                    assert!(passed.len() <= room, "{} bytes", passed.len());
                    if !is_within {
                        outcome.passed.push(Vec::new());
                    }
                    outcome.passed.last_mut().expect("it has begun").extend_from_slice(passed);
                }
                Err(refusal) => {
                    let later =
                        framing.receive(&mut b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), room).err();
                    assert_eq!(later, Some(refusal), "it is refused from now on");
                    outcome.refusal = Some(refusal);
                    return outcome;
                }
            }
            if !is_within {
                outcome.targets.push(framing.target().to_vec());
            }
            is_within = !framing.is_between_requests();
            if !is_within {
                outcome.complete += 1;
            }
            fresh.clear();
        }
    }
    outcome
}
