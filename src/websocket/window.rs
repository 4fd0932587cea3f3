//! The LZ77 window of one direction of a connection (RFC 7692 §7.1.1): what was said last, which the next message may refer to.

use std::collections::VecDeque;

/// The last bytes of a direction, up to a size. Owns as much memory as it has bytes, rounded up to a power of two.
#[derive(Debug, Default)]
pub(super) struct Window {
    bytes: VecDeque<u8>,
}

impl Window {
    /// Appends `message`, and forgets what is further back than `size` bytes.
    pub(super) fn push(&mut self, message: &[u8], size: usize) {
        let message = &message[message.len().saturating_sub(size)..];
        let len = self.bytes.len();
        self.bytes.drain(..(len + message.len()).saturating_sub(size));
        let len = self.bytes.len() + message.len();
        self.bytes.reserve_exact(len.next_power_of_two().min(size) - self.bytes.len());
        self.bytes.extend(message);
    }

    /// The bytes, oldest first, in two pieces.
    pub(super) fn as_slices(&self) -> (&[u8], &[u8]) {
        self.bytes.as_slices()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_last_bytes_of_all_that_was_said_and_no_larger() {
        for size in [1, 7, 250, 512] {
            let (mut window, mut said) = (Window::default(), Vec::new());
            for len in [0, 1, 3, 100, 5, 0, 250, 600, 2, 513, 511, 1] {
                let message: Vec<u8> = (0..len).map(|i| (said.len() + i) as u8).collect();
                window.push(&message, size);
                said.extend(message);
                let (older, newer) = window.as_slices();
                assert_eq!([older, newer].concat(), said[said.len().saturating_sub(size)..]);
                assert!(window.bytes.capacity() <= size);
            }
        }
    }
}
