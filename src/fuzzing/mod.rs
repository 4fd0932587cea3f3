//! What the targets of `fuzz/` do with their inputs: play them against the code, and against something plainer or made by others. Where
//! the two differ, they panic.
//!
//! | target | plays | against |
//! |---|---|---|
//! | [`Receive`] | bytes of a client, cut anywhere | the same bytes whole, and a reader that is all plain |
//! | [`RoundTrip`] | messages, in both directions | tungstenite and miniz_oxide |
//! | [`Extensions`] | offers of extensions | the rules of RFC 7692 §7.1, one by one |
//! | [`Inflation`] | compressed messages, cut anywhere | the same messages whole, and miniz_oxide |
//! | [`Requests`] | bytes of an HTTP client, cut anywhere | the same bytes whole, and hyper |
//! | `Subscriptions` | sockets that subscribe and go | a map of sets |
//! | `Silence` | an idle timer and its clock | when something is due |
//! | `Session` | a server and its clients, over sockets of the system | lists of what was said and heard |
//!
//! The inputs in `fuzz/corpus/` are played by the tests too, which the stable toolchain runs.

mod extensions;
mod inflation;
#[cfg(all(unix, feature = "addon"))]
mod peer;
mod reader;
mod receive;
pub(crate) mod requests;
mod round_trip;
mod seen;
#[cfg(all(unix, feature = "addon"))]
mod session;
#[cfg(feature = "addon")]
mod timers;
#[cfg(feature = "addon")]
mod topics;

use arbitrary::Arbitrary;
use std::fmt::Debug;

pub use extensions::Extensions;
pub use inflation::Inflation;
pub use receive::Receive;
pub use requests::Requests;
pub use round_trip::RoundTrip;
#[cfg(all(unix, feature = "addon"))]
pub use session::Session;
#[cfg(feature = "addon")]
pub use timers::Silence;
#[cfg(feature = "addon")]
pub use topics::Subscriptions;

/// An input, which any bytes are.
pub trait Target<'a>: Arbitrary<'a> + Debug {
    /// Panics where the code is wrong.
    fn play(self);
}

/// Where bytes are cut: the lengths of the pieces, over and over.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Cuts([u8; 4]);

impl Cuts {
    fn pieces<'b>(&self, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        if self.0 != [0; 4] {
            for len in self.0.into_iter().cycle().take(MAX_CUTS) {
                if bytes.len() <= usize::from(len) {
                    break;
                }
                let (piece, rest) = bytes.split_at(len.into());
                pieces.push(piece);
                bytes = rest;
            }
        }
        pieces.push(bytes);
        pieces
    }
}

/// So that a long message does not take long.
const MAX_CUTS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use arbitrary::Unstructured;
    use std::fs;
    use std::panic::catch_unwind;
    use std::path::Path;

    /// Plays every input of a target's corpus, as the fuzzer does.
    fn play_corpus(target: &str, play: fn(Unstructured<'_>)) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut count = 0;
        for file in fs::read_dir(corpus).unwrap() {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let played = catch_unwind(|| play(Unstructured::new(&bytes)));
            assert!(played.is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count > 0);
    }

    fn input<'a, T: Target<'a>>(bytes: Unstructured<'a>) -> T {
        T::arbitrary_take_rest(bytes).expect("any bytes are an input")
    }

    #[test]
    fn the_corpus_of_receive() {
        play_corpus("receive", |bytes| input::<Receive<'_>>(bytes).play());
    }

    #[test]
    fn the_corpus_of_round_trip() {
        play_corpus("round_trip", |bytes| input::<RoundTrip<'_>>(bytes).play());
    }

    #[test]
    fn the_corpus_of_extensions() {
        play_corpus("extensions", |bytes| input::<Extensions<'_>>(bytes).play());
    }

    #[test]
    fn the_corpus_of_inflation() {
        play_corpus("inflation", |bytes| input::<Inflation<'_>>(bytes).play());
    }

    #[test]
    fn the_corpus_of_framing() {
        play_corpus("framing", |bytes| input::<Requests<'_>>(bytes).play());
    }

    #[test]
    #[cfg(feature = "addon")]
    fn the_corpus_of_timers() {
        play_corpus("timers", |bytes| input::<Silence>(bytes).play());
    }

    #[test]
    #[cfg(feature = "addon")]
    fn the_corpus_of_topics() {
        play_corpus("topics", |bytes| input::<Subscriptions>(bytes).play());
    }

    #[test]
    #[cfg(all(unix, feature = "addon"))]
    fn the_corpus_of_session() {
        play_corpus("session", |bytes| input::<Session<'_>>(bytes).play());
    }
}
