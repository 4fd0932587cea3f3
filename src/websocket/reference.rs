//! What the tests of compression measure by: DEFLATE (RFC 1951) decompressed bit by bit, by nobody's tables but the RFC's, and messages
//! to compress.

use std::collections::HashMap;

/// Appends what the blocks of `compressed` say to `said`, all of which they may refer to. Returns the largest distance that they go back.
/// Panics where the RFC is broken, and when anything is left over.
pub(crate) fn inflate(compressed: &[u8], said: &mut Vec<u8>) -> usize {
    let mut bits = Bits { bytes: compressed, at: 0 };
    let mut farthest = 0;
    while bits.at < 8 * compressed.len() {
        let is_final = bits.take(1) == 1;
        match bits.take(2) {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let len = bits.take(16);
                assert_eq!(bits.take(16), !len & 0xFFFF, "the complement of the length");
                said.extend((0..len).map(|_| bits.take(8) as u8));
            }
            1 => {
                let literals: Vec<u8> = [(144, 8), (112, 9), (24, 7), (8, 8)]
                    .iter()
                    .flat_map(|&(count, len)| vec![len; count])
                    .collect();
                farthest = farthest.max(block(&mut bits, said, &code(&literals), &code(&[5; 30])));
            }
            2 => {
                let (literals, distances) = (257 + bits.take(5), 1 + bits.take(5));
                let mut of_lengths = [0; 19];
                let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
                for &symbol in &order[..4 + bits.take(4)] {
                    of_lengths[symbol] = bits.take(3) as u8;
                }
                let (of_lengths, mut lengths) = (code(&of_lengths), Vec::new());
                while lengths.len() < literals + distances {
                    match bits.symbol(&of_lengths) {
                        16 => {
                            let last = *lengths.last().expect("a length to repeat");
                            (0..3 + bits.take(2)).for_each(|_| lengths.push(last));
                        }
                        17 => (0..3 + bits.take(3)).for_each(|_| lengths.push(0)),
                        18 => (0..11 + bits.take(7)).for_each(|_| lengths.push(0)),
                        length => lengths.push(length as u8),
                    }
                }
                assert_eq!(lengths.len(), literals + distances);
                let (literals, distances) = lengths.split_at(literals);
                farthest = farthest.max(block(&mut bits, said, &code(literals), &code(distances)));
            }
            _ => panic!("a reserved block type"),
        }
        if is_final {
            bits.at = bits.at.next_multiple_of(8);
            assert_eq!(bits.at, 8 * compressed.len(), "bytes behind the final block");
        }
    }
    farthest
}

/// The symbols of one block (RFC 1951 §3.2.5).
fn block(bits: &mut Bits<'_>, said: &mut Vec<u8>, literals: &Code, distances: &Code) -> usize {
    let mut farthest = 0;
    loop {
        match bits.symbol(literals) {
            literal @ 0..256 => said.push(literal as u8),
            256 => return farthest,
            285 => farthest = farthest.max(copy(bits, said, 258, distances)),
            symbol => {
                // Groups of four lengths, with as many more bits as the group's number; the first two have none.
                let (group, nth) = ((symbol - 257) / 4, (symbol - 257) % 4);
                let extra = usize::saturating_sub(group, 1);
                let base = if group < 2 { symbol - 254 } else { 3 + ((4 + nth) << extra) };
                let len = base + bits.take(extra);
                farthest = farthest.max(copy(bits, said, len, distances));
            }
        }
    }
}

fn copy(bits: &mut Bits<'_>, said: &mut Vec<u8>, len: usize, distances: &Code) -> usize {
    let symbol = bits.symbol(distances);
    let extra = usize::saturating_sub(symbol / 2, 1);
    let base = if symbol < 4 { symbol + 1 } else { 1 + ((2 + symbol % 2) << extra) };
    let distance = base + bits.take(extra);
    for _ in 0..len {
        said.push(said[said.len().checked_sub(distance).expect("a distance within what was said")]);
    }
    distance
}

struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    /// A number, its lowest bit first.
    fn take(&mut self, count: usize) -> usize {
        let mut number = 0;
        for i in 0..count {
            number |= usize::from(self.bytes[self.at / 8] >> (self.at % 8) & 1) << i;
            self.at += 1;
        }
        number
    }

    /// A symbol of a Huffman code, whose highest bit comes first.
    fn symbol(&mut self, code: &Code) -> usize {
        let mut bits = 0;
        for length in 1..=15 {
            bits = bits << 1 | self.take(1);
            if let Some(&symbol) = code.get(&(length, bits)) {
                return symbol;
            }
        }
        panic!("no symbol has this code");
    }
}

/// The symbols of a Huffman code by the length and the bits of their codes.
type Code = HashMap<(u8, usize), usize>;

/// The code whose symbols have these lengths (RFC 1951 §3.2.2).
fn code(lengths: &[u8]) -> Code {
    let (mut code, mut next) = (Code::new(), 0);
    for length in 1..=15 {
        next <<= 1;
        for symbol in (0..lengths.len()).filter(|&symbol| lengths[symbol] == length) {
            code.insert((length, next), symbol);
            next += 1;
        }
    }
    code
}

/// xorshift64*: the same "random" numbers in every run.
#[cfg(test)]
pub(super) struct Random(pub(super) u64);

#[cfg(test)]
impl Random {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }

    /// Cuts `bytes` into pieces of up to `longest` bytes, some of them empty.
    pub(super) fn pieces<'b>(&mut self, mut bytes: &'b [u8], longest: usize) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.below(longest + 1).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }

    /// A message: JSON, noise, or one byte over and over; mostly short.
    pub(super) fn message(&mut self) -> Vec<u8> {
        let len = match self.below(16) {
            0 => 1 + self.below(5),
            1 => 1 + self.below(20_000),
            _ => 1 + self.below(600),
        };
        self.message_of(len)
    }

    pub(super) fn message_of(&mut self, len: usize) -> Vec<u8> {
        let mut message = Vec::new();
        let kind = self.below(8);
        while message.len() < len {
            match kind {
                0 => message.extend((0..32).map(|_| self.below(256) as u8)),
                1 => message.resize(len, b'x'),
                _ => {
                    let word = ["alice", "bob", "carol", "grüße", "你好"][self.below(5)];
                    let entry =
                        format!(r#"{{"id":{},"user":"{word}","ok":{}}},"#, self.below(1000), self.below(2));
                    message.extend(entry.as_bytes());
                }
            }
        }
        message.truncate(len);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    #[test]
    fn the_reference_understands_another_compressor() {
        let mut random = Random(0xDEF1A7E);
        for level in 0..=9 {
            let mut compress = Compress::new(Compression::new(level), false);
            let (mut messages, mut said) = (Vec::new(), Vec::new());
            for _ in 0..20 {
                let message = random.message();
                let mut compressed = Vec::with_capacity(message.len() * 2 + 100);
                compress.compress_vec(&message, &mut compressed, FlushCompress::Sync).unwrap();
                inflate(&compressed, &mut said);
                messages.extend(message);
            }
            assert!(said == messages, "level {level}");
        }
    }
}
