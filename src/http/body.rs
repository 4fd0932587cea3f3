//! The body of an answer as hyper takes it: whole, or piece by piece with backpressure.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::exchange::Exchange;
use super::file_body::FileBody;
use crate::server::event::Event;

/// See the module. Dropping it tells its exchange how it ended.
pub(crate) struct ResponseBody {
    content: Content,
    exchange: Option<Rc<Exchange>>,
}

enum Content {
    Whole(Bytes),
    Stream(Rc<ResponseStream>),
    File(FileBody),
}

/// A body in the making: JavaScript writes, hyper takes.
pub(crate) struct ResponseStream {
    pieces: RefCell<VecDeque<Bytes>>,
    buffered: Cell<usize>,
    /// Bytes still to be written, if that is known.
    left: Cell<Option<u64>>,
    state: Cell<State>,
    waker: RefCell<Option<Waker>>,
    /// JavaScript waits for room.
    is_full: Cell<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Failed,
}

/// Bytes a stream holds before JavaScript is asked to wait.
const HIGH_WATER: usize = 64 * 1024;

/// The stream of an answer broke: the connection is reset.
#[derive(Debug)]
pub(crate) struct StreamError;

impl std::fmt::Display for StreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the response stream failed")
    }
}

impl std::error::Error for StreamError {}

impl ResponseBody {
    pub(crate) fn empty() -> Self {
        Self::unwatched(Bytes::new())
    }

    /// The body of an answer without an exchange.
    pub(crate) const fn unwatched(bytes: Bytes) -> Self {
        Self { content: Content::Whole(bytes), exchange: None }
    }

    pub(crate) fn whole(bytes: Bytes, exchange: &Rc<Exchange>) -> Self {
        Self { content: Content::Whole(bytes), exchange: Some(Rc::clone(exchange)) }
    }

    pub(crate) fn stream(stream: Rc<ResponseStream>, exchange: &Rc<Exchange>) -> Self {
        Self { content: Content::Stream(stream), exchange: Some(Rc::clone(exchange)) }
    }

    pub(crate) fn file(file: FileBody, exchange: &Rc<Exchange>) -> Self {
        Self { content: Content::File(file), exchange: Some(Rc::clone(exchange)) }
    }
}

impl ResponseStream {
    /// A stream of `length` bytes, if that is known.
    pub(crate) fn new(length: Option<u64>) -> Rc<Self> {
        Rc::new(Self {
            pieces: RefCell::default(),
            buffered: Cell::new(0),
            left: Cell::new(length),
            state: Cell::new(State::Open),
            waker: RefCell::new(None),
            is_full: Cell::new(false),
        })
    }

    /// Adds a piece, as far as it belongs to the length. Returns whether there is room for another; if not, the `Writable` event says
    /// when there is.
    pub(crate) fn write(&self, mut piece: Bytes) -> bool {
        if let Some(left) = self.left.get() {
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            self.left.set(Some(left - piece.len() as u64));
        }
        if self.state.get() == State::Open && !piece.is_empty() {
            self.buffered.set(self.buffered.get() + piece.len());
            self.pieces.borrow_mut().push_back(piece);
            self.rouse();
        }
        let has_room = self.buffered.get() < HIGH_WATER;
        self.is_full.set(!has_room);
        has_room
    }

    /// No more pieces.
    pub(crate) fn end(&self) {
        self.set(State::Ended);
    }

    /// The source failed: the peer must not take what it got for the whole.
    pub(crate) fn fail(&self) {
        self.set(State::Failed);
    }

    fn set(&self, state: State) {
        if self.state.get() == State::Open {
            self.state.set(state);
            self.rouse();
        }
    }

    fn rouse(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Whether hyper has everything. With a known length it does not ask for the end.
    fn is_done(&self) -> bool {
        let is_whole = self.state.get() == State::Ended || self.left.get() == Some(0);
        is_whole && self.pieces.borrow().is_empty()
    }

    /// How much is still to come, if that is known.
    fn size_hint(&self) -> SizeHint {
        self.left
            .get()
            .map_or_else(SizeHint::default, |left| SizeHint::with_exact(self.buffered.get() as u64 + left))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        let stream = match &mut this.content {
            Content::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Content::Whole(bytes) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::File(file) => return file.poll_piece(cx).map_ok(Frame::data),
            Content::Stream(stream) => stream,
        };
        let piece = stream.pieces.borrow_mut().pop_front();
        match (piece, stream.state.get()) {
            (Some(piece), _) => {
                stream.buffered.set(stream.buffered.get() - piece.len());
                if stream.buffered.get() < HIGH_WATER
                    && stream.is_full.replace(false)
                    && let Some(exchange) = &this.exchange
                {
                    exchange.server().engine.push(Event::Writable(exchange.key));
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            (None, State::Ended) => Poll::Ready(None),
            (None, State::Failed) => Poll::Ready(Some(Err(StreamError))),
            (None, State::Open) => {
                *stream.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(stream) => stream.is_done(),
            Content::File(file) => file.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(stream) => stream.size_hint(),
            Content::File(file) => SizeHint::with_exact(file.left()),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            let is_complete = match &self.content {
                Content::Whole(_) => true,
                // hyper takes no body for HEAD.
                Content::Stream(stream) => stream.is_done() || exchange.method == http::Method::HEAD,
                Content::File(file) => file.left() == 0,
            };
            if is_complete {
                // hyper has all of it, but maybe not yet the kernel.
                let connection = Rc::clone(&exchange.connection);
                connection.finish_when_flushed(exchange);
            } else {
                exchange.finish(true);
            }
        }
    }
}
