//! One HTTP connection: hyper over a transport, until it ends, is cut, or becomes a WebSocket.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use http::{HeaderValue, Request, Response, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::Service;
use tokio::io::ReadBuf;

use super::body::ResponseBody;
use super::exchange::{Exchange, drain};
use super::routes::Way;
use crate::server::connection::{Life, Socket};
use crate::server::instance::Server;
use crate::server::slots::Key;
use crate::server::transport::Transport;

/// See the module.
pub(crate) struct Connection {
    key: Key,
    pub(crate) server: Rc<Server>,
    pub(crate) transport: Rc<Transport>,
    /// The request being answered.
    exchange: RefCell<Option<Rc<Exchange>>>,
    fate: RefCell<Fate>,
    waker: RefCell<Option<Waker>>,
    /// hyper holds bytes that it has not given to the transport.
    is_unflushed: Cell<bool>,
    /// Bytes of a request have come that hyper has not made a request of.
    has_partial_head: Cell<bool>,
    /// The next bytes out begin the answer to a request of HTTP/1.0.
    speaks_1_0: Cell<bool>,
    /// The next bytes out begin the answer to a HEAD request whose answer to GET would be chunked.
    pub(crate) hides_chunks: Cell<bool>,
    /// The peer's FIN was seen while a request was being answered.
    is_half_closed: Cell<bool>,
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
    /// It is a WebSocket; the first bytes from the peer, as many as given, are the content of its handshake request.
    Upgrade(Rc<Socket>, usize),
}

const CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n";
/// How long a finished connection waits for the peer's FIN, in milliseconds.
const LINGER: u64 = 2_000;

/// Serves HTTP on a new connection.
pub(crate) fn start(server: &Rc<Server>, transport: Transport) {
    let mut connection = None;
    server.connections.borrow_mut().insert_with(|key| {
        let made = Rc::new(Connection {
            key,
            server: Rc::clone(server),
            transport: Rc::new(transport),
            exchange: RefCell::default(),
            fate: RefCell::new(Fate::Serve),
            waker: RefCell::default(),
            is_unflushed: Cell::new(false),
            has_partial_head: Cell::new(false),
            speaks_1_0: Cell::new(false),
            hides_chunks: Cell::new(false),
            is_half_closed: Cell::new(false),
        });
        connection = Some(Rc::clone(&made));
        made
    });
    // Without a place left the connection is dropped, as with a full backlog.
    if let Some(connection) = connection {
        server.connection_count.set(server.connection_count.get() + 1);
        server.engine.spawn(serve(connection));
    }
}

async fn serve(connection: Rc<Connection>) {
    let mut http = http1::Builder::new()
        .half_close(true)
        .max_buf_size(64 * 1024)
        .serve_connection(Io(Rc::clone(&connection)), Dispatch(Rc::clone(&connection)));
    let mut is_finishing = false;
    let end = poll_fn(|cx| {
        *connection.waker.borrow_mut() = Some(cx.waker().clone());
        match &*connection.fate.borrow() {
            Fate::Serve => {}
            // A request whose head is half here is still answered.
            Fate::Finish if is_finishing || connection.has_partial_head() => {}
            Fate::Finish => {
                is_finishing = true;
                Pin::new(&mut http).graceful_shutdown();
            }
            Fate::Cut | Fate::Reset | Fate::Upgrade(..) => return Poll::Ready(Ok(())),
        }
        if let Poll::Ready(end) = http.poll_without_shutdown(cx) {
            return Poll::Ready(end);
        }
        connection.poll_half_close(cx)
    })
    .await;

    match connection.fate.replace(Fate::Cut) {
        Fate::Upgrade(socket, mut skip) => {
            // hyper may have taken some of the request's content already.
            let body = connection.exchange.borrow().as_ref().and_then(|exchange| exchange.take_body());
            if let Some(mut body) = body {
                poll_fn(|cx| {
                    while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(cx) {
                        skip -= frame.data_ref().map_or(0, |data| data.len()).min(skip);
                    }
                    Poll::Ready(())
                })
                .await;
            }
            let early = http.into_parts().read_buf;
            // A new, small task: an idle WebSocket does not carry hyper's state.
            let engine = Rc::clone(&connection.server.engine);
            // JavaScript lets go of the exchange when its handler returns.
            connection.exchange.take();
            connection.leave();
            // A copy: hyper's buffer is far bigger than what is in it.
            engine.spawn(Life::new(socket, early.to_vec(), skip));
        }
        Fate::Cut => {
            drop(http);
            connection.leave();
            connection.transport.finish();
        }
        Fate::Reset => {
            drop(http);
            connection.leave();
            connection.transport.reset();
        }
        Fate::Serve | Fate::Finish => {
            drop(http);
            connection.leave();
            match end {
                // A body of ours that failed on its way.
                Err(error) if error.is_user() => connection.transport.reset(),
                Ok(()) | Err(_) => {
                    connection.transport.finish();
                    connection.linger().await;
                }
            }
        }
    }
}

impl Connection {
    /// Whether no request is being received or answered.
    fn is_idle(&self) -> bool {
        self.exchange.borrow().is_none() && !self.is_unflushed.get() && !self.has_partial_head.get()
    }

    /// Whether a request has begun to arrive.
    fn has_partial_head(&self) -> bool {
        self.has_partial_head.get() && self.exchange.borrow().is_none()
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
        let is_over = cut || self.is_idle();
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

    /// The exchange is over; the next one may come.
    pub(crate) fn release(&self) {
        self.exchange.take();
        if self.server.is_stopping() {
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
        Answer(Waiting::Given(Box::new(response)))
    }

    /// The environment is going away: lets go of what refers back to the connection.
    pub(crate) fn abandon(&self) {
        self.exchange.take();
        *self.fate.borrow_mut() = Fate::Cut;
    }

    /// No longer a connection of its server.
    fn leave(&self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.finish(true);
        }
        self.server.connections.borrow_mut().remove(self.key);
        self.server.connection_count.set(self.server.connection_count.get() - 1);
        self.server.check_stopped();
    }

    /// hyper does not read while a request is being answered; this notices a client that goes away meanwhile. A FIN aborts the
    /// request's signal, an error also ends the connection.
    fn poll_half_close(&self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        let Some(exchange) = self.exchange.borrow().clone() else { return Poll::Pending };
        if self.is_half_closed.get() || exchange.reads_body() {
            return Poll::Pending;
        }
        match ready!(self.transport.poll_peek(cx)) {
            // The next request waits its turn.
            Ok(true) => {}
            Ok(false) => {
                self.is_half_closed.set(true);
                exchange.abort_signal();
            }
            Err(_) => {
                *self.fate.borrow_mut() = Fate::Cut;
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }

    /// Reads and discards until the peer's FIN, so that no RST overtakes the answer.
    async fn linger(&self) {
        let engine = &self.server.engine;
        let deadline = engine.now() + LINGER;
        let mut is_armed = false;
        poll_fn(|cx| {
            if !std::mem::replace(&mut is_armed, true) {
                engine.wake_after(LINGER, cx.waker().clone());
            }
            if engine.now() >= deadline {
                return Poll::Ready(());
            }
            let mut scratch = engine.scratch.borrow_mut();
            for _ in 0..4 {
                match ready!(self.transport.poll_read(cx, &mut ReadBuf::new(&mut scratch))) {
                    Ok(count) if count > 0 => {}
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
        connection.has_partial_head.set(false);
        connection.speaks_1_0.set(request.version() == Version::HTTP_10);
        let is_without_host =
            request.version() == Version::HTTP_11 && !request.headers().contains_key(header::HOST);
        if is_without_host {
            // RFC 9112 §3.2: a server MUST respond with 400 to a request without a Host field.
            return Answer::refusal(http::StatusCode::BAD_REQUEST);
        }
        let target = request.uri().to_string();
        let way = connection.server.way(request.method(), target.as_bytes(), request.headers());
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
            directory.serve(&exchange, target.as_bytes(), rest);
            return Answer(Waiting::Answer(exchange));
        }
        Answer(Waiting::Announce(exchange))
    }
}

/// The answer to a request, once JavaScript has given it.
pub(crate) struct Answer(Waiting);

enum Waiting {
    /// JavaScript hears of the request when everything before it is on its way: an upgrade writes past hyper.
    Announce(Rc<Exchange>),
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
                Waiting::Announce(exchange) => {
                    if exchange.connection.is_unflushed.get() {
                        self.0 = Waiting::Announce(exchange);
                        return Poll::Pending;
                    }
                    exchange.announce();
                    self.0 = Waiting::Answer(exchange);
                }
                Waiting::Answer(exchange) => {
                    let Poll::Ready(response) = exchange.poll_reply(cx) else {
                        self.0 = Waiting::Answer(exchange);
                        return Poll::Pending;
                    };
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
        if let Waiting::Announce(exchange) | Waiting::Answer(exchange) = &self.0 {
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
        let engine = &self.0.server.engine;
        let mut scratch = engine.scratch.borrow_mut();
        let room = buf.remaining().min(scratch.len());
        let mut buffer = ReadBuf::new(&mut scratch[..room]);
        let count = ready!(self.0.transport.poll_read(cx, &mut buffer))?;
        if count > 0 && self.0.exchange.borrow().is_none() {
            self.0.has_partial_head.set(true);
        }
        buf.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
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
        if self.0.speaks_1_0.get() || self.0.hides_chunks.get() {
            return self.poll_send_head(cx, slices);
        }
        match self.0.transport.send(slices) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.transport.poll_send(cx, slices),
            result => Poll::Ready(result),
        }
    }
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
        self.poll_send(cx, slices)
    }

    /// hyper flushes when its own buffer is empty.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.is_unflushed.replace(false) {
            // An answer may be waiting for this to announce its request.
            self.0.rouse();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.transport.finish();
        Poll::Ready(Ok(()))
    }
}
