//! Events to JavaScript, in order: messages and requests many to a call, everything else one by one. What is owed to a peer is done here, at the
//! event's place in the order.
//!
//! `process.nextTick` and microtasks drain behind each handler: JavaScript does it with a function of the host (`runTicks`). Without such a
//! function the way out of a callback scope does it, so there each event has a scope of its own.

use std::ptr;
use std::rc::Rc;

use napi::bindgen_prelude::Object;
use napi::sys;

use super::Binding;
use super::value::{CallbackScope, Failure, Js, Reference, Result, Value};
use crate::server::connection::Socket;
use crate::server::event::{BodyError, Content, Ending, Event, Held};
use crate::websocket::receiver::Kind;

/// The functions of `src/js/` that take events.
pub(super) struct Callbacks {
    requests: Reference,
    resume_requests: Reference,
    body: Reference,
    writable: Reference,
    ended: Reference,
    messages: Reference,
    resume_messages: Reference,
    ping: Reference,
    pong: Reference,
    drain: Reference,
    close: Reference,
    stopped: Reference,
    timed_out: Reference,
    run_ticks: Option<Reference>,
    /// Of the callback scopes; Bun has none and needs none.
    async_context: Option<sys::napi_async_context>,
}

impl Callbacks {
    pub(super) fn new(js: Js, object: &Object<'_>, is_bun: bool) -> napi::Result<Self> {
        let function = |name| Reference::function_of(js, object, name);
        Ok(Self {
            requests: function("requests")?,
            resume_requests: function("resumeRequests")?,
            body: function("body")?,
            writable: function("writable")?,
            ended: function("ended")?,
            messages: function("messages")?,
            resume_messages: function("resumeMessages")?,
            ping: function("ping")?,
            pong: function("pong")?,
            drain: function("drain")?,
            close: function("close")?,
            stopped: function("stopped")?,
            timed_out: function("timedOut")?,
            run_ticks: function("runTicks").ok(),
            async_context: if is_bun { None } else { Some(js.async_context()?) },
        })
    }
}

/// What messages and requests bring beside the values of a call: memory that JavaScript reads too (`numbers` in `engine.js`).
pub(super) struct Numbers {
    numbers: *mut f64,
    count: usize,
    /// Keeps the memory.
    _array: Reference,
}

impl Numbers {
    pub(super) fn new(js: Js, array: &Object<'_>) -> napi::Result<Self> {
        let (numbers, count) = js.float64_array(array)?;
        Ok(Self { numbers, count, _array: Reference::new(js, array)? })
    }

    pub(super) fn get(&self, index: usize) -> f64 {
        assert!(index < self.count);
        // SAFETY: as in `set`.
        unsafe { self.numbers.add(index).read() }
    }

    pub(super) fn set(&self, index: usize, number: f64) {
        assert!(index < self.count);
        // SAFETY: the array has `count` elements and is never detached; JavaScript does not run now.
        unsafe { self.numbers.add(index).write(number) };
    }
}

/// As many messages or requests as `numbers` has places for.
const MOST_PER_CALL: usize = 64;
/// Of a request in `numbers`.
const NUMBERS_PER_REQUEST: usize = 4;
/// Where in `numbers` a send says its socket, and behind it whether it is to be compressed; and where it finds its status.
pub(super) const SEND: usize = NUMBERS_PER_REQUEST * MOST_PER_CALL;

impl Binding {
    /// Gives all events to JavaScript.
    pub(super) fn deliver_all(&self) {
        let mut callback_scope = self.callback_scope();
        while self.deliver_next() {
            if self.callbacks.run_ticks.is_none() {
                drop(callback_scope.take());
                callback_scope = self.callback_scope();
            }
        }
    }

    fn callback_scope(&self) -> Option<CallbackScope> {
        self.callbacks.async_context.map(|context| self.js.callback_scope(context))
    }

    /// Gives the next messages or the next other event to JavaScript. Returns false when there is none, or nobody to give it to.
    fn deliver_next(&self) -> bool {
        if self.is_over.get() {
            // The contents go with the queue.
            while self.engine.events.borrow_mut().pop().is_some() {}
            return false;
        }
        let _scope = self.js.scope();
        let mut data = [ptr::null_mut(); MOST_PER_CALL];
        // A failure here is an exception, reported already, or an environment that is going away.
        match self.take_messages(&mut data) {
            Ok(0) => {}
            Ok(count) => {
                self.deliver_many(&self.callbacks.messages, &self.callbacks.resume_messages, &data[..count]);
                return true;
            }
            Err(_) => return true,
        }
        match self.take_requests(&mut data) {
            Ok(None) => {}
            // Behind them there may be a message.
            Ok(Some(0)) => return true,
            Ok(Some(count)) => {
                self.deliver_many(&self.callbacks.requests, &self.callbacks.resume_requests, &data[..count]);
                return true;
            }
            Err(_) => return true,
        }
        let event = self.engine.events.borrow_mut().pop();
        let Some(event) = event else { return false };
        let _ = self.deliver(event);
        true
    }

    /// Makes JavaScript values of the messages at the head of the queue. Returns how many there are.
    fn take_messages(&self, data: &mut [Value; MOST_PER_CALL]) -> Result<usize> {
        let limit = if self.callbacks.run_ticks.is_some() { data.len() } else { 1 };
        let mut queue = self.engine.events.borrow_mut();
        let mut count = 0;
        while count < limit
            && let Some((socket, kind, content)) = queue.pop_message()
        {
            if socket.is_held() {
                socket.keep(Held::Message { kind, content: queue.own(content) });
                continue;
            }
            let bytes = queue.bytes(&content);
            data[count] = match kind {
                Kind::Binary => self.js.array_buffer(bytes)?,
                Kind::Text => self.js.string(bytes)?,
                Kind::Ascii => self.js.latin1(bytes)?,
            };
            self.numbers.set(count, socket.key.as_f64());
            count += 1;
            // Its handler decides whether the next one may come.
            if socket.is_serial() {
                break;
            }
        }
        Ok(count)
    }

    /// Makes JavaScript values of the requests at the head of the queue. Returns how many there are, which is 0 when the clients of all have gone;
    /// `None` when there was no request.
    fn take_requests(&self, data: &mut [Value; MOST_PER_CALL]) -> Result<Option<usize>> {
        let limit = if self.callbacks.run_ticks.is_some() { data.len() } else { 1 };
        let mut head = self.text.borrow_mut();
        let mut taken = None;
        while taken.is_none_or(|count| count < limit) {
            let next = self.engine.events.borrow_mut().pop_request();
            let Some(key) = next else { break };
            let count = taken.get_or_insert(0);
            // Without an exchange the client has gone before the handler could see it.
            let Some(exchange) = self.engine.find_exchange(key) else { continue };
            head.clear();
            exchange.write_head(&mut head);
            data[*count] = self.js.latin1(&head)?;
            let has_left = self.follows_requests && exchange.watch();
            let numbers = [
                exchange.server().key.as_f64(),
                key.as_f64(),
                exchange.route.map_or(NO_ROUTE, f64::from),
                f64::from(u8::from(exchange.offers_body()) | u8::from(has_left) << 1),
            ];
            for (index, number) in numbers.into_iter().enumerate() {
                self.numbers.set(NUMBERS_PER_REQUEST * *count + index, number);
            }
            *count += 1;
        }
        Ok(taken)
    }

    /// Calls a function that takes what comes many to a call, and again for the rest of it when something was thrown.
    fn deliver_many(&self, function: &Reference, resume: &Reference, data: &[Value]) {
        let mut outcome = self.js.call(function, data);
        while outcome.is_err() && self.report() {
            outcome = self.js.call(resume, &[]);
        }
    }

    fn deliver(&self, event: Event) -> Result<()> {
        let js = self.js;
        match event {
            Event::Message { .. } => unreachable!("taken by `take_messages`"),
            Event::Ping { socket, content } if socket.is_held() => {
                socket.keep(Held::Ping(self.engine.queue().own(content)));
                Ok(())
            }
            Event::Pong { socket, content } if socket.is_held() => {
                socket.keep(Held::Pong(self.engine.queue().own(content)));
                Ok(())
            }
            Event::End { socket, ending } if socket.is_held() => {
                let ending = match ending {
                    Ending::Peer { code, reason } => {
                        Ending::Peer { code, reason: self.engine.queue().own(reason) }
                    }
                    other => other,
                };
                socket.keep(Held::End(ending));
                Ok(())
            }
            Event::Ping { socket, content } => {
                if !socket.is_open() {
                    return Ok(());
                }
                // Sending may end in an event: the queue must not be held.
                let payload = self.engine.queue().bytes(&content).to_vec();
                socket.send_owed_pong(&payload);
                let data = self.bytes(&content)?;
                self.call(&self.callbacks.ping, &[self.index(&socket)?, data])
            }
            Event::Pong { socket, content } => {
                if !socket.is_open() {
                    return Ok(());
                }
                let data = self.bytes(&content)?;
                self.call(&self.callbacks.pong, &[self.index(&socket)?, data])
            }
            Event::Drain(socket) => {
                if !socket.take_drain() {
                    return Ok(());
                }
                self.call(&self.callbacks.drain, &[self.index(&socket)?])
            }
            Event::End { socket, ending } => self.end(&socket, &ending),
            Event::Request(_) => unreachable!("taken by `take_requests`"),
            Event::Body(key, piece) => {
                let piece = match piece {
                    Ok(Some(bytes)) => js.array_buffer(&bytes)?,
                    Ok(None) => js.null()?,
                    Err(BodyError::Lost) => js.undefined()?,
                    Err(BodyError::TooLarge) => js.boolean(false)?,
                };
                self.call(&self.callbacks.body, &[js.number(key.as_f64())?, piece])
            }
            Event::Writable(key) => self.call(&self.callbacks.writable, &[js.number(key.as_f64())?]),
            Event::Ended { exchange, aborted } => {
                self.call(&self.callbacks.ended, &[js.number(exchange.as_f64())?, js.boolean(aborted)?])
            }
            Event::TimedOut => self.call(&self.callbacks.timed_out, &[]),
            Event::Stopped(server) => self.call(&self.callbacks.stopped, &[js.number(server.key.as_f64())?]),
        }
    }

    /// Ends a socket as the event says and calls its `close` handler.
    fn end(&self, socket: &Rc<Socket>, ending: &Ending) -> Result<()> {
        let js = self.js;
        let (has_ended, code, reason) = match ending {
            Ending::Peer { code, reason } => {
                let queue = self.engine.queue();
                let reason = queue.bytes(reason);
                // The receiver has checked it to be UTF-8.
                let text = String::from_utf8_lossy(reason);
                (socket.end(Some((i32::from(*code), &text)), false), *code, js.string(reason)?)
            }
            Ending::Failed(error) => {
                let frame = (i32::from(error.status_code()), error.reason());
                (socket.end(Some(frame), false), ABNORMAL, js.string(error.reason().as_bytes())?)
            }
            Ending::Lost | Ending::Overflow => (socket.end(None, true), ABNORMAL, js.latin1(b"")?),
            Ending::TimedOut => {
                (socket.end(None, true), ABNORMAL, js.latin1(b"WebSocket timed out from inactivity")?)
            }
        };
        if !has_ended {
            return Ok(());
        }
        self.call(
            &self.callbacks.close,
            &[
                self.index(socket)?,
                js.integer(i32::from(code))?,
                reason,
                js.latin1(ending.cause().as_bytes())?,
            ],
        )
    }

    fn index(&self, socket: &Socket) -> Result<Value> {
        self.js.integer(socket.key.index() as i32)
    }

    fn bytes(&self, content: &Content) -> Result<Value> {
        self.js.array_buffer(self.engine.queue().bytes(content))
    }

    /// Calls a handler, then the ticks; what they throw is an uncaught exception.
    fn call(&self, function: &Reference, arguments: &[Value]) -> Result<()> {
        if self.js.call(function, arguments).is_err() && !self.report() {
            return Err(Failure::Pending);
        }
        while let Some(run_ticks) = &self.callbacks.run_ticks
            && self.js.call(run_ticks, &[]).is_err()
        {
            if !self.report() {
                return Err(Failure::Pending);
            }
        }
        Ok(())
    }

    /// Reports what was thrown as an uncaught exception. Returns false when the thread was told to stop: no more JavaScript.
    fn report(&self) -> bool {
        let goes_on = self.js.report_exception();
        self.is_over.set(!goes_on);
        goes_on
    }
}

/// The number of no handler.
const NO_ROUTE: f64 = -1.0;
/// §7.1.5: the status code of a connection that ended without a Close frame of the peer.
const ABNORMAL: u16 = 1006;
