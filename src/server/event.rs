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
use crate::websocket::receiver::Payload;

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
    Message { socket: Rc<Socket>, is_text: bool, content: Content },
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
    Message { is_text: bool, content: Content },
    Ping(Content),
    Pong(Content),
    End(Ending),
}

impl Held {
    fn into_event(self, socket: &Rc<Socket>) -> Event {
        let socket = Rc::clone(socket);
        match self {
            Self::Message { is_text, content } => Event::Message { socket, is_text, content },
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

/// Bytes of an event: in the queue's common buffer, or their own when they were assembled anyway.
pub(crate) enum Content {
    Common(Range<usize>),
    Own(Vec<u8>),
}

/// See the module.
#[derive(Default)]
pub(crate) struct EventQueue {
    events: VecDeque<Event>,
    /// Small contents, one behind the other; emptied when the queue is.
    common: Vec<u8>,
    weight: usize,
}

/// Undelivered events weigh at most this many bytes before sockets are no longer read, so that TCP slows the peers.
const CAPACITY: usize = 1024 * 1024;
/// What an event weighs beside its content.
const EVENT_WEIGHT: usize = 64;
/// A common buffer that has grown beyond this is given back.
const KEEP: usize = 256 * 1024;

impl EventQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.weight >= CAPACITY
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.weight += EVENT_WEIGHT;
        self.events.push_back(event);
    }

    /// Takes the next event. Its content stands until `settle`.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Puts events of a socket back before all others.
    pub(crate) fn put_back(&mut self, socket: &Rc<Socket>, held: impl DoubleEndedIterator<Item = Held>) {
        for held in held.rev() {
            self.weight += EVENT_WEIGHT + held.content().map_or(0, |content| self.bytes(content).len());
            self.events.push_front(held.into_event(socket));
        }
    }

    /// A content that outlives `settle`.
    pub(crate) fn own(&self, content: Content) -> Content {
        match content {
            Content::Common(range) => Content::Own(self.common[range].to_vec()),
            own @ Content::Own(_) => own,
        }
    }

    /// Takes the next event if it is a message: the socket, whether it is text, and the content.
    pub(crate) fn pop_message(&mut self) -> Option<(Rc<Socket>, bool, Content)> {
        match self.events.pop_front()? {
            Event::Message { socket, is_text, content } => Some((socket, is_text, content)),
            other => {
                self.events.push_front(other);
                None
            }
        }
    }

    /// Takes the next event if it is a request: its exchange.
    pub(crate) fn pop_request(&mut self) -> Option<Key> {
        let Some(Event::Request(key)) = self.events.front() else { return None };
        let key = *key;
        self.events.pop_front();
        Some(key)
    }

    /// Forgets the contents of delivered events: call it when `pop` gave `None`.
    pub(crate) fn settle(&mut self) {
        debug_assert!(self.events.is_empty(), "contents are still needed");
        self.weight = 0;
        if self.common.capacity() > KEEP {
            self.common = Vec::new();
        }
        self.common.clear();
    }

    /// Keeps a copy of `bytes` for an event.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> Content {
        let start = self.common.len();
        self.common.extend_from_slice(bytes);
        self.weight += bytes.len();
        Content::Common(start..self.common.len())
    }

    /// Keeps a message's payload for an event, copying only what lies in a buffer that will be read into again.
    pub(crate) fn keep_payload(&mut self, payload: Payload<'_>) -> Content {
        match payload {
            Payload::Borrowed(bytes) => self.keep(bytes),
            Payload::Owned(bytes) => {
                self.weight += bytes.len();
                Content::Own(bytes)
            }
        }
    }

    /// The bytes of a content of this queue.
    pub(crate) fn bytes<'a>(&'a self, content: &'a Content) -> &'a [u8] {
        match content {
            Content::Common(range) => &self.common[range.clone()],
            Content::Own(bytes) => bytes,
        }
    }
}
