//! The send side of a WebSocket: what was said and not yet taken by the kernel. It is filled by JavaScript and by owed
//! replies, and emptied once per turn; the connection's task waits only for what the kernel refused.
//!
//! Until the kernel refuses something, the content counts as corked, not as buffered (`getBufferedAmount() === 0`).

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;

/// Corked bytes beyond this are sent at once, so that the status `send` returns is true for big messages.
pub(crate) const CORK_CAPACITY: usize = 16 * 1024;
/// Frames for many up to this size are copied into each outbox.
const COPY_LIMIT: usize = 4 * 1024;
/// How many pieces go into one system call.
const MAX_SLICES: usize = 32;

/// See the module. An empty one holds no heap memory.
#[derive(Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    /// Bytes in `pieces` that are not sent.
    unsent: usize,
    /// The kernel refused bytes and has not asked for more since.
    blocked: bool,
    /// It was cleared: what was cut off there stays the end.
    over: bool,
}

enum Piece {
    Own { bytes: Vec<u8>, sent: usize },
    Shared(Bytes),
}

impl Piece {
    fn unsent(&self) -> &[u8] {
        match self {
            Self::Own { bytes, sent } => &bytes[*sent..],
            Self::Shared(bytes) => bytes,
        }
    }
}

/// A frame encoded once for many sockets.
pub(crate) enum SharedFrame {
    /// Copied behind what is there already: one system call for many small frames.
    Small(Vec<u8>),
    /// Referred to.
    Big(Bytes),
}

impl SharedFrame {
    /// A frame that `write` writes.
    pub(crate) fn new(spares: &mut Spares, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut frame = spares.take();
        write(&mut frame);
        if frame.len() <= COPY_LIMIT { Self::Small(frame) } else { Self::Big(Bytes::from(frame)) }
    }

    /// Gives the memory back once all sockets have the frame.
    pub(crate) fn recycle(self, spares: &mut Spares) {
        if let Self::Small(frame) = self {
            spares.give(frame);
        }
    }
}

/// Where emptied buffers wait for the next socket that has something to say.
#[derive(Default)]
pub(crate) struct Spares(Vec<Vec<u8>>);

impl Spares {
    /// Buffers kept: as many sockets may be dirty in one turn without an allocation.
    const COUNT: usize = 256;

    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    fn give(&mut self, mut bytes: Vec<u8>) {
        // A buffer that a big message has grown goes back to the allocator.
        if self.0.len() < Self::COUNT && (1..=2 * CORK_CAPACITY).contains(&bytes.capacity()) {
            bytes.clear();
            self.0.push(bytes);
        }
    }
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.unsent == 0
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Bytes the kernel has refused so far, and what came behind them.
    pub(crate) fn buffered_amount(&self) -> usize {
        if self.blocked { self.unsent } else { 0 }
    }

    /// With so many bytes `more`, more is corked than should wait for the end of the turn.
    pub(crate) fn is_overfull_with(&self, more: usize) -> bool {
        !self.blocked && self.unsent + more > CORK_CAPACITY
    }

    /// Appends what `write` writes.
    pub(crate) fn write(&mut self, spares: &mut Spares, write: impl FnOnce(&mut Vec<u8>)) {
        if self.over {
            return;
        }
        if !matches!(self.pieces.back(), Some(Piece::Own { .. })) {
            self.pieces.push_back(Piece::Own { bytes: spares.take(), sent: 0 });
        }
        let Some(Piece::Own { bytes, .. }) = self.pieces.back_mut() else { unreachable!("pushed above") };
        let before = bytes.len();
        write(bytes);
        self.unsent += bytes.len() - before;
    }

    /// Appends a frame that other receivers get too.
    pub(crate) fn push(&mut self, spares: &mut Spares, frame: &SharedFrame) {
        match frame {
            SharedFrame::Small(frame) => self.write(spares, |bytes| bytes.extend_from_slice(frame)),
            SharedFrame::Big(_) if self.over => {}
            SharedFrame::Big(frame) => {
                self.pieces.push_back(Piece::Shared(frame.clone()));
                self.unsent += frame.len();
            }
        }
    }

    /// Hands the pieces to `send`, and behind them `tail` from where it lies, until all is sent or `send` refuses; then what is left of
    /// `tail` is copied. Returns how many bytes went; a refusal is not an error but leaves the outbox blocked.
    pub(crate) fn flush_with(
        &mut self,
        spares: &mut Spares,
        tail: &[u8],
        mut send: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut tail = if self.over { &[] } else { tail };
        let mut total = 0;
        while self.unsent + tail.len() > 0 {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let last = Some(tail).filter(|tail| !tail.is_empty());
            let mut count = 0;
            for (slice, bytes) in slices.iter_mut().zip(self.pieces.iter().map(Piece::unsent).chain(last)) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            match send(&slices[..count]) {
                Ok(sent) => {
                    total += sent;
                    let of_pieces = sent.min(self.unsent);
                    self.advance(spares, of_pieces);
                    tail = &tail[sent - of_pieces..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !tail.is_empty() {
                        self.write(spares, |bytes| bytes.extend_from_slice(tail));
                    }
                    self.blocked = true;
                    return Ok(total);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.blocked = false;
        Ok(total)
    }

    /// What is to be sent, if it is one piece and the kernel has refused nothing.
    #[cfg(target_os = "linux")]
    pub(crate) fn only_piece(&self) -> Option<&[u8]> {
        (self.pieces.len() == 1 && !self.blocked).then(|| self.pieces[0].unsent())
    }

    /// `flush_with` nothing behind the pieces.
    pub(crate) fn flush(
        &mut self,
        spares: &mut Spares,
        send: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.flush_with(spares, &[], send)
    }

    /// Forgets everything unsent, which may begin inside a frame, and whatever comes later.
    pub(crate) fn clear(&mut self) {
        *self = Self { over: true, ..Self::default() };
    }

    /// The kernel has taken so many bytes.
    pub(crate) fn advance(&mut self, spares: &mut Spares, mut sent: usize) {
        self.unsent -= sent;
        while let Some(piece) = self.pieces.front_mut() {
            let rest = piece.unsent().len();
            if sent < rest {
                match piece {
                    Piece::Own { sent: at, .. } => *at += sent,
                    Piece::Shared(bytes) => *bytes = bytes.slice(sent..),
                }
                return;
            }
            sent -= rest;
            if let Some(Piece::Own { bytes, .. }) = self.pieces.pop_front() {
                spares.give(bytes);
            }
        }
        // An idle socket keeps no memory for what it once said.
        self.pieces = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel that takes at most `room` bytes, then blocks.
    fn kernel<'a>(
        taken: &'a mut Vec<u8>,
        mut room: usize,
    ) -> impl FnMut(&[IoSlice<'_>]) -> io::Result<usize> + 'a {
        move |slices| {
            let mut sent = 0;
            for slice in slices {
                let count = slice.len().min(room);
                taken.extend_from_slice(&slice[..count]);
                room -= count;
                sent += count;
            }
            if sent == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(sent) }
        }
    }

    #[test]
    fn bytes_leave_in_the_order_they_came_whatever_the_kernel_takes_at_a_time() {
        let big = vec![7; COPY_LIMIT + 1];
        let shared = SharedFrame::new(&mut Spares::default(), |frame| frame.extend_from_slice(&big));
        let small = SharedFrame::new(&mut Spares::default(), |frame| frame.extend_from_slice(b"small"));
        assert!(matches!((&shared, &small), (SharedFrame::Big(_), SharedFrame::Small(_))));
        for room in [1, 2, 5, 4096, 5000, 1 << 20] {
            let mut spares = Spares::default();
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            let mut taken = Vec::new();
            for round in 0..5_u8 {
                outbox.write(&mut spares, |bytes| bytes.extend([round; 3]));
                expected.extend([round; 3]);
                outbox.push(&mut spares, &shared);
                expected.extend_from_slice(&big);
                outbox.push(&mut spares, &small);
                expected.extend_from_slice(b"small");
                outbox.flush(&mut spares, kernel(&mut taken, room)).unwrap();
                assert_eq!(outbox.unsent, expected.len() - taken.len());
            }
            while !outbox.is_empty() {
                outbox.flush(&mut spares, kernel(&mut taken, room)).unwrap();
            }
            assert_eq!(taken, expected);
            assert!(!outbox.is_blocked());
            assert_eq!(outbox.pieces.capacity(), 0);
        }
    }

    #[test]
    fn what_is_sent_from_where_it_lies_follows_what_waits_and_is_copied_once_it_is_refused() {
        let tail: Vec<u8> = (0..CORK_CAPACITY).map(|at| at as u8).collect();
        let shared = SharedFrame::new(&mut Spares::default(), |frame| frame.resize(COPY_LIMIT + 1, 7));
        for room in [0, 1, 3, 4, 5000, 5001, CORK_CAPACITY, 1 << 20] {
            for pieces in [0, 1, 2, MAX_SLICES, 2 * MAX_SLICES] {
                let (mut outbox, mut spares) = (Outbox::default(), Spares::default());
                let mut expected = Vec::new();
                for piece in 0..pieces {
                    outbox.write(&mut spares, |bytes| bytes.push(piece as u8));
                    outbox.push(&mut spares, &shared);
                    expected.push(piece as u8);
                    expected.resize(expected.len() + COPY_LIMIT + 1, 7);
                }
                expected.extend_from_slice(&tail);
                let mut taken = Vec::new();
                let sent = outbox.flush_with(&mut spares, &tail, kernel(&mut taken, room)).unwrap();
                assert_eq!((sent, outbox.unsent), (taken.len(), expected.len() - taken.len()));
                assert_eq!(outbox.is_blocked(), sent < expected.len());
                outbox.flush(&mut spares, kernel(&mut taken, usize::MAX)).unwrap();
                assert!(taken == expected && !outbox.is_blocked(), "{pieces} pieces, room for {room}");
                assert_eq!(outbox.pieces.capacity(), 0);
            }
        }
    }

    #[test]
    fn content_is_corked_until_the_kernel_refuses_and_buffered_after() {
        let mut spares = Spares::default();
        let mut outbox = Outbox::default();
        outbox.write(&mut spares, |bytes| bytes.extend([0; 100]));
        assert_eq!(outbox.buffered_amount(), 0);
        outbox.flush(&mut spares, kernel(&mut Vec::new(), 30)).unwrap();
        assert_eq!(outbox.buffered_amount(), 70);
        outbox.write(&mut spares, |bytes| bytes.extend([0; 10]));
        assert_eq!(outbox.buffered_amount(), 80);
    }

    #[test]
    fn a_cleared_one_takes_nothing_any_more() {
        let mut spares = Spares::default();
        let mut outbox = Outbox::default();
        let big = SharedFrame::new(&mut spares, |frame| frame.resize(COPY_LIMIT + 1, 7));
        outbox.write(&mut spares, |bytes| bytes.extend([0; 100]));
        outbox.flush(&mut spares, kernel(&mut Vec::new(), 30)).unwrap();
        outbox.clear();
        outbox.write(&mut spares, |bytes| bytes.extend([0; 100]));
        outbox.push(&mut spares, &big);
        assert!(outbox.is_empty() && !outbox.is_blocked());
        let flushed = outbox.flush_with(&mut spares, b"tail", |_| unreachable!("there is nothing to send"));
        assert_eq!(flushed.unwrap(), 0);
    }

    #[test]
    fn a_broken_connection_is_an_error_and_not_a_refusal() {
        let mut outbox = Outbox::default();
        outbox.write(&mut Spares::default(), |bytes| bytes.push(1));
        let error =
            outbox.flush(&mut Spares::default(), |_| Err(io::ErrorKind::BrokenPipe.into())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
