//! One request and its answer. JavaScript refers to it by key; it lives until the answer is written or the connection is gone.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;

use super::ahead::Ahead;
use super::body::{ResponseBody, ResponseStream};
use super::connection::{Connection, Fate};
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
    /// What is still to come of the body; `None` at its end.
    body: RefCell<Option<Incoming>>,
    /// What has come of it before that and was not asked for.
    ahead: RefCell<Ahead>,
    /// A handler may read the body.
    offers_body: bool,
    /// The rest of it will not be had: the client left in the middle of it, which nobody has been told, or nobody was to read it.
    is_body_lost: Cell<bool>,
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

/// How far the answer is.
pub(crate) enum Reply {
    Waiting(Option<Waker>),
    Given(Box<Response<ResponseBody>>),
    /// With hyper or past it, or beyond.
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
        let body = (!body.is_end_stream()).then_some(body);
        let has_body = body.is_some();
        Self::open(connection, head.method, Head::Parsed(head.headers), has_body, body, route)
    }

    /// One that hyper has not heard of; it only does when it has to write the answer. `None` when too many exchanges are open.
    pub(crate) fn withheld(
        connection: &Rc<Connection>,
        method: Method,
        request: &Whole<'_>,
        route: Option<u32>,
    ) -> Option<Rc<Self>> {
        let head = Head::Raw([request.head, request.content].concat().into(), request.head.len());
        let exchange = Self::open(connection, method, head, !request.content.is_empty(), None, route)?;
        exchange.ahead.borrow_mut().add(request.content);
        exchange.is_withheld.set(true);
        Some(exchange)
    }

    fn open(
        connection: &Rc<Connection>,
        method: Method,
        head: Head,
        has_body: bool,
        body: Option<Incoming>,
        route: Option<u32>,
    ) -> Option<Rc<Self>> {
        let engine = &connection.server.engine;
        // What comes with these is discarded (§8.1).
        let offers_body = has_body && ![Method::GET, Method::HEAD, Method::TRACE].contains(&method);
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
                ahead: RefCell::new(Ahead::new(&engine.content_ahead)),
                offers_body,
                is_body_lost: Cell::new(false),
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

    /// Whether there is a body that a handler may read.
    pub(crate) fn offers_body(&self) -> bool {
        self.offers_body
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
        self.server().engine.push(Event::Request(self.key));
    }

    /// Whether there is somebody to answer to and no answer yet.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(*self.reply.borrow(), Reply::Waiting(_)) && !self.has_ended.get()
    }

    /// Answers an exchange that awaits it.
    pub(crate) fn answer(&self, response: Response<ResponseBody>) {
        self.connection.show_life();
        let before = self.reply.replace(Reply::Given(Box::new(response)));
        if let Reply::Waiting(Some(waker)) = before {
            waker.wake();
        }
        self.hand_over();
    }

    /// Whether the answer may be one that is prepared without hyper.
    pub(crate) fn takes_prepared(&self) -> bool {
        self.is_withheld()
            && !self.is_handed_over.get()
            // As long as hyper has the answer, the body can be asked for.
            && self.ahead.borrow().size() == 0
            && self.connection.takes_prepared()
    }

    /// Answers an exchange that takes it with a whole answer. Returns false when the kernel has refused a part of it; otherwise there is nothing more
    /// to be told of the exchange.
    pub(crate) fn answer_prepared(&self, status: StatusCode, head: &[u8], content: &[u8]) -> bool {
        self.connection.show_life();
        self.reply.replace(Reply::Taken);
        let is_out = self.connection.send_prepared(head, content);
        // RFC 9110 §9.3.6: what comes behind it is no HTTP, and nobody reads it.
        if self.method == Method::CONNECT && status.is_success() {
            self.connection.framing.borrow_mut().take_rest();
            self.connection.decide(Fate::Finish);
        }
        if is_out {
            self.is_watched.set(false);
            self.finish(false);
        }
        is_out
    }

    pub(crate) fn poll_reply(self: &Rc<Self>, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        let mut reply = self.reply.borrow_mut();
        match std::mem::replace(&mut *reply, Reply::Taken) {
            Reply::Given(response) => Poll::Ready(*response),
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

    /// Whether the connection has the whole answer, and hyper will never hear of it.
    pub(crate) fn is_answered_past_hyper(&self) -> bool {
        self.is_withheld() && self.is_answer_taken()
    }

    /// Whether there is an answer, which hyper has not begun to write.
    pub(crate) fn is_answer_given(&self) -> bool {
        matches!(*self.reply.borrow(), Reply::Given(_))
    }

    /// Whether hyper has begun to write the answer, or is done with it.
    pub(crate) fn is_answer_taken(&self) -> bool {
        matches!(*self.reply.borrow(), Reply::Taken)
    }

    /// There will be no answer: the connection is reset.
    pub(crate) fn reset(&self) {
        self.connection.decide(Fate::Reset);
    }

    /// JavaScript wants the `Ended` event. Returns whether the client has ended its side already; then there is no event for that.
    pub(crate) fn watch(&self) -> bool {
        self.is_watched.set(true);
        let has_left = self.connection.is_half_closed();
        if has_left {
            self.is_abort_told.set(true);
        }
        has_left
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
        if self.reads_body.get() || self.is_body_lost.get() {
            return None;
        }
        let is_here = matches!(self.poll_ahead(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())));
        let mut ahead = self.ahead.borrow_mut();
        let is_whole = is_here && self.body.borrow().is_none() && !self.is_too_large(ahead.size());
        is_whole.then(|| ahead.take())
    }

    /// Takes in what comes of the body before anybody asks for it, as far as there is room. Pending while more is waited for; an error when
    /// the client has left in the middle of it.
    pub(crate) fn poll_ahead(&self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        // RFC 9110 §10.1.1: content is waited for that is sent only when it is asked for.
        if matches!(&self.head, Head::Parsed(fields) if fields.contains_key(header::EXPECT)) {
            return Poll::Ready(Ok(()));
        }
        let (mut body, mut ahead) = (self.body.borrow_mut(), self.ahead.borrow_mut());
        while let Some(incoming) = body.as_mut().filter(|_| ahead.has_room()) {
            match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref().filter(|_| self.offers_body) {
                        ahead.add(data);
                    }
                    if incoming.is_end_stream() {
                        *body = None;
                    }
                }
                Some(Err(_)) => {
                    *body = None;
                    self.is_body_lost.set(true);
                    return Poll::Ready(Err(BodyError::Lost));
                }
                None => *body = None,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads the next piece of the body; it arrives as an event.
    pub(crate) fn read_body(self: &Rc<Self>) {
        let exchange = Rc::clone(self);
        let body = self.body.take();
        self.reads_body.set(true);
        self.server().engine.spawn(async move {
            let piece = exchange.next_piece(body).await;
            exchange.reads_body.set(false);
            // There is room again for what is not asked for yet.
            exchange.connection.rouse();
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

    async fn next_piece(&self, body: Option<Incoming>) -> Result<Option<Bytes>, BodyError> {
        if self.ahead.borrow().size() > 0 {
            return self.counted(self.ahead.borrow_mut().take(), body);
        }
        if self.is_body_lost.get() {
            return Err(BodyError::Lost);
        }
        let Some(mut body) = body else { return Ok(None) };
        loop {
            match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(Ok(frame)) => {
                    // Trailers carry nothing for a Request.
                    if let Ok(data) = frame.into_data() {
                        return self.counted(data, Some(body));
                    }
                }
                Some(Err(_)) => return Err(BodyError::Lost),
                None => return Ok(None),
            }
        }
    }

    /// A piece of the body, unless that is larger than it may be with it; `rest` is still to come.
    fn counted(&self, piece: Bytes, rest: Option<Incoming>) -> Result<Option<Bytes>, BodyError> {
        if self.is_too_large(piece.len()) {
            return Err(BodyError::TooLarge);
        }
        self.body_size.set(self.body_size.get() + piece.len() as u64);
        *self.body.borrow_mut() = rest;
        Ok(Some(piece))
    }

    /// Whether the body is larger than it may be with so many bytes more.
    fn is_too_large(&self, more: usize) -> bool {
        self.body_size.get() + more as u64 > self.server().http.max_request_body_size
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
        let ahead = self.ahead.borrow_mut().take();
        let body = self.body.take();
        // Who reads it all the same must not take what was left for the whole.
        if !ahead.is_empty() || body.is_some() {
            self.is_body_lost.set(true);
        }
        if let Some(body) = body {
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
