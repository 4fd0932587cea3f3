//! One WebSocket: the only place where a transport meets receiver and outbox. It is shared by its task, which reads and waits,
//! and by JavaScript, which sends and closes; both run on the same thread.
//!
//! Every ending goes through [`Socket::end`], which unsubscribes, writes the Close frame that is due and leaves the rest to the
//! task: flush, FIN, then read and discard until the peer's FIN, so that no RST overtakes the Close frame.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::ReadBuf;

use super::config::WebSocketConfig;
use super::engine::{Dirty, Engine};
use super::event::{Ending, Event, Held, Undelivered};
use super::instance::Server;
use super::lingering::Lingering;
use super::outbox::{CORK_CAPACITY, Outbox, Spares};
use super::publication::Publication;
use super::slots::Key;
use super::subscriptions::Subscriptions;
use super::transport::Transport;
use crate::websocket::close::{truncate_reason, write_close};
use crate::websocket::deflate::Compressor;
use crate::websocket::extensions::Agreed;
use crate::websocket::frame::{Opcode, write_frame, write_header};
use crate::websocket::inflate::Decompressor;
use crate::websocket::receiver::{Event as Received, Limits, Receiver};
use crate::websocket::timers::{Expiry, Idle};

/// See the module.
pub(crate) struct Socket {
    pub(crate) key: Key,
    pub(crate) server: Rc<Server>,
    transport: Rc<Transport>,
    config: RefCell<Rc<WebSocketConfig>>,
    receiver: RefCell<Receiver>,
    /// Present where the server may compress.
    compressor: RefCell<Option<Compressor>>,
    outbox: RefCell<Outbox>,
    idle: Cell<Idle>,
    /// When the clock looks at `idle` next.
    armed: Cell<u64>,
    topics: RefCell<Subscriptions>,
    /// The task's, to rouse it.
    waker: RefCell<Option<Waker>>,
    is_open: Cell<bool>,
    is_paused: Cell<bool>,
    /// What waits for JavaScript to be done with the messages before; reading rests meanwhile.
    #[expect(clippy::box_collection, reason = "one word of every socket for what hardly any has")]
    held: RefCell<Option<Box<VecDeque<Held>>>>,
    /// Nothing more is read for JavaScript: an ending is on its way.
    is_deaf: Cell<bool>,
    is_dirty: Cell<bool>,
    drain_is_queued: Cell<bool>,
    fin_is_sent: Cell<bool>,
    /// Counted in `Engine::flushing`.
    is_flushing: Cell<bool>,
}

/// What became of a message or control frame that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The kernel or the cork has all of it.
    Accepted,
    /// Queued in full behind what the kernel refused.
    Buffered,
    /// Nothing of it was taken: the socket is closed or over its limit.
    Dropped,
}

/// Buffered bytes beyond which a peer that pings and does not read gets no pongs, whatever its `backpressureLimit`.
const MAX_BACKLOG_FOR_PONG: usize = 16 * 1024 * 1024;
/// How long a closed socket waits for the peer's FIN, in milliseconds; longer only where `Server::awaits_peers` says so.
const LINGER: u64 = 10_000;
/// Bytes of a read of a serial socket: what it may have to hold, beside an unfinished message.
const SERIAL_READ: usize = 16 * 1024;
/// Bytes of a read, so that one socket does not take all the room there is: the largest message that a read gets whole.
const MOST_AT_ONCE: usize = 128 * 1024;
/// Reads of one socket before the others get their turn.
const READS_PER_POLL: usize = 4;

impl Socket {
    /// An open socket on `transport` that says `greeting` first.
    pub(crate) fn new(
        key: Key,
        server: Rc<Server>,
        transport: Rc<Transport>,
        config: Rc<WebSocketConfig>,
        agreed: Option<&Agreed>,
        greeting: impl FnOnce(&mut Vec<u8>),
    ) -> Rc<Self> {
        let engine = Rc::clone(&server.engine);
        let now = engine.now();
        let socket = Rc::new(Self {
            key,
            server,
            transport,
            config: RefCell::new(config),
            receiver: RefCell::new(Receiver::new(agreed.map(Decompressor::new))),
            compressor: RefCell::new(agreed.and_then(Compressor::new)),
            outbox: RefCell::default(),
            idle: Cell::new(Idle::new(now)),
            armed: Cell::new(u64::MAX),
            topics: RefCell::default(),
            waker: RefCell::new(None),
            is_open: Cell::new(true),
            is_paused: Cell::new(false),
            held: RefCell::default(),
            is_deaf: Cell::new(false),
            is_dirty: Cell::new(false),
            drain_is_queued: Cell::new(false),
            fin_is_sent: Cell::new(false),
            is_flushing: Cell::new(false),
        });
        socket.outbox.borrow_mut().write(&mut engine.spares.borrow_mut(), greeting);
        socket.mark_dirty();
        socket.arm();
        socket
    }

    fn engine(&self) -> &Engine {
        &self.server.engine
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open.get()
    }

    /// The peer's address as text, `""` on a Unix socket.
    pub(crate) fn remote_address(&self) -> String {
        self.transport.peer().map(|peer| peer.ip().to_string()).unwrap_or_default()
    }

    /// Bytes the kernel has refused, frame headers included.
    pub(crate) fn buffered_amount(&self) -> usize {
        self.outbox.borrow().buffered_amount()
    }

    /// Sends one frame, uncompressed.
    pub(crate) fn send(self: &Rc<Self>, opcode: Opcode, payload: &[u8]) -> Sent {
        if payload.len() < CORK_CAPACITY {
            return self
                .enqueue(|outbox, spares| outbox.write(spares, |out| write_frame(out, opcode, payload)));
        }
        // It leaves at once, so it leaves from where it lies.
        self.enqueue_with(payload, |outbox, spares| {
            outbox.write(spares, |out| write_header(out, opcode, payload.len(), false));
        })
    }

    /// Sends one message, compressed if that was agreed to and `asked` for. `None` leaves it to the size of the message.
    pub(crate) fn send_message(self: &Rc<Self>, opcode: Opcode, payload: &[u8], asked: Option<bool>) -> Sent {
        let mut compressor = self.compressor.borrow_mut();
        match &mut *compressor {
            Some(compressor) if self.config.borrow().should_compress(asked, payload.len(), false) => self
                .enqueue(|outbox, spares| {
                    let deflater = &mut self.engine().deflater.borrow_mut();
                    outbox.write(spares, |out| compressor.write_frame(deflater, out, opcode, payload));
                }),
            _ => self.send(opcode, payload),
        }
    }

    /// Sends a message that others get too.
    pub(crate) fn send_published(self: &Rc<Self>, publication: &mut Publication<'_>) -> Sent {
        let mut compressor = self.compressor.borrow_mut();
        self.enqueue(|outbox, spares| {
            let Some(compressor) = compressor.as_mut().filter(|_| publication.compress) else {
                let frame = publication.plain(spares);
                return outbox.push(spares, frame);
            };
            let deflater = &mut self.engine().deflater.borrow_mut();
            match compressor.shared_window_bits() {
                Some(bits) => {
                    let frame = publication.compressed(spares, deflater, bits);
                    outbox.push(spares, frame);
                }
                None => outbox.write(spares, |out| {
                    compressor.write_frame(deflater, out, publication.opcode, publication.payload);
                }),
            }
        })
    }

    /// Answers a ping (RFC 6455 §5.5.2), unless the peer is so far behind that its pongs would pile up.
    pub(crate) fn send_owed_pong(self: &Rc<Self>, payload: &[u8]) {
        if self.buffered_amount() <= MAX_BACKLOG_FOR_PONG {
            self.send(Opcode::Pong, payload);
        }
    }

    fn enqueue(self: &Rc<Self>, push: impl FnOnce(&mut Outbox, &mut Spares)) -> Sent {
        self.enqueue_with(&[], push)
    }

    /// What `push` pushes, and `tail` behind it.
    fn enqueue_with(self: &Rc<Self>, tail: &[u8], push: impl FnOnce(&mut Outbox, &mut Spares)) -> Sent {
        if !self.is_open.get() {
            return Sent::Dropped;
        }
        let mut outbox = self.outbox.borrow_mut();
        let config = self.config.borrow();
        // The limit is tested before the bytes are accepted, so that one message of any size fits.
        if config.backpressure_limit.is_some_and(|limit| outbox.buffered_amount() > limit) {
            if config.close_on_backpressure_limit && !self.is_deaf.replace(true) {
                self.engine().push(Event::End { socket: Rc::clone(self), ending: Ending::Overflow });
            }
            return Sent::Dropped;
        }
        let mut spares = self.engine().spares.borrow_mut();
        push(&mut outbox, &mut spares);
        if outbox.is_overfull_with(tail.len()) {
            drop((outbox, spares));
            self.flush_with(tail);
        } else {
            if !tail.is_empty() {
                outbox.write(&mut spares, |out| out.extend_from_slice(tail));
            }
            drop((outbox, spares));
            self.mark_dirty();
        }
        if !config.idle.send_pings {
            self.update_idle(|idle| idle.sent(self.engine().now(), &config.idle));
        }
        if self.outbox.borrow().is_blocked() { Sent::Buffered } else { Sent::Accepted }
    }

    fn mark_dirty(self: &Rc<Self>) {
        if !self.is_dirty.replace(true) {
            self.engine().mark_dirty(Dirty::Socket(Rc::clone(self)));
        }
    }

    /// The end of the turn has come for a dirty socket.
    pub(crate) fn flush_dirty(self: &Rc<Self>) {
        self.is_dirty.set(false);
        if !self.outbox.borrow().is_blocked() {
            self.flush();
        }
    }

    /// See `Dirty`.
    #[cfg(target_os = "linux")]
    pub(crate) fn way_out(&self) -> (&Transport, &RefCell<Outbox>) {
        (&self.transport, &self.outbox)
    }

    /// Gives the kernel what it takes; the task waits for the rest.
    fn flush(self: &Rc<Self>) {
        self.flush_with(&[]);
    }

    /// The same with `tail` behind what is there.
    fn flush_with(self: &Rc<Self>, tail: &[u8]) {
        let flushed =
            self.outbox.borrow_mut().flush_with(&mut self.engine().spares.borrow_mut(), tail, |slices| {
                self.transport.send(slices)
            });
        match flushed {
            Ok(_) if self.outbox.borrow().is_blocked() => self.rouse(),
            Ok(_) => {}
            Err(_) => self.lose(),
        }
        self.finish_if_done();
    }

    /// The connection is broken: nothing can be sent, nothing will come.
    fn lose(self: &Rc<Self>) {
        self.give_up_unsent();
        self.hear_no_more();
    }

    /// Nothing will come. What is said until JavaScript knows is still sent, in its order.
    fn hear_no_more(self: &Rc<Self>) {
        if self.is_open.get() && !self.is_deaf.replace(true) {
            self.engine().push(Event::End { socket: Rc::clone(self), ending: Ending::Lost });
        }
    }

    fn give_up_unsent(&self) {
        self.outbox.borrow_mut().clear();
        self.transport.forget_unsent();
    }

    fn rouse(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Subscribes to `topic`; a second time changes nothing.
    pub(crate) fn subscribe(&self, topic: &str) {
        let mut topics = self.topics.borrow_mut();
        if let Some(name) = self.server.topics.subscribe(topic, self.key, topics.next_number()) {
            topics.push(name);
        }
    }

    /// Returns whether the socket was subscribed.
    pub(crate) fn unsubscribe(&self, topic: &str) -> bool {
        let number = self.server.topics.unsubscribe(topic, self.key);
        if let Some(number) = number {
            self.topics.borrow_mut().remove(number);
        }
        number.is_some()
    }

    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        self.server.topics.is_subscribed(topic, self.key)
    }

    /// The topics in the order of subscription.
    pub(crate) fn subscriptions(&self) -> Vec<Arc<str>> {
        self.topics.borrow().iter().cloned().collect()
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused.get()
    }

    /// Stops reading. What has been read already is still delivered.
    pub(crate) fn pause(&self) {
        if self.is_open.get() && !self.is_paused.replace(true) {
            self.update_idle(Idle::pause);
        }
    }

    /// Reads on.
    pub(crate) fn resume(self: &Rc<Self>) {
        if self.is_paused.replace(false) && !self.is_held() {
            self.read_on();
        }
    }

    fn read_on(self: &Rc<Self>) {
        self.update_idle(|idle| idle.resume(self.engine().now()));
        self.arm();
        self.rouse();
    }

    /// Whether each message waits until JavaScript is done with the one before.
    pub(crate) fn is_serial(&self) -> bool {
        self.config.borrow().serial
    }

    /// JavaScript takes no more events of this socket until `release`.
    pub(crate) fn hold(&self) {
        if self.is_open.get() {
            self.held.borrow_mut().get_or_insert_default();
            self.update_idle(Idle::pause);
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held.borrow().is_some()
    }

    /// Keeps an event of a held socket.
    pub(crate) fn keep(&self, event: Held) {
        if let Some(held) = &mut *self.held.borrow_mut() {
            held.push_back(event);
        }
    }

    /// JavaScript is done: what was kept comes before everything else, then reading goes on.
    pub(crate) fn release(self: &Rc<Self>) {
        let Some(held) = self.held.take() else { return };
        self.engine().events.borrow_mut().put_back(self, held.into_iter());
        if !self.is_paused.get() {
            self.read_on();
        }
    }

    /// Its configuration, which is its server's unless `upgrade()` gave it one.
    pub(crate) fn config(&self) -> Rc<WebSocketConfig> {
        Rc::clone(&self.config.borrow())
    }

    /// The server's configuration has changed.
    pub(crate) fn set_config(self: &Rc<Self>, config: &Rc<WebSocketConfig>) {
        *self.config.borrow_mut() = Rc::clone(config);
        self.arm();
    }

    fn update_idle<R>(&self, update: impl FnOnce(&mut Idle) -> R) -> R {
        let mut idle = self.idle.get();
        let result = update(&mut idle);
        self.idle.set(idle);
        result
    }

    /// Makes the clock look at this socket no later than its deadline.
    fn arm(self: &Rc<Self>) {
        let deadline = self.idle.get().deadline(&self.config.borrow().idle);
        if let Some(deadline) = deadline.filter(|&deadline| deadline < self.armed.get()) {
            self.armed.set(deadline);
            self.engine().watch_socket(deadline, self.key);
        }
    }

    /// The clock looks at this socket.
    pub(crate) fn reach_deadline(self: &Rc<Self>, now: u64) {
        // An entry from before a reload that brought the deadline forward: another one has taken its place.
        if self.armed.get() > now {
            return;
        }
        self.armed.set(u64::MAX);
        if self.is_deaf.get() {
            return;
        }
        let expiry = self.update_idle(|idle| idle.expire(now, &self.config.borrow().idle));
        match expiry {
            Expiry::None => {}
            Expiry::Ping => {
                self.send(Opcode::Ping, &[]);
            }
            Expiry::TimedOut => {
                self.is_deaf.set(true);
                self.engine().push(Event::End { socket: Rc::clone(self), ending: Ending::TimedOut });
            }
        }
        self.arm();
    }

    /// Ends an open socket: sends the Close frame if there is one, then FIN. `is_abrupt` gives up what the kernel has refused
    /// so far. Returns false when the socket was closed already.
    pub(crate) fn end(self: &Rc<Self>, close_frame: Option<(i32, &str)>, is_abrupt: bool) -> bool {
        if !self.is_open.get() {
            return false;
        }
        for topic in self.topics.take().iter() {
            self.server.topics.unsubscribe(topic, self.key);
        }
        let is_lost = is_abrupt && self.outbox.borrow().is_blocked();
        if let Some((code, reason)) = close_frame.filter(|_| !is_lost) {
            self.outbox.borrow_mut().write(&mut self.engine().spares.borrow_mut(), |out| {
                write_close(out, code, truncate_reason(reason));
            });
        }
        self.is_open.set(false);
        self.is_deaf.set(true);
        self.server.parting.borrow_mut().insert(self.key, Rc::clone(self));
        self.held.take();
        // What compression kept is of no use while the socket lingers.
        self.compressor.take();
        self.receiver.replace(Receiver::new(None));
        if !self.outbox.borrow().is_blocked() {
            self.flush();
        }
        if is_abrupt {
            self.give_up_unsent();
        }
        self.finish_if_done();
        if !self.fin_is_sent.get() && self.server.is_referenced() {
            self.is_flushing.set(true);
            self.engine().flushing.set(self.engine().flushing.get() + 1);
        }
        self.rouse();
        true
    }

    /// Nobody waits any longer for the peer of a closed socket to take what it has not taken.
    pub(super) fn cut(&self) {
        self.give_up_unsent();
        self.finish_if_done();
        self.rouse();
    }

    /// FIN follows the last byte of a closed socket.
    fn finish_if_done(&self) {
        if !self.is_open.get() && self.outbox.borrow().is_empty() && !self.fin_is_sent.replace(true) {
            self.transport.finish();
            if self.is_flushing.replace(false) {
                self.engine().flushing.set(self.engine().flushing.get() - 1);
            }
        }
    }

    fn poll(self: &Rc<Self>, cx: &mut Context<'_>, life: &mut Life) -> Poll<()> {
        if !self.waker.borrow().as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
        }
        self.poll_flush(cx);
        if self.is_open.get() {
            self.poll_receive(cx, life);
            Poll::Pending
        } else {
            self.poll_linger(cx, life)
        }
    }

    /// Sends what the kernel had refused, as far as it takes it now.
    fn poll_flush(self: &Rc<Self>, cx: &mut Context<'_>) {
        if !self.outbox.borrow().is_blocked() {
            return;
        }
        let flushed = self.outbox.borrow_mut().flush(&mut self.engine().spares.borrow_mut(), |slices| {
            match self.transport.poll_send(cx, slices) {
                Poll::Ready(result) => result,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            }
        });
        match flushed {
            Ok(0) => {}
            Ok(_) => {
                if self.is_open.get() && !self.is_deaf.get() && !self.drain_is_queued.replace(true) {
                    self.engine().push(Event::Drain(Rc::clone(self)));
                }
            }
            Err(_) => self.lose(),
        }
        self.finish_if_done();
    }

    /// The `drain` event is being delivered; a later one may be queued again. Returns whether it still means something.
    pub(crate) fn take_drain(&self) -> bool {
        self.drain_is_queued.set(false);
        self.is_open.get()
    }

    fn poll_receive(self: &Rc<Self>, cx: &mut Context<'_>, life: &mut Life) {
        let is_serial = self.is_serial();
        for reads in 0..READS_PER_POLL {
            // Who has read in this turn waits behind those who had no room.
            if reads > 0 && self.engine().is_full() {
                break;
            }
            let rests = self.is_paused.get() || self.is_held() || self.is_deaf.get();
            if rests || !self.engine().has_room(cx.waker()) {
                return;
            }
            if let Some(early) = &mut life.early
                && !early.bytes.is_empty()
            {
                let mut bytes = std::mem::take(&mut early.bytes);
                let mut queue = self.engine().events.borrow_mut();
                self.receive(life.meaningful(&mut bytes), None, queue.undelivered());
                continue;
            }
            let mut queue = self.engine().events.borrow_mut();
            let room = queue.room();
            let length = if is_serial { SERIAL_READ } else { room.len().min(MOST_AT_ONCE) };
            let read = self.transport.poll_read(cx, &mut ReadBuf::new(&mut room[..length]));
            if let Poll::Ready(Ok(count @ 1..)) = read {
                self.update_idle(|idle| idle.received(self.engine().now()));
                let (bytes, end, undelivered) = queue.arrived(count);
                self.receive(life.meaningful(bytes), Some(end), undelivered);
            }
            drop(queue);
            match read {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => return self.hear_no_more(),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return self.lose(),
            }
            // The handler of what has just come decides whether there is a next read.
            if is_serial && self.engine().has_undelivered(cx.waker()) {
                return;
            }
        }
        cx.waker().wake_by_ref();
    }

    /// Turns bytes into events. `end` is where they end in the inbox, if they lie there.
    fn receive(self: &Rc<Self>, mut bytes: &mut [u8], end: Option<usize>, queue: &mut Undelivered) {
        let limits = Limits { max_payload_length: self.config.borrow().max_payload_length };
        let mut receiver = self.receiver.borrow_mut();
        let mut inflater = self.engine().inflater.borrow_mut();
        loop {
            let socket = Rc::clone(self);
            match receiver.receive(&mut bytes, &limits, &mut inflater) {
                Ok(None) => return,
                Ok(Some(Received::Message(kind, payload))) => {
                    let content = queue.keep_payload(payload, end.map(|end| end - bytes.len()));
                    queue.push(Event::Message { socket, kind, content });
                }
                Ok(Some(Received::Ping(payload))) => {
                    let content = queue.keep(payload);
                    queue.push(Event::Ping { socket, content });
                }
                Ok(Some(Received::Pong(payload))) => {
                    let content = queue.keep(payload);
                    queue.push(Event::Pong { socket, content });
                }
                Ok(Some(Received::Close { code, reason })) => {
                    self.is_deaf.set(true);
                    let reason = queue.keep(reason.as_bytes());
                    queue.push(Event::End { socket, ending: Ending::Peer { code, reason } });
                    return;
                }
                Err(error) => {
                    self.is_deaf.set(true);
                    queue.push(Event::End { socket, ending: Ending::Failed(error) });
                    return;
                }
            }
        }
    }

    /// A closed socket waits for the peer's FIN, reading and discarding, but not for ever.
    fn poll_linger(self: &Rc<Self>, cx: &mut Context<'_>, life: &mut Life) -> Poll<()> {
        let engine = &self.server.engine;
        let is_asked_for = self.server.awaits_peers();
        if life.lingering.is_none() {
            life.lingering = Lingering::begin(engine, LINGER, is_asked_for, cx.waker()).map(Box::new);
        }
        if !is_asked_for && life.lingering.as_ref().is_none_or(|lingering| lingering.is_over()) {
            return Poll::Ready(());
        }
        let mut scratch = engine.scratch.borrow_mut();
        for _ in 0..READS_PER_POLL {
            match ready!(self.transport.poll_read(cx, &mut ReadBuf::new(&mut scratch))) {
                Ok(count) if count > 0 => {}
                // The peer's FIN may come before ours when it reads slowly: the rest is still delivered.
                Ok(_) if !self.fin_is_sent.get() => return Poll::Pending,
                _ => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The task of a socket: its life after the handshake.
pub(crate) struct Life {
    socket: Rc<Socket>,
    early: Option<Box<Early>>,
    /// Once it is closed.
    lingering: Option<Box<Lingering>>,
}

/// What came with the handshake, or is still to come of it.
struct Early {
    bytes: Vec<u8>,
    /// The first bytes from the peer are the handshake's own content and mean nothing.
    skip: usize,
}

impl Life {
    /// `early` is what the peer sent behind its handshake, of which, and of what follows, the first `skip` bytes mean nothing.
    pub(crate) fn new(socket: Rc<Socket>, early: Vec<u8>, skip: usize) -> Self {
        let is_early = !early.is_empty() || skip > 0;
        let early = is_early.then(|| Box::new(Early { bytes: early, skip }));
        Self { socket, early, lingering: None }
    }

    /// What is left of the peer's bytes without the content of its handshake.
    fn meaningful<'a>(&mut self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let Some(early) = &mut self.early else { return bytes };
        let skipped = bytes.len().min(early.skip);
        early.skip -= skipped;
        if early.skip == 0 && early.bytes.is_empty() {
            self.early = None;
        }
        &mut bytes[skipped..]
    }
}

impl Future for Life {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let socket = Rc::clone(&self.socket);
        socket.poll(cx, &mut self)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let engine = self.socket.engine();
        // Given up with bytes unsent: they no longer hold the process.
        if self.socket.is_flushing.replace(false) {
            engine.flushing.set(engine.flushing.get() - 1);
        }
        self.socket.server.part(self.socket.key);
    }
}
