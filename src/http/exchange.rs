//! One request and its answer. JavaScript refers to it by key; it lives until the answer is written or the connection is gone.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::body::{ResponseBody, ResponseStream};
use super::connection::Connection;
use super::framing::{self, Refusal, Whole};
use super::prepared::write_field;
use crate::server::config::WebSocketConfig;
use crate::server::engine::Engine;
use crate::server::event::{BodyError, Event};
use crate::server::instance::Server;
use crate::server::slots::Key;

/// See the module.
pub(crate) struct Exchange {
    pub(crate) key: Key,
    pub(crate) connection: Rc<Connection>,
    pub(crate) method: Method,
    head: Head,
    /// The handler of the route it has taken, as JavaScript numbers them; without one it is for `fetch`.
    pub(crate) route: Option<u32>,
    /// The configuration of the WebSocket it is about to become, where that is not its server's.
    pub(crate) websocket: RefCell<Option<Rc<WebSocketConfig>>>,
    /// hyper has not heard of it.
    is_withheld: Cell<bool>,
    /// It is about to.
    is_handed_over: Cell<bool>,
    body: RefCell<Content>,
    /// What the body gave when somebody looked whether all of it is there: the next piece.
    ahead: RefCell<Option<BodyFrame>>,
    reply: RefCell<Reply>,
    /// The outgoing body when it is streamed.
    pub(crate) stream: RefCell<Option<Rc<ResponseStream>>>,
    /// JavaScript wants to hear how it ends.
    is_watched: Cell<bool>,
    /// JavaScript has been told that the client ended its side; what it hears next is the end of the answer.
    is_abort_told: Cell<bool>,
    has_ended: Cell<bool>,
    reads_body: Cell<bool>,
    /// Bytes of the body that have been read.
    body_size: Cell<u64>,
}

/// What a request says beside its method and target.
enum Head {
    Parsed(HeaderMap),
    /// Of one that hyper did not make: the whole request as hyper would get it, and the length of its head.
    Raw(Bytes, usize),
}

/// The body of a request, as far as it has not been read.
enum Content {
    None,
    Here(Bytes),
    Coming(Incoming),
}

/// What a body gives; `None` at its end.
type BodyFrame = Option<hyper::Result<Frame<Bytes>>>;

/// How far the answer is.
pub(crate) enum Reply {
    Waiting(Option<Waker>),
    Given(Box<Response<ResponseBody>>),
    /// With the connection; hyper is to believe that it writes it.
    Prepared,
    /// With hyper, or beyond.
    Taken,
    Upgraded,
}

impl Exchange {
    /// One that hyper made a request of. `None` when too many exchanges are open.
    pub(crate) fn new(
        connection: &Rc<Connection>,
        request: Request<Incoming>,
        route: Option<u32>,
    ) -> Option<Rc<Self>> {
        let (head, body) = request.into_parts();
        let body = if body.is_end_stream() { Content::None } else { Content::Coming(body) };
        Self::open(connection, head.method, Head::Parsed(head.headers), body, route)
    }

    /// One that hyper has not heard of; it only does when it has to write the answer. `None` when too many exchanges are open.
    pub(crate) fn withheld(
        connection: &Rc<Connection>,
        method: Method,
        request: &Whole<'_>,
        route: Option<u32>,
    ) -> Option<Rc<Self>> {
        let length = request.head.len();
        let raw = Bytes::from([request.head, request.content].concat());
        let body =
            if request.content.is_empty() { Content::None } else { Content::Here(raw.slice(length..)) };
        let exchange = Self::open(connection, method, Head::Raw(raw, length), body, route)?;
        exchange.is_withheld.set(true);
        Some(exchange)
    }

    fn open(
        connection: &Rc<Connection>,
        method: Method,
        head: Head,
        body: Content,
        route: Option<u32>,
    ) -> Option<Rc<Self>> {
        let engine = &connection.server.engine;
        let mut made = None;
        engine.exchanges.borrow_mut().insert_with(|key| {
            let exchange = Rc::new(Self {
                key,
                connection: Rc::clone(connection),
                method,
                head,
                route,
                websocket: RefCell::default(),
                is_withheld: Cell::new(false),
                is_handed_over: Cell::new(false),
                body: RefCell::new(body),
                ahead: RefCell::default(),
                reply: RefCell::new(Reply::Waiting(None)),
                stream: RefCell::new(None),
                is_watched: Cell::new(false),
                is_abort_told: Cell::new(false),
                has_ended: Cell::new(false),
                reads_body: Cell::new(false),
                body_size: Cell::new(0),
            });
            made = Some(Rc::clone(&exchange));
            exchange
        })?;
        connection.server.pending_requests.set(connection.server.pending_requests.get() + 1);
        made
    }

    pub(crate) fn server(&self) -> &Rc<Server> {
        &self.connection.server
    }

    /// Whether there is a body that a handler may read: what comes with GET and HEAD is discarded (§8.1).
    pub(crate) fn offers_body(&self) -> bool {
        !matches!(*self.body.borrow(), Content::None)
            && self.method != Method::GET
            && self.method != Method::HEAD
    }

    /// Writes the request line without its version, and the fields, every byte one character. Of the target, what is no ASCII is
    /// percent-encoded, as a URL parser would.
    pub(crate) fn write_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        // What is no UTF-8 becomes U+FFFD, as it would in a string.
        for &byte in String::from_utf8_lossy(self.connection.framing.borrow().target()).as_bytes() {
            if byte.is_ascii() {
                out.push(byte);
            } else {
                out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        out.extend_from_slice(b"\r\n");
        match &self.head {
            Head::Parsed(fields) => {
                for (name, value) in fields {
                    write_field(out, name.as_str().as_bytes(), value.as_bytes());
                }
            }
            Head::Raw(request, length) => {
                for (name, value) in framing::fields_of(&request[..*length]) {
                    let start = out.len();
                    write_field(out, name, value);
                    out[start..start + name.len()].make_ascii_lowercase();
                }
            }
        }
    }

    /// The fields of the request.
    pub(crate) fn fields(&self) -> Cow<'_, HeaderMap> {
        match &self.head {
            Head::Parsed(fields) => Cow::Borrowed(fields),
            Head::Raw(request, length) => {
                let fields = framing::fields_of(&request[..*length]);
                Cow::Owned(
                    fields
                        .filter_map(|(name, value)| {
                            Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
                        })
                        .collect(),
                )
            }
        }
    }

    /// Whether hyper has not heard of it.
    pub(crate) fn is_withheld(&self) -> bool {
        self.is_withheld.get()
    }

    /// hyper has heard of it, and waits for its answer.
    pub(crate) fn reveal(&self) {
        self.is_withheld.set(false);
    }

    /// hyper is to hear of it, if it has not. Returns whether it is about to.
    pub(crate) fn hand_over(&self) -> bool {
        if let Head::Raw(request, _) = &self.head
            && self.is_withheld()
            && !self.is_handed_over.replace(true)
        {
            self.connection.hand_over(request.clone());
        }
        self.is_withheld()
    }

    /// Whether the body is being read, so that the connection's end is noticed there.
    pub(crate) fn reads_body(&self) -> bool {
        self.reads_body.get()
    }

    /// Tells JavaScript of the request.
    pub(crate) fn announce(&self) {
        let engine = &self.server().engine;
        engine.push(Event::Request(self.key));
        if engine.follows_requests() {
            self.watch();
        }
    }

    /// Whether there is somebody to answer to and no answer yet.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(*self.reply.borrow(), Reply::Waiting(_)) && !self.has_ended.get()
    }

    /// Answers an exchange that awaits it.
    pub(crate) fn answer(&self, response: Response<ResponseBody>) {
        let before = self.reply.replace(Reply::Given(Box::new(response)));
        if let Reply::Waiting(Some(waker)) = before {
            waker.wake();
        }
        self.hand_over();
    }

    /// Whether the answer may be one that is prepared without hyper.
    pub(crate) fn takes_prepared(&self) -> bool {
        let is_common = match &self.head {
            Head::Parsed(fields) => {
                let is_kept = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
                self.method != Method::HEAD && fields.get(header::CONNECTION).is_none_or(is_kept)
            }
            Head::Raw(..) => true,
        };
        is_common && self.connection.takes_prepared()
    }

    /// Answers an exchange that takes it with a whole answer. `head` serves as a buffer. Returns whether all of it is out, so that there is nothing
    /// more to be told of the exchange.
    pub(crate) fn answer_prepared(&self, head: &mut Vec<u8>, content: &[u8]) -> bool {
        self.connection.send_prepared(head, content);
        let is_out = self.connection.has_sent_prepared();
        if is_out {
            self.is_watched.set(false);
        }
        let before = self.reply.replace(Reply::Prepared);
        // Until hyper would have been done with it, the body can be asked for.
        if is_out && self.is_withheld() && matches!(*self.body.borrow(), Content::None) {
            self.connection.forget_prepared();
            self.finish(false);
        } else if let Reply::Waiting(Some(waker)) = before {
            waker.wake();
        } else {
            self.hand_over();
        }
        is_out
    }

    pub(crate) fn poll_reply(self: &Rc<Self>, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        let mut reply = self.reply.borrow_mut();
        match std::mem::replace(&mut *reply, Reply::Taken) {
            Reply::Given(response) => Poll::Ready(*response),
            Reply::Prepared => Poll::Ready(Response::new(ResponseBody::whole(Bytes::new(), self))),
            Reply::Waiting(_) => {
                *reply = Reply::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
            // The connection is about to leave hyper.
            state @ (Reply::Taken | Reply::Upgraded) => {
                *reply = state;
                Poll::Pending
            }
        }
    }

    /// The answer is the upgrade. Returns false when there is an answer already.
    pub(crate) fn set_upgraded(&self) -> bool {
        let is_waiting = self.awaits_answer();
        if is_waiting {
            *self.reply.borrow_mut() = Reply::Upgraded;
        }
        is_waiting
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        matches!(*self.reply.borrow(), Reply::Upgraded)
    }

    /// Whether the whole answer is with the connection, and hyper has not heard so.
    pub(crate) fn is_prepared(&self) -> bool {
        matches!(*self.reply.borrow(), Reply::Prepared)
    }

    /// Whether the kernel has the whole answer, and hyper has not heard so.
    pub(crate) fn is_out(&self) -> bool {
        self.is_prepared() && self.connection.has_sent_prepared()
    }

    /// Whether hyper has begun to write the answer, or is done with it.
    pub(crate) fn is_answer_taken(&self) -> bool {
        matches!(*self.reply.borrow(), Reply::Taken)
    }

    /// There will be no answer: the connection is reset.
    pub(crate) fn reset(&self) {
        self.connection.decide(super::connection::Fate::Reset);
    }

    /// JavaScript wants the `Ended` event.
    pub(crate) fn watch(&self) {
        self.is_watched.set(true);
        if self.connection.is_half_closed() {
            self.abort_signal();
        }
    }

    /// The client has ended its side before the answer: the request's signal aborts, an answer is still taken.
    pub(crate) fn abort_signal(&self) {
        if !self.is_abort_told.get() && self.is_watched.replace(false) {
            self.is_abort_told.set(true);
            self.server().engine.push(Event::Ended { exchange: self.key, aborted: true });
        }
    }

    /// The exchange is over. `aborted`: before its answer was complete.
    pub(crate) fn finish(&self, aborted: bool) {
        if self.has_ended.replace(true) {
            return;
        }
        let engine = &self.server().engine;
        if self.is_watched.replace(false) {
            engine.push(Event::Ended { exchange: self.key, aborted });
        }
        self.drain_body();
        self.drop_answer();
        self.connection.release(self);
        if !matches!(*self.reply.borrow(), Reply::Upgraded) {
            self.forget();
        }
    }

    /// Drops an answer that hyper has not taken: it refers back to the exchange.
    fn drop_answer(&self) {
        let mut reply = self.reply.borrow_mut();
        if matches!(*reply, Reply::Given(_)) {
            let answer = std::mem::replace(&mut *reply, Reply::Taken);
            // Its body asks for the exchange once more.
            drop(reply);
            drop(answer);
        }
    }

    /// JavaScript has no more use for it.
    pub(crate) fn forget(&self) {
        let server = self.server();
        if server.engine.exchanges.borrow_mut().remove(self.key).is_some() {
            server.pending_requests.set(server.pending_requests.get() - 1);
        }
    }

    /// The whole body, if it has come: with a head that is small, so has the body most of the time. `None` leaves it to `read_body`.
    pub(crate) fn take_whole_body(&self) -> Option<Bytes> {
        let mut body = self.body.borrow_mut();
        let whole = match &mut *body {
            Content::None => return None,
            Content::Here(content) => std::mem::take(content),
            Content::Coming(reader) => self.whole_of(reader)?,
        };
        *body = Content::None;
        Some(whole)
    }

    /// All that is coming, if it is here and nothing has been read of it.
    fn whole_of(&self, body: &mut Incoming) -> Option<Bytes> {
        if self.ahead.borrow().is_some() {
            return None;
        }
        // Of a body in chunks nobody knows yet.
        let length = body.size_hint().exact()?;
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(frame) = Pin::new(body).poll_frame(&mut cx) else { return None };
        let is_whole =
            |frame: &Frame<Bytes>| frame.data_ref().is_some_and(|data| data.len() as u64 == length);
        match frame {
            Some(Ok(frame)) if is_whole(&frame) => frame.into_data().ok(),
            frame => {
                *self.ahead.borrow_mut() = Some(frame);
                None
            }
        }
    }

    /// Reads the next piece of the body; it arrives as an event.
    pub(crate) fn read_body(self: &Rc<Self>) {
        let exchange = Rc::clone(self);
        let body = self.body.replace(Content::None);
        self.reads_body.set(matches!(body, Content::Coming(_)));
        self.server().engine.spawn(async move {
            let piece = match body {
                Content::Coming(body) => exchange.next_piece(body).await,
                Content::Here(content) => Ok(Some(content)),
                Content::None => Ok(None),
            };
            exchange.reads_body.set(false);
            let error = piece.as_ref().err().copied();
            if let Some(BodyError::Lost) = error {
                exchange.abort_signal();
            }
            exchange.server().engine.push(Event::Body(exchange.key, piece));
            if let Some(BodyError::TooLarge) = error {
                exchange.refuse_body();
            }
        });
    }

    async fn next_piece(&self, mut body: Incoming) -> Result<Option<bytes::Bytes>, BodyError> {
        loop {
            let ahead = self.ahead.take();
            let frame = match ahead {
                Some(frame) => frame,
                None => poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await,
            };
            match frame {
                Some(Ok(frame)) => {
                    // Trailers carry nothing for a Request.
                    if let Ok(data) = frame.into_data() {
                        let size = self.body_size.get() + data.len() as u64;
                        if size > self.server().http.max_request_body_size {
                            return Err(BodyError::TooLarge);
                        }
                        self.body_size.set(size);
                        *self.body.borrow_mut() = Content::Coming(body);
                        return Ok(Some(data));
                    }
                }
                Some(Err(_)) => return Err(BodyError::Lost),
                None => return Ok(None),
            }
        }
    }

    /// The body is larger than it may be, and says so only now, because it is chunked. The client hears of it unless it has an answer.
    fn refuse_body(&self) {
        if self.awaits_answer() {
            self.finish(false);
            self.connection.refuse(Refusal::PayloadTooLarge);
        }
    }

    /// Nobody will read the rest of the body: it is read and thrown away, so that the connection stays usable.
    pub(crate) fn drain_body(&self) {
        if let Content::Coming(body) = self.body.replace(Content::None) {
            drain(&self.server().engine, body);
        }
    }
}

/// Reads a body that nobody wants and throws it away.
pub(crate) fn drain(engine: &Engine, mut body: Incoming) {
    engine.spawn(
        async move { while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {} },
    );
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
