//! WebSocket frames (RFC 6455 §5) as far as a benchmark needs them: whole messages, written once before the run, and the frames of a
//! server followed without copying.

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
    /// Text, compressed (RFC 7692 §6).
    DeflatedText,
}

/// Appends a client's frame, masked as §5.3 demands.
pub(crate) fn write_client_frame(out: &mut Vec<u8>, kind: Kind, payload: &[u8], masking_key: [u8; 4]) {
    write_header(out, kind, payload.len(), MASKED);
    out.extend_from_slice(&masking_key);
    out.extend(payload.iter().zip(masking_key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Appends a server's frame: what an echo must look like, to the byte.
pub(crate) fn write_server_frame(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    write_header(out, kind, payload.len(), 0);
    out.extend_from_slice(payload);
}

/// The masking key of the n-th frame: never zero in any byte, so that the server's unmasking does its work.
pub(crate) fn masking_key(n: usize) -> [u8; 4] {
    ((n as u32).wrapping_mul(0x9E37_79B9) | 0x0101_0101).to_be_bytes()
}

/// Follows the frames of a server, which come in any pieces.
pub(crate) struct FrameReader {
    kind: Kind,
    /// The front of a frame whose rest is still to come.
    unfinished: Vec<u8>,
}

impl FrameReader {
    /// Of a server that sends whole messages of this kind only.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, unfinished: Vec::new() }
    }

    /// Whether all that was read were whole frames.
    pub(crate) fn is_at_end(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// Reads with `read` until it gives less than there is room for, and calls `each` with the payload of every frame. Frames are always
    /// in one piece: the unfinished one goes before what is read, so `buffer` must be longer than any of them.
    pub(crate) fn read_all(
        &mut self,
        buffer: &mut [u8],
        mut read: impl FnMut(&mut [u8]) -> Result<usize, String>,
        mut each: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let kept = self.unfinished.len();
            buffer[..kept].copy_from_slice(&self.unfinished);
            let length = kept + read(&mut buffer[kept..])?;
            let mut rest = &buffer[..length];
            while let Some((header, size)) = parse_server_header(rest, self.kind)? {
                let Some(payload) = rest.get(header..header + size) else { break };
                each(payload)?;
                rest = &rest[header + size..];
            }
            if rest.len() == buffer.len() {
                return Err(format!("a frame longer than {} bytes", buffer.len()));
            }
            self.unfinished.clear();
            self.unfinished.extend_from_slice(rest);
            if length < buffer.len() {
                return Ok(());
            }
        }
    }
}

/// The lengths of header and payload, or `None` while the header is incomplete. Anything but a whole, unmasked message of this kind is an
/// error that shows its first bytes.
fn parse_server_header(bytes: &[u8], kind: Kind) -> Result<Option<(usize, usize)>, String> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if *first != kind.first_byte() || second & MASKED != 0 {
        return Err(format!("a frame that is not a whole {kind:?} message: {}", hex(bytes)));
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

fn write_header(out: &mut Vec<u8>, kind: Kind, length: usize, mask: u8) {
    out.push(kind.first_byte());
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

impl Kind {
    /// FIN and the opcode; RSV1 where it is compressed.
    fn first_byte(self) -> u8 {
        match self {
            Self::Text => 0x81,
            Self::Binary => 0x82,
            Self::DeflatedText => 0xC1,
        }
    }
}

const MASKED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the frames in `bytes`, of which `read` gives so many at a time.
    fn sizes_of(bytes: &[u8], at_a_time: usize, room: usize) -> Result<(Vec<usize>, FrameReader), String> {
        let (mut reader, mut sizes, mut rest) = (FrameReader::new(Kind::Text), Vec::new(), bytes);
        while !rest.is_empty() {
            let read = |buffer: &mut [u8]| {
                let (now, later) = rest.split_at(rest.len().min(at_a_time).min(buffer.len()));
                buffer[..now.len()].copy_from_slice(now);
                rest = later;
                Ok(now.len())
            };
            reader.read_all(&mut vec![0; room], read, |payload| {
                sizes.push(payload.len());
                Ok(())
            })?;
        }
        Ok((sizes, reader))
    }

    #[test]
    fn the_examples_of_rfc_6455_section_5_7() {
        let (mut client, mut server) = (Vec::new(), Vec::new());
        write_client_frame(&mut client, Kind::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        write_server_frame(&mut server, Kind::Text, b"Hello");
        assert_eq!(client, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(server, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    }

    #[test]
    fn frames_of_every_length_form_are_followed_and_an_unfinished_one_is_kept() {
        let sizes = [0, 1, 125, 126, 65_535, 65_536];
        let mut bytes = Vec::new();
        for size in sizes {
            write_server_frame(&mut bytes, Kind::Text, &vec![b'x'; size]);
        }
        for (at_a_time, room) in
            [(1, 70_000), (3, 70_000), (1000, 70_000), (1 << 20, 70_000), (1 << 20, 1 << 20)]
        {
            let (seen, reader) = sizes_of(&bytes, at_a_time, room).unwrap();
            assert_eq!((seen, reader.is_at_end()), (sizes.to_vec(), true));
        }
        let (seen, reader) = sizes_of(&bytes[..bytes.len() - 1], 1000, 70_000).unwrap();
        assert_eq!((seen.len(), reader.is_at_end()), (5, false));
    }

    #[test]
    fn a_frame_without_end_is_an_error() {
        let mut bytes = Vec::new();
        write_server_frame(&mut bytes, Kind::Text, &[b'x'; 1000]);
        assert!(sizes_of(&bytes, 1 << 20, 1000).is_err());
    }

    #[test]
    fn control_frames_fragments_other_kinds_and_masked_frames_are_errors() {
        for first_bytes in [[0x88, 0x02], [0x01, 0x02], [0x82, 0x02], [0xC1, 0x02], [0x81, 0x82]] {
            assert!(sizes_of(&first_bytes, 2, 100).is_err(), "{first_bytes:02x?}");
        }
    }
}
