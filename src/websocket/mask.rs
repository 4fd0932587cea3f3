//! Unmasking of client payloads (§5.3).

/// Unmasks (or masks, it is the same) `payload` in place. `offset` is how many bytes of the frame's payload came before
/// it. Returns whether it is ASCII now: most text is, and then nobody need look at it again to know that it is UTF-8.
pub fn unmask(payload: &mut [u8], key: [u8; 4], offset: usize) -> bool {
    let key = rotate(key, offset);
    let [a, b, c, d] = key;
    // Eight bytes at a time is the shape that the compiler turns into whole vectors by itself.
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    let mut bits = 0;
    for bytes in words {
        let unmasked = u64::from_ne_bytes(*bytes) ^ word;
        bits |= unmasked;
        *bytes = unmasked.to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
        bits |= u64::from(*byte);
    }
    bits & HIGH_BITS == 0
}

/// Of eight bytes the bits that ASCII has not.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The key as it applies `offset` bytes further on.
pub(super) fn rotate(mut key: [u8; 4], offset: usize) -> [u8; 4] {
    key.rotate_left(offset % 4);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

    fn unmask_byte_by_byte(payload: &mut [u8], key: [u8; 4], offset: usize) {
        // §5.3: transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)
        for (i, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[(offset + i) % 4];
        }
    }

    #[test]
    fn it_does_what_byte_by_byte_does_at_every_alignment_length_and_offset() {
        let bytes: Vec<u8> = (0..=255).chain(0..=255).collect();
        for start in 0..16 {
            for len in 0..150 {
                for offset in 0..9 {
                    let (mut fast, mut plain) = (bytes.clone(), bytes.clone());
                    unmask(&mut fast[start..start + len], KEY, offset);
                    unmask_byte_by_byte(&mut plain[start..start + len], KEY, offset);
                    assert_eq!(fast, plain, "start {start}, length {len}, offset {offset}");
                }
            }
        }
    }

    #[test]
    fn it_tells_ascii_wherever_the_one_other_byte_stands() {
        for len in 0..150 {
            for offset in 0..4 {
                let masked = |other: Option<usize>| {
                    let mut payload = vec![0x7F; len];
                    if let Some(other) = other {
                        payload[other] = 0x80;
                    }
                    unmask_byte_by_byte(&mut payload, KEY, offset);
                    payload
                };
                assert!(unmask(&mut masked(None), KEY, offset), "length {len}");
                for other in 0..len {
                    assert!(!unmask(&mut masked(Some(other)), KEY, offset), "{other} of {len}");
                }
            }
        }
    }

    #[test]
    fn a_payload_may_be_unmasked_in_two_pieces_cut_anywhere() {
        let masked: Vec<u8> = (0..100).collect();
        let mut whole = masked.clone();
        unmask(&mut whole, KEY, 0);
        for cut in 0..=masked.len() {
            let mut pieces = masked.clone();
            let (first, second) = pieces.split_at_mut(cut);
            unmask(first, KEY, 0);
            unmask(second, KEY, cut);
            assert_eq!(pieces, whole, "cut at {cut}");
        }
    }

    #[test]
    fn the_example_of_the_rfc_says_hello() {
        let mut payload = [0x7F, 0x9F, 0x4D, 0x51, 0x58]; // §5.7: a single-frame masked text message
        unmask(&mut payload, KEY, 0);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn a_huge_offset_wraps_like_a_small_one() {
        let mut payload = *b"abcdefghijk";
        unmask(&mut payload, KEY, usize::MAX);
        unmask(&mut payload, KEY, 3);
        assert_eq!(&payload, b"abcdefghijk");
    }
}
