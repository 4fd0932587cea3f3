//! WebSocket frames (RFC 6455 §5) as far as a benchmark needs them: unfragmented text messages, written once before the run, and the
//! frames of a server followed without copying.

/// Appends a client's text frame, masked as §5.3 demands.
pub(crate) fn write_client_frame(out: &mut Vec<u8>, payload: &[u8], masking_key: [u8; 4]) {
    write_header(out, payload.len(), MASKED);
    out.extend_from_slice(&masking_key);
    out.extend(payload.iter().zip(masking_key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Appends a server's text frame: what an echo must look like, to the byte.
pub(crate) fn write_server_frame(out: &mut Vec<u8>, payload: &[u8]) {
    write_header(out, payload.len(), 0);
    out.extend_from_slice(payload);
}

/// The masking key of the n-th frame: never zero in any byte, so that the server's unmasking does its work.
pub(crate) fn masking_key(n: usize) -> [u8; 4] {
    ((n as u32).wrapping_mul(0x9E37_79B9) | 0x0101_0101).to_be_bytes()
}

/// Calls `each` with the payload of every whole text frame at the front of `bytes` and returns the length of what it consumed.
///
/// Anything but an unfragmented, unmasked text frame is an error that shows its first bytes.
pub(crate) fn parse_server_frames(bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<usize, String> {
    let mut rest = bytes;
    while let Some((header, length)) = parse_server_header(rest)? {
        let Some(payload) = rest.get(header..header + length) else { break };
        each(payload);
        rest = &rest[header + length..];
    }
    Ok(bytes.len() - rest.len())
}

/// The lengths of header and payload, or `None` while the header is incomplete.
fn parse_server_header(bytes: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if *first != FIN_TEXT || second & MASKED != 0 {
        return Err(format!("a frame that is not a whole text message: {}", hex(bytes)));
    }
    Ok(match second {
        126 => rest.first_chunk().map(|length| (4, u16::from_be_bytes(*length).into())),
        127 => rest.first_chunk().map(|length| (10, u64::from_be_bytes(*length) as usize)),
        length => Some((2, usize::from(*length))),
    })
}

/// The first bytes of something unexpected.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x} ")).collect()
}

fn write_header(out: &mut Vec<u8>, length: usize, mask: u8) {
    out.push(FIN_TEXT);
    match length {
        0..126 => out.push(mask | length as u8),
        126..0x1_0000 => {
            out.push(mask | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

const FIN_TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_6455_section_5_7() {
        let (mut client, mut server) = (Vec::new(), Vec::new());
        write_client_frame(&mut client, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        write_server_frame(&mut server, b"Hello");
        assert_eq!(client, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(server, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    }

    #[test]
    fn frames_of_every_length_form_are_followed_and_an_unfinished_one_is_left() {
        let sizes = [0, 1, 125, 126, 65_535, 65_536];
        let mut bytes = Vec::new();
        for size in sizes {
            write_server_frame(&mut bytes, &vec![b'x'; size]);
        }
        let whole = bytes.len();
        bytes.extend_from_slice(&[0x81, 0x05, b'H']);
        let mut seen = Vec::new();
        assert_eq!(parse_server_frames(&bytes, |payload| seen.push(payload.len())), Ok(whole));
        assert_eq!(seen, sizes);
    }

    #[test]
    fn control_frames_fragments_and_masked_frames_are_errors() {
        for first_bytes in [[0x88, 0x02], [0x01, 0x02], [0x82, 0x02], [0x81, 0x82]] {
            assert!(parse_server_frames(&first_bytes, |_| ()).is_err(), "{first_bytes:02x?}");
        }
    }
}
