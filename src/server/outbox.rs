//! The send side of a WebSocket, or of an HTTP connection past hyper: what was said and not yet taken by the kernel. It is filled by
//! JavaScript and by owed replies, and emptied once per turn; the connection's task waits only for what the kernel refused.
//!
//! Until the kernel refuses something, the content counts as corked, not as buffered (`getBufferedAmount() === 0`).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

/// Corked bytes beyond this are sent at once, so that the status `send` returns is true for big messages.
pub(crate) const CORK_CAPACITY: usize = 16 * 1024;
/// Frames up to this size are copied where one follows another, so that many leave in one system call.
const COPY_LIMIT: usize = 4 * 1024;
/// How many pieces go into one system call.
const MAX_SLICES: usize = 32;

/// See the module. An empty one holds no heap memory.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Hardly ever is there more than one piece at the end of a turn.
    first: Option<Piece>,
    /// Without `first` there are none.
    #[expect(clippy::box_collection, reason = "one word of every socket for what hardly any has")]
    others: Option<Box<VecDeque<Piece>>>,
    /// Bytes in the pieces that are not sent.
    unsent: usize,
    /// The kernel refused bytes and has not asked for more since.
    blocked: bool,
    /// It was cleared: what was cut off there stays the end.
    over: bool,
}

enum Piece {
    Own { bytes: Vec<u8>, sent: usize },
    Shared { frame: SharedFrame, sent: usize },
}

impl Piece {
    fn unsent(&self) -> &[u8] {
        match self {
            Self::Own { bytes, sent } => &bytes[*sent..],
            Self::Shared { frame, sent } => &frame.0[*sent..],
        }
    }

    fn advance(&mut self, count: usize) {
        let (Self::Own { sent, .. } | Self::Shared { sent, .. }) = self;
        *sent += count;
    }

    /// Whether what follows is copied behind it.
    fn takes_more(&self) -> bool {
        match self {
            Self::Own { .. } => true,
            Self::Shared { frame, .. } => frame.is_small(),
        }
    }

    /// Its bytes to append to; what was shared becomes a copy.
    fn own(&mut self, spares: &mut Spares) -> &mut Vec<u8> {
        if let Self::Shared { .. } = self {
            let mut bytes = spares.take();
            bytes.extend_from_slice(self.unsent());
            *self = Self::Own { bytes, sent: 0 };
        }
        let Self::Own { bytes, .. } = self else { unreachable!("made so above") };
        bytes
    }

    fn recycle(self, spares: &mut Spares) {
        match self {
            Self::Own { bytes, .. } => spares.give(bytes),
            Self::Shared { frame, .. } => frame.recycle(spares),
        }
    }
}

/// A frame encoded once for many sockets.
#[derive(Clone)]
pub(crate) struct SharedFrame(Rc<Vec<u8>>);

impl SharedFrame {
    /// A frame that `write` writes.
    pub(crate) fn new(spares: &mut Spares, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut frame = spares.take();
        write(&mut frame);
        Self(Rc::new(frame))
    }

    fn is_small(&self) -> bool {
        self.0.len() <= COPY_LIMIT
    }

    /// Gives the memory back if nobody else has the frame any more.
    pub(crate) fn recycle(self, spares: &mut Spares) {
        if let Some(frame) = Rc::into_inner(self.0) {
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
        if !self.last().is_some_and(Piece::takes_more) {
            self.append(Piece::Own { bytes: spares.take(), sent: 0 });
        }
        let Some(last) = self.last_mut() else { unreachable!("appended above") };
        let bytes = last.own(spares);
        let before = bytes.len();
        write(bytes);
        self.unsent += bytes.len() - before;
    }

    /// Appends a frame that other receivers get too.
    pub(crate) fn push(&mut self, spares: &mut Spares, frame: &SharedFrame) {
        if frame.is_small() && self.last().is_some_and(Piece::takes_more) {
            self.write(spares, |bytes| bytes.extend_from_slice(&frame.0));
        } else if !self.over {
            self.append(Piece::Shared { frame: frame.clone(), sent: 0 });
            self.unsent += frame.0.len();
        }
    }

    fn last(&self) -> Option<&Piece> {
        self.others.as_ref().and_then(|others| others.back()).or(self.first.as_ref())
    }

    fn last_mut(&mut self) -> Option<&mut Piece> {
        self.others.as_mut().and_then(|others| others.back_mut()).or(self.first.as_mut())
    }

    fn append(&mut self, piece: Piece) {
        match &self.first {
            None => self.first = Some(piece),
            Some(_) => self.others.get_or_insert_default().push_back(piece),
        }
    }

    fn pop(&mut self) -> Option<Piece> {
        let next = self.others.as_mut().and_then(|others| others.pop_front());
        if next.is_none() {
            // An idle socket keeps no memory for what it once said.
            self.others = None;
        }
        std::mem::replace(&mut self.first, next)
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
            let sent = match &self.first {
                Some(only) if self.others.is_none() && tail.is_empty() => {
                    send(&[IoSlice::new(only.unsent())])
                }
                _ => send(self.gather(tail, &mut [IoSlice::new(&[]); MAX_SLICES])),
            };
            match sent {
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
        let is_alone = self.others.as_ref().is_none_or(|others| others.is_empty());
        self.first.as_ref().filter(|_| is_alone && !self.blocked).map(Piece::unsent)
    }

    /// `flush_with` nothing behind the pieces.
    pub(crate) fn flush(
        &mut self,
        spares: &mut Spares,
        send: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.flush_with(spares, &[], send)
    }

    /// The pieces and `tail` behind them, as many as there are places for.
    fn gather<'a, 'p: 'a>(&'p self, tail: &'a [u8], slices: &'p mut [IoSlice<'a>]) -> &'p [IoSlice<'a>] {
        let pieces = self.first.iter().chain(self.others.iter().flat_map(|others| others.iter()));
        let tail = Some(tail).filter(|tail| !tail.is_empty());
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(pieces.map(Piece::unsent).chain(tail)) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        &slices[..count]
    }

    /// Forgets everything unsent, which may begin inside a frame, and whatever comes later.
    pub(crate) fn clear(&mut self) {
        *self = Self { over: true, ..Self::default() };
    }

    /// The kernel has taken so many bytes.
    pub(crate) fn advance(&mut self, spares: &mut Spares, mut sent: usize) {
        self.unsent -= sent;
        while let Some(piece) = &mut self.first {
            let rest = piece.unsent().len();
            if sent < rest {
                piece.advance(sent);
                return;
            }
            sent -= rest;
            if let Some(piece) = self.pop() {
                piece.recycle(spares);
            }
        }
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
        assert!(small.is_small() && !shared.is_small());
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
            assert!(outbox.first.is_none() && outbox.others.is_none());
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
                assert!(outbox.first.is_none() && outbox.others.is_none());
            }
        }
    }

    #[test]
    fn a_small_frame_for_many_is_copied_once_another_follows_it() {
        let mut spares = Spares::default();
        let (hello, world) = (frame(&mut spares, b"hello"), frame(&mut spares, b"world"));
        let mut outbox = Outbox::default();
        outbox.push(&mut spares, &hello);
        assert_eq!(Rc::strong_count(&hello.0), 2, "alone it is referred to");

        // The kernel takes some of it, and then more is said.
        let mut taken = Vec::new();
        outbox.flush(&mut spares, kernel(&mut taken, 2)).unwrap();
        outbox.push(&mut spares, &world);
        assert_eq!((Rc::strong_count(&hello.0), Rc::strong_count(&world.0)), (1, 1));
        outbox.flush(&mut spares, kernel(&mut taken, usize::MAX)).unwrap();
        assert_eq!(taken, b"helloworld");
        assert_eq!(*hello.0, b"hello");
    }

    #[test]
    fn the_memory_of_a_frame_serves_another_once_the_last_socket_has_sent_it() {
        let mut spares = Spares::default();
        let hello = frame(&mut spares, b"hello");
        let mut outboxes = [Outbox::default(), Outbox::default()];
        outboxes.iter_mut().for_each(|outbox| outbox.push(&mut spares, &hello));
        hello.recycle(&mut spares);
        for (outbox, spare) in outboxes.iter_mut().zip([0, 1]) {
            assert!(spares.0.is_empty());
            outbox.flush(&mut spares, kernel(&mut Vec::new(), usize::MAX)).unwrap();
            assert_eq!(spares.0.len(), spare);
        }
    }

    /// A frame for many.
    fn frame(spares: &mut Spares, bytes: &[u8]) -> SharedFrame {
        SharedFrame::new(spares, |frame| frame.extend_from_slice(bytes))
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
    fn an_empty_one_is_small() {
        assert!(size_of::<Outbox>() <= 7 * size_of::<usize>());
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
