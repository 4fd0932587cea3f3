//! One HTTP connection: what goes past hyper, and hyper over a transport for the rest, until it ends, is cut, or becomes a WebSocket.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::Service;
use tokio::io::ReadBuf;

use super::body::ResponseBody;
use super::exchange::{Exchange, drain};
use super::framing::{Framing, MAX_FIELDS, Refusal, Whole};
use super::idle::{self, Expiry, Idle, LEAST_PER_SECOND};
use super::routes::{self, Way};
use super::static_route::StaticRoute;
use crate::server::alarm::Alarm;
use crate::server::connection::{Life, Socket};
use crate::server::event::Event;
use crate::server::instance::Server;
use crate::server::lingering::Lingering;
use crate::server::outbox::Outbox;
use crate::server::slots::Key;
use crate::server::transport::Transport;

/// See the module.
pub(crate) struct Connection {
    key: Key,
    pub(crate) server: Rc<Server>,
    pub(crate) transport: Rc<Transport>,
    pub(crate) framing: RefCell<Framing>,
    idle: RefCell<Idle>,
    /// When the clock looks at `idle` next.
    armed: Cell<u64>,
    /// The request being answered.
    exchange: RefCell<Option<Rc<Exchange>>>,
    /// One whose answer hyper has taken and not yet given to the transport.
    flushing: RefCell<Option<Rc<Exchange>>>,
    fate: RefCell<Fate>,
    /// The answer to what the peer did wrong. It goes out behind the answers to what came before.
    refusal: Cell<Option<Refusal>>,
    waker: RefCell<Option<Waker>>,
    /// hyper has an answer, or bytes of one, that it has not given to the transport.
    is_unflushed: Cell<bool>,
    /// A request has come on this connection.
    has_served: Cell<bool>,
    /// The next bytes out begin the answer to a request of HTTP/1.0.
    speaks_1_0: Cell<bool>,
    /// Answers that were prepared without hyper and wait for the end of the turn, or for the kernel. They go out before anything else does.
    outbox: RefCell<Outbox>,
    /// The engine will flush that.
    is_dirty: Cell<bool>,
    /// A request that hyper is to hear of now, as far as it has not.
    handed_over: RefCell<Bytes>,
    /// The peer's FIN was seen behind bytes that wait their turn.
    is_ended: Cell<bool>,
    /// hyper knows that the answer in flight is the last one.
    is_finishing: Cell<bool>,
    /// The request being answered or its answer says that it is the last one (RFC 9112 §9.6).
    is_last: Cell<bool>,
    /// The next bytes out begin the answer to a HEAD request whose answer to GET would be chunked.
    pub(crate) hides_chunks: Cell<bool>,
    /// The peer's FIN was seen while a request was being answered.
    is_half_closed: Cell<bool>,
    /// The peer is to send content, and everything that it has sent is read.
    awaits_content: Cell<bool>,
}

/// What is to become of a connection.
pub(crate) enum Fate {
    /// It goes on.
    Serve,
    /// It ends after the answer in flight.
    Finish,
    /// It ends now.
    Cut,
    /// It ends now, and the peer must not take what it has for an answer.
    Reset,
    /// It is a WebSocket.
    Upgrade(Rc<Socket>),
}

/// What has become of a request before hyper hears of it.
enum Taken {
    /// hyper gets it.
    Not,
    /// JavaScript hears of it, and is to answer.
    Announced,
    /// The answer is out.
    Answered,
}

/// Bytes of an answer that are copied together: the kernel takes one piece in 0.4 µs less than two.
const SMALL: usize = 4096;
const CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n";
/// How long a client may take for its TLS handshake, in milliseconds.
const HANDSHAKE: u64 = 10_000;
/// How long a finished connection waits for the peer's FIN, in milliseconds; again and again while content comes that nobody wants.
const LINGER: u64 = 2_000;
/// Bytes of that in this time below which it has been long enough: those that a body must come at.
const LEAST_PER_LINGER: u64 = LEAST_PER_SECOND * LINGER / 1_000;
/// Bytes of a read until hyper says how much it likes to read.
const FIRST_READ: usize = 8 * 1024;
/// Reads of one connection before the others get their turn.
const READS_PER_POLL: usize = 4;

/// Serves HTTP on a new connection.
pub(crate) fn start(server: &Rc<Server>, transport: Transport) {
    let mut connection = None;
    let now = server.engine.now();
    server.connections.borrow_mut().insert_with(|key| {
        let made = Rc::new(Connection {
            key,
            server: Rc::clone(server),
            transport: Rc::new(transport),
            framing: RefCell::new(Framing::new(server.http.max_request_body_size)),
            idle: RefCell::new(Idle::new(now)),
            armed: Cell::new(u64::MAX),
            exchange: RefCell::default(),
            flushing: RefCell::default(),
            fate: RefCell::new(Fate::Serve),
            refusal: Cell::new(None),
            waker: RefCell::default(),
            is_unflushed: Cell::new(false),
            has_served: Cell::new(false),
            speaks_1_0: Cell::new(false),
            outbox: RefCell::default(),
            is_dirty: Cell::new(false),
            handed_over: RefCell::default(),
            is_ended: Cell::new(false),
            is_finishing: Cell::new(false),
            is_last: Cell::new(false),
            hides_chunks: Cell::new(false),
            is_half_closed: Cell::new(false),
            awaits_content: Cell::new(false),
        });
        connection = Some(Rc::clone(&made));
        made
    });
    // Without a place left the connection is dropped, as with a full backlog.
    if let Some(connection) = connection {
        server.connection_count.set(server.connection_count.get() + 1);
        connection.arm();
        server.engine.spawn(serve(connection));
    }
}

async fn serve(connection: Rc<Connection>) {
    if !connection.shake_hands().await {
        connection.leave();
        connection.part(b"", 0).await;
        return;
    }
    // Most connections never need it, and those are small.
    let mut http: Option<Box<http1::Connection<Io, Dispatch>>> = None;
    let mut farewell: &[u8] = b"";
    let has_body_failed = poll_fn(|cx| {
        *connection.waker.borrow_mut() = Some(cx.waker().clone());
        if matches!(*connection.fate.borrow(), Fate::Cut | Fate::Reset | Fate::Upgrade(..)) {
            return Poll::Ready(false);
        }
        // Nothing is read for answers that nobody takes.
        if connection.poll_unblocked(cx).is_pending() {
            return connection.poll_half_close(cx).map(|()| false);
        }
        match &*connection.fate.borrow() {
            Fate::Serve => {}
            // A request whose head is half here is still answered.
            Fate::Finish if connection.is_finishing.get() || connection.is_in_head() => {}
            // hyper would take the connection for idle.
            Fate::Finish if connection.reveal() => {}
            Fate::Finish => {
                connection.is_finishing.set(true);
                let Some(http) = &mut http else { return Poll::Ready(false) };
                Pin::new(&mut **http).graceful_shutdown();
            }
            Fate::Cut | Fate::Reset | Fate::Upgrade(..) => return Poll::Ready(false),
        }
        if http.is_none() {
            match connection.poll_past_hyper(cx) {
                Poll::Ready(Ok(true)) => http = Some(Box::new(begin_http(&connection))),
                // The peer has ended its side, or is gone.
                Poll::Ready(Ok(false) | Err(_)) => return Poll::Ready(false),
                Poll::Pending => {}
            }
        }
        if let Some(http) = &mut http
            && let Poll::Ready(end) = http.poll_without_shutdown(cx)
        {
            return Poll::Ready(end.is_err_and(|error| error.is_user()));
        }
        if let Some(refusal) =
            connection.refusal.get().filter(|_| connection.is_quiet() && connection.flush())
        {
            farewell = refusal.answer();
            return Poll::Ready(false);
        }
        if connection.is_only_read() {
            return Poll::Ready(false);
        }
        connection.poll_half_close(cx).map(|()| false)
    })
    .await;

    drop(http);
    match connection.fate.replace(Fate::Cut) {
        Fate::Upgrade(socket) => {
            // hyper had nothing but content of the handshake, if anything.
            let mut framing = connection.framing.borrow_mut();
            let content = framing.content_left().unwrap_or(0);
            let mut early = framing.take_rest();
            early.shrink_to_fit();
            drop(framing);
            // A new, small task: an idle WebSocket does not carry what HTTP needs.
            let engine = Rc::clone(&connection.server.engine);
            // JavaScript lets go of the exchange when its handler returns.
            connection.exchange.take();
            connection.leave();
            engine.spawn(Life::new(socket, early, usize::try_from(content).unwrap_or(usize::MAX)));
        }
        Fate::Cut => {
            connection.leave();
            connection.give_up_refused();
            connection.part(b"", 0).await;
        }
        Fate::Reset => {
            connection.leave();
            connection.reset();
        }
        Fate::Serve | Fate::Finish => {
            connection.leave();
            if has_body_failed {
                connection.reset();
            } else {
                let most = connection.server.http.max_request_body_size;
                // A GET may announce more than anybody wants to wait for.
                let content = connection.framing.borrow().content_left().map_or(most, |left| left.min(most));
                connection.part(farewell, content).await;
            }
        }
    }
}

/// hyper, for all that is not answered past it from now on.
fn begin_http(connection: &Rc<Connection>) -> http1::Connection<Io, Dispatch> {
    http1::Builder::new()
        .half_close(true)
        .max_buf_size(64 * 1024)
        .max_headers(MAX_FIELDS)
        .serve_connection(Io(Rc::clone(connection)), Dispatch(Rc::clone(connection)))
}

impl Connection {
    /// Completes the TLS handshake, if there is one. False when it failed, took too long, or the connection was cut meanwhile.
    async fn shake_hands(&self) -> bool {
        let mut end = None;
        poll_fn(|cx| {
            if let Poll::Ready(result) = self.transport.poll_handshake(cx) {
                return Poll::Ready(result.is_ok());
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            let end = end.get_or_insert_with(|| Alarm::set(&self.server.engine, HANDSHAKE, cx.waker()));
            let is_over = end.has_rung() || matches!(*self.fate.borrow(), Fate::Cut);
            if is_over { Poll::Ready(false) } else { Poll::Pending }
        })
        .await
    }

    /// Whether nothing is being answered, and all answers have gone out.
    fn is_quiet(&self) -> bool {
        self.exchange.borrow().is_none() && !self.is_unflushed.get() && !self.outbox.borrow().is_blocked()
    }

    /// Whether a request has begun to arrive that is not being answered yet.
    fn is_in_head(&self) -> bool {
        self.exchange.borrow().is_none() && self.framing.borrow().is_in_head()
    }

    /// Whether no request is being received or answered. The rest of a content that nobody wants is none.
    fn is_idle(&self) -> bool {
        self.is_quiet() && !self.is_in_head()
    }

    /// Whether the last answer has gone out, and hyper goes on for the rest of a content that nobody wants: the client may never send it.
    fn is_only_read(&self) -> bool {
        (self.is_last.get() || self.is_finishing.get())
            && self.has_served.get()
            && self.is_quiet()
            && self.framing.borrow().is_in_content()
    }

    /// Ends a connection that waits for another request than its first. Returns whether it is one.
    pub(crate) fn close_if_idle(&self) -> bool {
        let is_waiting =
            self.has_served.get() && self.is_idle() && matches!(*self.fate.borrow(), Fate::Serve);
        // Its last answer still goes out.
        let is_over = is_waiting && self.flush();
        if is_over {
            self.decide(Fate::Cut);
        }
        is_over
    }

    /// Answers what the peer did wrong, once everything before it is answered, and ends the connection.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        if self.refusal.replace(Some(refusal)).is_some() {
            return;
        }
        let exchange = self.exchange.borrow().clone();
        match exchange {
            // Its answer is there and goes out first.
            Some(exchange) if self.is_flushing(&exchange) || exchange.is_answer_given() => {}
            // Half an answer is out: another one has no place.
            Some(exchange) if exchange.is_answer_taken() => self.decide(Fate::Cut),
            Some(exchange) => exchange.finish(true),
            None => {}
        }
        self.rouse();
    }

    /// A request has come. Its handler has the server's `idleTimeout` to answer, or as long as it likes when there is content to work on
    /// or a WebSocket to decide upon; that is, while the client is there.
    fn begin_request(&self, may_take_its_time: bool) {
        self.has_served.set(true);
        self.awaits_content.set(false);
        self.set_timeout(self.server.http.idle_timeout);
        if may_take_its_time {
            self.stop_timer();
        }
    }

    /// The handler may take its time, while the client is there, and not one that has yet to send what the handler works on.
    fn stop_timer(&self) {
        if !self.is_half_closed.get() && !self.awaits_content.get() {
            self.idle.borrow_mut().stop(self.server.engine.now());
        }
    }

    /// Content has come, and it is the handler who is waited for now; without one, the peer is, for its next request.
    fn receive_content(&self, count: usize) {
        self.awaits_content.set(false);
        // The time of one that has left goes on.
        if self.is_half_closed.get() {
            return;
        }
        self.idle.borrow_mut().receive(self.server.engine.now(), count);
        if self.exchange.borrow().is_some() && !self.waits_for_reader() {
            self.stop_timer();
        }
    }

    /// Whether the peer has yet to take bytes of an answer.
    fn waits_for_reader(&self) -> bool {
        self.is_unflushed.get() || self.outbox.borrow().is_blocked()
    }

    /// Takes a whole request past hyper, if it gets a static response or is for a handler, and nothing is on its way.
    fn take_past_hyper(self: &Rc<Self>, request: &Whole<'_>) -> Taken {
        if !self.takes_prepared() || self.exchange.borrow().is_some() {
            return Taken::Not;
        }
        let Ok(method) = Method::from_bytes(request.method) else { return Taken::Not };
        let is_handshake = request.is_handshake && self.server.websocket().is_some();
        // The 101 is written past the outbox, behind everything that is in there.
        if is_handshake && !self.flush() {
            return Taken::Not;
        }
        let route = match self.server.way(&method, request.target, is_handshake) {
            Way::Static(route) if request.is_bare => return self.answer_plainly(&route),
            Way::Handler(number) => Some(number),
            Way::Fetch => None,
            Way::Static(_) | Way::Directory(..) | Way::Nobody | Way::NoWebSocket => return Taken::Not,
        };
        let Some(exchange) = Exchange::withheld(self, method, request, route) else { return Taken::Not };
        self.begin_request(is_handshake || !request.content.is_empty());
        *self.exchange.borrow_mut() = Some(Rc::clone(&exchange));
        exchange.announce();
        Taken::Announced
    }

    /// Answers a GET that says nothing but its target.
    fn answer_plainly(self: &Rc<Self>, route: &StaticRoute) -> Taken {
        let engine = &self.server.engine;
        let mut head = engine.head.borrow_mut();
        head.clear();
        let Some(content) = route.write_plain(&mut head, &engine.date()) else { return Taken::Not };
        self.begin_request(false);
        self.send_prepared(&head, content);
        Taken::Answered
    }

    /// Takes requests past hyper, until there is something for hyper to read. Returns false at the end of the stream.
    fn poll_past_hyper(self: &Rc<Self>, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.handed_over.borrow().is_empty() {
            return Poll::Ready(Ok(true));
        }
        self.poll_input(cx, FIRST_READ, |bytes| {
            *self.handed_over.borrow_mut() = Bytes::copy_from_slice(bytes);
        })
    }

    /// Waits for bytes that are not taken past hyper, and gives at most `room` of them. Returns false at the end of the stream.
    fn poll_input(
        self: &Rc<Self>,
        cx: &mut Context<'_>,
        room: usize,
        give: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<bool>> {
        // The next request waits its turn.
        if self.withholds() {
            return Poll::Pending;
        }
        let engine = &self.server.engine;
        let mut framing = self.framing.borrow_mut();
        let mut scratch = engine.scratch.borrow_mut();
        let room = room.min(scratch.len());
        // What has been kept comes first.
        let mut fresh = 0;
        let mut reads_left = READS_PER_POLL;
        loop {
            let is_content = framing.is_in_content();
            let is_answered = match framing.receive_request(&mut scratch[..fresh], room) {
                Ok(([], _)) => false,
                Ok((bytes, whole)) => match whole.map_or(Taken::Not, |whole| self.take_past_hyper(&whole)) {
                    Taken::Answered => true,
                    Taken::Announced => return Poll::Pending,
                    Taken::Not => {
                        give(bytes);
                        if is_content {
                            self.receive_content(bytes.len());
                        }
                        return Poll::Ready(Ok(true));
                    }
                },
                Err(refusal) => {
                    drop((framing, scratch));
                    // The connection ends without hyper.
                    self.refuse(refusal);
                    return Poll::Pending;
                }
            };
            fresh = 0;
            if reads_left == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            reads_left -= 1;
            // Another request may be here already.
            if is_answered {
                continue;
            }
            match self.transport.poll_read(cx, &mut ReadBuf::new(&mut scratch[..room])) {
                Poll::Pending => {
                    if framing.is_in_content() {
                        self.awaits_content.set(true);
                        self.idle.borrow_mut().resume(engine.now());
                        self.arm();
                    }
                    return Poll::Pending;
                }
                // Behind its end nothing is waited for, and by `part` not for long.
                Poll::Ready(Ok(0)) if !self.flush() => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(false)),
                Poll::Ready(count) => fresh = count?,
            }
        }
    }

    /// Has hyper hear of the request being answered, if it has not. Returns whether it is about to.
    fn reveal(&self) -> bool {
        let exchange = self.exchange.borrow().clone();
        exchange.is_some_and(|exchange| exchange.hand_over())
    }

    /// hyper is to read this next.
    pub(crate) fn hand_over(&self, request: Bytes) {
        *self.handed_over.borrow_mut() = request;
        self.rouse();
    }

    /// Whether a request is being answered that hyper does not hear of.
    fn withholds(&self) -> bool {
        self.exchange.borrow().as_ref().is_some_and(|exchange| exchange.is_withheld())
    }

    /// So many seconds may pass without a sign of life while this request is answered and until the next one comes.
    pub(crate) fn set_timeout(&self, seconds: f64) {
        self.idle.borrow_mut().set(self.server.engine.now(), idle::timeout_of(seconds));
        self.arm();
    }

    /// Makes the clock look at this connection no later than its deadline.
    fn arm(&self) {
        let deadline = self.idle.borrow().deadline();
        if deadline < self.armed.get() {
            self.armed.set(deadline);
            self.server.engine.watch_connection(deadline, self.server.key, self.key);
        }
    }

    /// The clock looks at this connection.
    pub(crate) fn reach_deadline(&self, now: u64) {
        // An entry from before the deadline was brought forward: another one has taken its place.
        if self.armed.get() > now {
            return;
        }
        self.armed.set(u64::MAX);
        let expiry = self.idle.borrow_mut().expire(now);
        match expiry {
            Expiry::None => {}
            Expiry::Look if self.transport.is_closed_by_peer() => self.half_close(),
            Expiry::Look => {}
            Expiry::TimedOut => return self.time_out(),
        }
        self.arm();
    }

    fn time_out(&self) {
        if matches!(*self.fate.borrow(), Fate::Upgrade(_)) {
            return;
        }
        let engine = &self.server.engine;
        let warns = self.server.http.warns_of_timeout && self.exchange.borrow().is_some();
        if warns && !engine.has_warned.replace(true) {
            engine.push(Event::TimedOut);
        }
        self.decide(Fate::Cut);
    }

    /// The peer has sent FIN, maybe because it has gone. An answer is still taken, but its handler has no more time than the timeout.
    fn half_close(&self) {
        self.is_half_closed.set(true);
        let exchange = self.exchange.borrow().clone();
        if let Some(exchange) = exchange {
            exchange.abort_signal();
        }
        self.idle.borrow_mut().restart(self.server.engine.now());
        self.arm();
    }

    /// Whether an answer prepared without hyper may be sent: nothing is on its way, and the connection goes on.
    pub(crate) fn takes_prepared(&self) -> bool {
        !self.waits_for_reader()
            && !self.speaks_1_0.get()
            && self.refusal.get().is_none()
            && matches!(*self.fate.borrow(), Fate::Serve)
    }

    /// Sends an answer that was prepared without hyper; a small one at the end of the turn, together with what others have to say. Returns false when
    /// the kernel has refused a part of it.
    pub(crate) fn send_prepared(self: &Rc<Self>, head: &[u8], content: &[u8]) -> bool {
        let engine = &self.server.engine;
        let length = head.len() + content.len();
        let is_small = length <= SMALL;
        let mut outbox = self.outbox.borrow_mut();
        let may_wait = is_small && engine.is_turning() && !outbox.is_overfull_with(length);
        outbox.write(&mut engine.spares.borrow_mut(), |out| {
            out.extend_from_slice(head);
            if is_small {
                out.extend_from_slice(content);
            }
        });
        drop(outbox);
        if !may_wait {
            return self.flush_with(if is_small { &[] } else { content });
        }
        if !self.is_dirty.replace(true) {
            engine.mark_answered(self);
        }
        true
    }

    /// The end of the turn has come.
    pub(crate) fn flush_dirty(&self) {
        self.is_dirty.set(false);
        self.flush();
    }

    /// See `Dirty`.
    #[cfg(target_os = "linux")]
    pub(crate) fn way_out(&self) -> (&Transport, &RefCell<Outbox>) {
        (&self.transport, &self.outbox)
    }

    /// Gives the kernel what it takes of the outbox; the task waits for the rest. Returns whether nothing is left.
    fn flush(&self) -> bool {
        self.outbox.borrow().is_empty() || (!self.outbox.borrow().is_blocked() && self.flush_with(&[]))
    }

    /// The same with `tail` behind what is there.
    fn flush_with(&self, tail: &[u8]) -> bool {
        let spares = &mut self.server.engine.spares.borrow_mut();
        let flushed = self.outbox.borrow_mut().flush_with(spares, tail, |slices| self.transport.send(slices));
        match flushed {
            Ok(0) => {}
            Ok(_) => self.gain_time(),
            Err(_) => self.decide(Fate::Cut),
        }
        let is_blocked = self.outbox.borrow().is_blocked();
        if is_blocked {
            self.rouse();
        }
        flushed.is_ok() && !is_blocked
    }

    /// Waits until the kernel has the outbox.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outbox.borrow().is_empty() {
            return Poll::Ready(Ok(()));
        }
        let spares = &mut self.server.engine.spares.borrow_mut();
        let flushed = self.outbox.borrow_mut().flush(spares, |slices| match self.poll_send(cx, slices) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        });
        if flushed? > 0 {
            self.gain_time();
        }
        if self.outbox.borrow().is_blocked() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Waits until the kernel has what it has refused of the outbox. An error ends the connection.
    fn poll_unblocked(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.outbox.borrow().is_blocked() {
            return Poll::Ready(());
        }
        if ready!(self.poll_flush(cx)).is_err() {
            *self.fate.borrow_mut() = Fate::Cut;
            return Poll::Ready(());
        }
        let exchange = self.exchange.borrow().clone();
        if let Some(exchange) = exchange.filter(|exchange| exchange.is_answered_past_hyper()) {
            exchange.finish(false);
        }
        Poll::Ready(())
    }

    fn poll_send(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.transport.send(slices) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.transport.poll_send(cx, slices),
            result => Poll::Ready(result),
        }
    }

    /// The connection is cut: what the kernel has refused of the outbox does not go out any more.
    fn give_up_refused(&self) {
        if self.outbox.borrow().is_blocked() {
            self.outbox.borrow_mut().clear();
            self.transport.forget_unsent();
        }
    }

    /// Ends the connection with RST, behind the answers that were given before.
    fn reset(&self) {
        self.flush();
        self.transport.reset();
    }

    /// The peer takes bytes of an answer, or is to take them from now on.
    pub(super) fn show_life(&self) {
        self.idle.borrow_mut().restart(self.server.engine.now());
        self.arm();
    }

    /// The peer takes bytes of the outbox. The handler of a request behind them may be at work.
    pub(crate) fn gain_time(&self) {
        self.idle.borrow_mut().prolong(self.server.engine.now());
        self.arm();
    }

    /// The peer has ended its side before the answer.
    pub(crate) fn is_half_closed(&self) -> bool {
        self.is_half_closed.get()
    }

    pub(crate) fn decide(&self, fate: Fate) {
        *self.fate.borrow_mut() = fate;
        self.rouse();
    }

    /// The server stops. With `cut` nobody waits for what is in flight. A connection on its way to WebSocket is none of this.
    pub(crate) fn stop(&self, cut: bool) {
        if matches!(*self.fate.borrow(), Fate::Upgrade(..)) {
            return;
        }
        let is_over = cut || (self.is_idle() && self.flush());
        self.decide(if is_over { Fate::Cut } else { Fate::Finish });
        if is_over {
            let exchange = self.exchange.borrow().clone();
            if let Some(exchange) = exchange {
                exchange.finish(true);
            }
        }
    }

    pub(crate) fn rouse(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// hyper has the whole answer of this exchange, which is over when the answer has gone out. No other answer is given before that.
    pub(crate) fn finish_when_flushed(&self, exchange: Rc<Exchange>) {
        *self.flushing.borrow_mut() = Some(exchange);
    }

    fn is_flushing(&self, exchange: &Exchange) -> bool {
        self.flushing.borrow().as_ref().is_some_and(|flushing| flushing.key == exchange.key)
    }

    /// This exchange is over; the next one may come.
    pub(crate) fn release(&self, exchange: &Exchange) {
        self.exchange.borrow_mut().take_if(|current| current.key == exchange.key);
        // Behind a request that hyper knows of it looks by itself.
        let is_told = || self.is_half_closed.get() || self.is_ended.get() || self.transport.has_unread();
        if self.server.is_stopping()
            || (exchange.is_withheld() && (is_told() || self.framing.borrow().has_next()))
        {
            self.rouse();
        }
    }

    /// Answers a request that JavaScript does not hear of.
    fn answer_at_once(&self, request: Request<Incoming>, response: Response<ResponseBody>) -> Answer {
        if !request.body().is_end_stream() {
            drain(&self.server.engine, request.into_body());
        }
        if self.server.is_stopping() {
            self.rouse();
        }
        if has_option(response.headers(), "close") {
            self.is_last.set(true);
        }
        self.show_life();
        // Before it writes this, hyper may read another request.
        self.is_unflushed.set(true);
        Answer(Waiting::Given(Box::new(response)))
    }

    /// The environment is going away: lets go of what refers back to the connection.
    pub(crate) fn abandon(&self) {
        self.exchange.take();
        self.flushing.take();
        *self.fate.borrow_mut() = Fate::Cut;
    }

    /// No longer a connection of its server.
    fn leave(&self) {
        for exchange in [self.exchange.take(), self.flushing.take()].into_iter().flatten() {
            exchange.finish(true);
        }
        self.server.connections.borrow_mut().remove(self.key);
        self.server.connection_count.set(self.server.connection_count.get() - 1);
        self.server.check_stopped();
    }

    /// hyper reads nothing but content that is asked for while a request is being answered; this notices a client that goes away
    /// meanwhile. A FIN aborts the request's signal, an error also ends the connection.
    fn poll_half_close(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(exchange) = self.exchange.borrow().clone() else { return Poll::Pending };
        if self.is_half_closed.get() || exchange.reads_body() {
            return Poll::Pending;
        }
        if ready!(exchange.poll_ahead(cx)).is_err() {
            self.half_close();
            return Poll::Pending;
        }
        let framing = self.framing.borrow();
        match ready!(self.transport.poll_end(cx)) {
            // The next request waits its turn, and so does what is sent to a WebSocket.
            Ok(is_all) if framing.has_next() || (!is_all && !framing.is_in_content()) => {
                self.is_ended.set(true)
            }
            Ok(_) => self.half_close(),
            Err(_) => {
                *self.fate.borrow_mut() = Fate::Cut;
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Sends the last bytes and FIN, then reads and discards until the peer's FIN, so that no RST overtakes them; but not for ever. Who is still
    /// to send so much `content` may do so before it looks at the answer.
    async fn part(&self, farewell: &[u8], mut content: u64) {
        let engine = &self.server.engine;
        let mut lingering = None;
        let mut received = 0;
        let mut is_finished = false;
        if !farewell.is_empty() {
            let mut outbox = self.outbox.borrow_mut();
            outbox.write(&mut engine.spares.borrow_mut(), |out| out.extend_from_slice(farewell));
        }
        poll_fn(|cx| {
            let lingering =
                lingering.get_or_insert_with(|| Lingering::begin(engine, LINGER, false, cx.waker()));
            match self.poll_flush(cx) {
                Poll::Ready(Ok(())) if !mem::replace(&mut is_finished, true) => self.transport.finish(),
                Poll::Ready(Ok(())) | Poll::Pending => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
            }
            if lingering.as_ref().is_none_or(Lingering::is_over) {
                if lingering.is_none() || received < LEAST_PER_LINGER || content == 0 {
                    return Poll::Ready(());
                }
                received = 0;
                *lingering = Lingering::begin(engine, LINGER, false, cx.waker());
            }
            let mut scratch = engine.scratch.borrow_mut();
            for _ in 0..READS_PER_POLL {
                match ready!(self.transport.poll_read(cx, &mut ReadBuf::new(&mut scratch))) {
                    Ok(count) if count > 0 => {
                        received += count as u64;
                        content = content.saturating_sub(count as u64);
                    }
                    // Its FIN may come before the last bytes are out.
                    Ok(_) if !is_finished => return Poll::Pending,
                    _ => return Poll::Ready(()),
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// hyper's service: gives a request to JavaScript and waits for its answer.
struct Dispatch(Rc<Connection>);

impl Service<Request<Incoming>> for Dispatch {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let connection = &self.0;
        let speaks_1_0 = request.version() == Version::HTTP_10;
        connection.speaks_1_0.set(speaks_1_0);
        let wants_more = !speaks_1_0 || has_option(request.headers(), "keep-alive");
        connection.is_last.set(!wants_more || has_option(request.headers(), "close"));
        let withheld = connection.exchange.borrow().clone().filter(|exchange| exchange.is_withheld());
        if let Some(exchange) = withheld {
            exchange.reveal();
            // Its handler has it.
            drain(&connection.server.engine, request.into_body());
            return Answer(Waiting::Answer(exchange));
        }
        let is_handshake = request.headers().contains_key(header::SEC_WEBSOCKET_KEY)
            && connection.server.websocket().is_some();
        let may_take_its_time = is_handshake || !request.body().is_end_stream();
        connection.begin_request(false);
        let way = {
            let framing = connection.framing.borrow();
            let is_handshake = routes::is_handshake(request.method(), request.headers());
            connection.server.way(request.method(), framing.target(), is_handshake)
        };
        let route = match &way {
            Way::Static(route) => {
                let response = route.answer(request.method(), request.headers());
                return connection.answer_at_once(request, response);
            }
            Way::Nobody => return connection.answer_at_once(request, not_found()),
            Way::NoWebSocket => return Answer::refusal(http::StatusCode::FORBIDDEN),
            Way::Handler(number) => Some(*number),
            Way::Fetch | Way::Directory(..) => None,
        };
        let Some(exchange) = Exchange::new(connection, request, route) else {
            return Answer::refusal(http::StatusCode::SERVICE_UNAVAILABLE);
        };
        *connection.exchange.borrow_mut() = Some(Rc::clone(&exchange));
        if let Way::Directory(directory, rest) = way {
            directory.serve(&exchange, connection.framing.borrow().target(), rest);
            return Answer(Waiting::Answer(exchange));
        }
        Answer(Waiting::Announce(exchange, may_take_its_time))
    }
}

/// The answer to a request, once JavaScript has given it.
pub(crate) struct Answer(Waiting);

enum Waiting {
    /// JavaScript hears of the request when everything before it is on its way: an upgrade writes past hyper. From then on its handler may take
    /// its time, or not.
    Announce(Rc<Exchange>, bool),
    Answer(Rc<Exchange>),
    /// It is there already.
    Given(Box<Response<ResponseBody>>),
    Done,
}

impl Answer {
    fn refusal(status: http::StatusCode) -> Self {
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Self(Waiting::Given(Box::new(response)))
    }
}

/// Whether the Connection field names an option (RFC 9110 §7.6.1).
fn has_option(fields: &HeaderMap, option: &str) -> bool {
    let values = fields.get_all(header::CONNECTION).into_iter();
    let mut named = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    named.any(|name| name.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
}

fn not_found() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    // hyper says it by itself, except to HEAD.
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

impl Future for Answer {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match std::mem::replace(&mut self.0, Waiting::Done) {
                Waiting::Announce(exchange, may_take_its_time) => {
                    if exchange.connection.is_unflushed.get() || !exchange.connection.flush() {
                        self.0 = Waiting::Announce(exchange, may_take_its_time);
                        return Poll::Pending;
                    }
                    if may_take_its_time {
                        exchange.connection.stop_timer();
                    }
                    exchange.announce();
                    self.0 = Waiting::Answer(exchange);
                }
                Waiting::Answer(exchange) => {
                    let connection = &exchange.connection;
                    // hyper must know that it is the last one before it writes it.
                    if matches!(*connection.fate.borrow(), Fate::Finish) && !connection.is_finishing.get() {
                        connection.rouse();
                        self.0 = Waiting::Answer(exchange);
                        return Poll::Pending;
                    }
                    let Poll::Ready(response) = exchange.poll_reply(cx) else {
                        self.0 = Waiting::Answer(exchange);
                        return Poll::Pending;
                    };
                    if has_option(response.headers(), "close") {
                        connection.is_last.set(true);
                    }
                    connection.is_unflushed.set(true);
                    return Poll::Ready(Ok(response));
                }
                Waiting::Given(response) => return Poll::Ready(Ok(*response)),
                Waiting::Done => unreachable!("polled after completion"),
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Waiting::Announce(exchange, _) | Waiting::Answer(exchange) = &self.0 {
            let is_upgraded = exchange.is_upgraded();
            if !is_upgraded {
                exchange.finish(true);
            }
        }
    }
}

/// hyper's view of the transport.
struct Io(Rc<Connection>);

impl Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = &self.0;
        if !connection.handed_over.borrow().is_empty() {
            let mut request = connection.handed_over.borrow_mut();
            let count = request.len().min(buf.remaining());
            buf.put_slice(&request.split_to(count));
            return Poll::Ready(Ok(()));
        }
        // Without a byte it is the end.
        connection.poll_input(cx, buf.remaining(), |bytes| buf.put_slice(bytes)).map_ok(drop)
    }
}

impl Io {
    /// Sends the beginning of an answer with what hyper leaves out: it names the client's version instead of its own (RFC 9112 §2.3),
    /// and does not tell of chunks in the answer to HEAD.
    fn poll_send_head(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let (speaks_1_0, hides_chunks) = (self.0.speaks_1_0.take(), self.0.hides_chunks.take());
        let head =
            slices[0].strip_prefix(b"HTTP/1.0".as_slice()).or_else(|| slices[0].strip_prefix(b"HTTP/1.1"));
        let line_end = head.and_then(|head| head.iter().position(|&byte| byte == b'\n'));
        // An interim answer, or one of hyper's own.
        let (Some(head), Some(line_end)) = (head, line_end) else { return self.poll_send(cx, slices) };
        let (line, fields) = head.split_at(line_end + 1);
        let mut fixed = vec![IoSlice::new(b"HTTP/1.1"), IoSlice::new(line)];
        if hides_chunks {
            fixed.push(IoSlice::new(CHUNKED));
        }
        fixed.push(IoSlice::new(fields));
        fixed.extend_from_slice(&slices[1..]);
        match self.poll_send(cx, &fixed) {
            Poll::Pending => {
                self.0.speaks_1_0.set(speaks_1_0);
                self.0.hides_chunks.set(hides_chunks);
                Poll::Pending
            }
            Poll::Ready(Ok(sent)) if hides_chunks => {
                match sent.checked_sub(b"HTTP/1.1".len() + line.len() + CHUNKED.len()) {
                    // hyper does not count what it has not written.
                    Some(_) => Poll::Ready(Ok(sent - CHUNKED.len())),
                    // A kernel buffer with room for half a line: hyper cannot go on from there, so the connection ends.
                    None => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                }
            }
            sent => sent,
        }
    }

    fn poll_send(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.0.is_unflushed.set(true);
        ready!(self.0.poll_flush(cx))?;
        if self.0.speaks_1_0.get() || self.0.hides_chunks.get() {
            return self.poll_send_head(cx, slices);
        }
        let sent = self.0.poll_send(cx, slices);
        if matches!(sent, Poll::Ready(Ok(_))) {
            self.0.show_life();
        }
        sent
    }
}

/// The slices as one piece, if there are several and they fit into `buffer`.
fn gather<'a>(slices: &[IoSlice<'_>], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = slices.iter().map(|slice| slice.len()).sum();
    if slices.len() < 2 || length > buffer.len() {
        return None;
    }
    let mut rest = &mut *buffer;
    for slice in slices {
        let (place, next) = rest.split_at_mut(slice.len());
        place.copy_from_slice(slice);
        rest = next;
    }
    Some(&buffer[..length])
}

impl Write for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut scratch = self.0.server.engine.scratch.borrow_mut();
        match gather(slices, &mut scratch[..SMALL]) {
            Some(bytes) => self.poll_send(cx, &[IoSlice::new(bytes)]),
            None => self.poll_send(cx, slices),
        }
    }

    /// hyper flushes when its own buffer is empty.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(exchange) = self.0.flushing.take() {
            exchange.finish(false);
        }
        // The next request may be waiting for this to be announced.
        if self.0.is_unflushed.replace(false) && self.0.exchange.borrow().is_some() {
            self.0.rouse();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.transport.finish();
        Poll::Ready(Ok(()))
    }
}
