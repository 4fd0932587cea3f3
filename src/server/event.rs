//! What the I/O half of a turn has for the JavaScript half, in order. Replies owed to a peer (a pong, a close) are events too, so
//! that they keep their place between what the handlers send.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;

use super::connection::Socket;
use super::instance::Server;
use super::slots::Key;
use crate::websocket::error::ProtocolError;
use crate::websocket::receiver::{Kind, Payload};

pub(crate) enum Event {
    /// A request has arrived: its exchange.
    Request(Key),
    /// The next piece of a request's body, asked for before; `None` at its end.
    Body(Key, Result<Option<Bytes>, BodyError>),
    /// A streamed response has room again.
    Writable(Key),
    /// An exchange that JavaScript watches is over.
    Ended { exchange: Key, aborted: bool },
    /// A complete message.
    Message { socket: Rc<Socket>, kind: Kind, content: Content },
    /// A ping: its pong is owed first.
    Ping { socket: Rc<Socket>, content: Content },
    /// A pong.
    Pong { socket: Rc<Socket>, content: Content },
    /// Buffered bytes have gone to the kernel.
    Drain(Rc<Socket>),
    /// The connection is to end now.
    End { socket: Rc<Socket>, ending: Ending },
    /// A stopped server has lost its last connection.
    Stopped(Rc<Server>),
    /// A handler took longer than its server's `idleTimeout`, which nobody chose. Comes once.
    TimedOut,
}

/// Why a WebSocket ends, when it is not JavaScript that ends it.
pub(crate) enum Ending {
    /// The peer's Close frame: it is echoed (RFC 6455 §5.5.1).
    Peer { code: u16, reason: Content },
    /// The peer broke the protocol: it gets the code of the error (§7.1.7).
    Failed(ProtocolError),
    /// The connection is gone: FIN without a Close frame, or an error.
    Lost,
    /// Nothing was heard for `idleTimeout` seconds.
    TimedOut,
    /// A send went over `backpressureLimit` with `closeOnBackpressureLimit`.
    Overflow,
}

impl Ending {
    /// What `ws.closeCause` says.
    pub(crate) fn cause(&self) -> &'static str {
        match self {
            Self::Peer { .. } => "peer",
            Self::Failed(ProtocolError::MessageTooBig) => "too-big",
            Self::Failed(_) => "protocol",
            Self::Lost => "io",
            Self::TimedOut => "idle",
            Self::Overflow => "backpressure",
        }
    }
}

/// Why a request's body cannot be read to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyError {
    /// The client left in the middle of it.
    Lost,
    /// It is larger than `maxRequestBodySize`.
    TooLarge,
}

/// An event of a socket whose JavaScript is not done with the messages before. Its contents are its own.
pub(crate) enum Held {
    Message { kind: Kind, content: Content },
    Ping(Content),
    Pong(Content),
    End(Ending),
}

impl Held {
    fn into_event(self, socket: &Rc<Socket>) -> Event {
        let socket = Rc::clone(socket);
        match self {
            Self::Message { kind, content } => Event::Message { socket, kind, content },
            Self::Ping(content) => Event::Ping { socket, content },
            Self::Pong(content) => Event::Pong { socket, content },
            Self::End(ending) => Event::End { socket, ending },
        }
    }

    fn content(&self) -> Option<&Content> {
        match self {
            Self::Message { content, .. } | Self::Ping(content) | Self::Pong(content) => Some(content),
            Self::End(Ending::Peer { reason, .. }) => Some(reason),
            Self::End(_) => None,
        }
    }
}

/// Bytes of an event.
pub(crate) enum Content {
    /// Where they were read, in the inbox.
    Read(Range<usize>),
    /// A copy in the queue's common buffer.
    Common(Range<usize>),
    /// Their own, as they were assembled.
    Own(Vec<u8>),
}

/// See the module.
pub(crate) struct EventQueue {
    /// What sockets are read into. A content that lies whole in it stays where it is until `settle`.
    inbox: Box<[u8]>,
    undelivered: Undelivered,
}

/// All of a queue but its inbox.
#[derive(Default)]
pub(crate) struct Undelivered {
    events: VecDeque<Event>,
    /// How much of the inbox has contents in it.
    read: usize,
    /// Other small contents, one behind the other; emptied when the queue is.
    common: Vec<u8>,
    weight: usize,
}

/// Undelivered events weigh at most this many bytes before sockets are no longer read, so that TCP slows the peers.
const CAPACITY: usize = 1024 * 1024;
/// Bytes of the inbox. Few enough that a message is still in the cache when it is delivered.
const INBOX: usize = 512 * 1024;
/// What a read finds room for at least: a message of 64 KiB is not cut in two.
const ROOM: usize = 128 * 1024;
/// What an event weighs beside its content.
const EVENT_WEIGHT: usize = 64;
/// A common buffer that has grown beyond this is given back.
const KEEP: usize = 256 * 1024;

impl Default for EventQueue {
    fn default() -> Self {
        Self { inbox: vec![0; INBOX].into_boxed_slice(), undelivered: Undelivered::default() }
    }
}

impl EventQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.undelivered.events.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.undelivered.weight >= CAPACITY || self.undelivered.read > INBOX - ROOM
    }

    /// Where the next read goes.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.inbox[self.undelivered.read..]
    }

    /// The first `count` bytes of the room, which have been read, where they end in the inbox, and what to make of them.
    pub(crate) fn arrived(&mut self, count: usize) -> (&mut [u8], usize, &mut Undelivered) {
        let (start, end) = (self.undelivered.read, self.undelivered.read + count);
        (&mut self.inbox[start..end], end, &mut self.undelivered)
    }

    /// What to add events to that are not made of what was read.
    pub(crate) fn undelivered(&mut self) -> &mut Undelivered {
        &mut self.undelivered
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.undelivered.push(event);
    }

    /// Takes the next event. Its content stands until `settle`.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.undelivered.events.pop_front()
    }

    /// Puts events of a socket back before all others.
    pub(crate) fn put_back(&mut self, socket: &Rc<Socket>, held: impl DoubleEndedIterator<Item = Held>) {
        for held in held.rev() {
            let weight = held.content().map_or(0, |content| self.bytes(content).len());
            self.undelivered.weight += EVENT_WEIGHT + weight;
            self.undelivered.events.push_front(held.into_event(socket));
        }
    }

    /// A content that outlives `settle`.
    pub(crate) fn own(&self, content: Content) -> Content {
        match content {
            own @ Content::Own(_) => own,
            content => Content::Own(self.bytes(&content).to_vec()),
        }
    }

    /// Takes the next event if it is a message.
    pub(crate) fn pop_message(&mut self) -> Option<(Rc<Socket>, Kind, Content)> {
        match self.undelivered.events.pop_front()? {
            Event::Message { socket, kind, content } => Some((socket, kind, content)),
            other => {
                self.undelivered.events.push_front(other);
                None
            }
        }
    }

    /// Takes the next event if it is a request: its exchange.
    pub(crate) fn pop_request(&mut self) -> Option<Key> {
        let Some(Event::Request(key)) = self.undelivered.events.front() else { return None };
        let key = *key;
        self.undelivered.events.pop_front();
        Some(key)
    }

    /// Forgets the contents of delivered events: call it when `pop` gave `None`.
    pub(crate) fn settle(&mut self) {
        debug_assert!(self.is_empty(), "contents are still needed");
        let undelivered = &mut self.undelivered;
        undelivered.weight = 0;
        undelivered.read = 0;
        if undelivered.common.capacity() > KEEP {
            undelivered.common = Vec::new();
        }
        undelivered.common.clear();
    }

    /// The bytes of a content of this queue.
    pub(crate) fn bytes<'a>(&'a self, content: &'a Content) -> &'a [u8] {
        match content {
            Content::Read(range) => &self.inbox[range.clone()],
            Content::Common(range) => &self.undelivered.common[range.clone()],
            Content::Own(bytes) => bytes,
        }
    }
}

impl Undelivered {
    pub(crate) fn push(&mut self, event: Event) {
        self.weight += EVENT_WEIGHT;
        self.events.push_back(event);
    }

    /// Keeps a copy of `bytes` for an event.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> Content {
        let start = self.common.len();
        self.common.extend_from_slice(bytes);
        self.weight += bytes.len();
        Content::Common(start..self.common.len())
    }

    /// Keeps a message's payload for an event. One that was borrowed from the input ends at `end` in the inbox, if that was the input: there
    /// it stays. Anything else that is borrowed is copied.
    pub(crate) fn keep_payload(&mut self, payload: Payload<'_>, end: Option<usize>) -> Content {
        match (payload, end) {
            (Payload::Borrowed(bytes), Some(end)) => {
                self.read = end;
                self.weight += bytes.len();
                Content::Read(end - bytes.len()..end)
            }
            (Payload::Borrowed(bytes) | Payload::Inflated(bytes), _) => self.keep(bytes),
            (Payload::Owned(bytes), _) => {
                self.weight += bytes.len();
                Content::Own(bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes`, whose last `payload` are a message of one frame.
    fn read(queue: &mut EventQueue, bytes: &[u8], payload: usize) -> Content {
        queue.room()[..bytes.len()].copy_from_slice(bytes);
        let (arrived, end, undelivered) = queue.arrived(bytes.len());
        assert_eq!(arrived, bytes);
        let payload = Payload::Borrowed(&arrived[bytes.len() - payload..]);
        undelivered.keep_payload(payload, Some(end))
    }

    #[test]
    fn what_was_read_whole_stays_where_it_is_until_the_queue_is_settled() {
        let mut queue = EventQueue::default();
        let contents = [read(&mut queue, b"..one", 3), read(&mut queue, b"..three", 5)];
        assert_eq!(contents.each_ref().map(|content| queue.bytes(content)), [&b"one"[..], b"three"]);
        queue.settle();
        assert_eq!(queue.room().len(), INBOX);
    }

    #[test]
    fn contents_that_do_not_lie_in_the_inbox_are_copied_or_taken() {
        let mut queue = EventQueue::default();
        let contents = [
            read(&mut queue, b"read", 4),
            queue.undelivered().keep_payload(Payload::Borrowed(b"early"), None),
            queue.undelivered().keep_payload(Payload::Inflated(b"inflated"), Some(4)),
            queue.undelivered().keep_payload(Payload::Owned(b"owned".to_vec()), Some(4)),
            queue.undelivered().keep(b"kept"),
        ];
        let expected = [&b"read"[..], b"early", b"inflated", b"owned", b"kept"];
        assert_eq!(contents.each_ref().map(|content| queue.bytes(content)), expected);
        let owned = contents.map(|content| queue.own(content));
        queue.settle();
        assert_eq!(owned.each_ref().map(|content| queue.bytes(content)), expected);
    }

    #[test]
    fn what_became_no_content_is_read_over() {
        let mut queue = EventQueue::default();
        read(&mut queue, b"whole", 5);
        let before = queue.room().len();
        // The beginning of a message, which the receiver keeps.
        queue.arrived(100_000);
        assert_eq!(queue.room().len(), before);
        assert!(!queue.is_full());
    }

    #[test]
    fn it_is_full_before_a_read_could_find_little_room() {
        let mut queue = EventQueue::default();
        let mut count = 0;
        while !queue.is_full() {
            assert!(queue.room().len() >= ROOM);
            read(&mut queue, &[0; 65_550], 65_536);
            count += 1;
        }
        assert_eq!(count, 6);
        queue.settle();
        assert!(!queue.is_full());
    }
}
