//! Events to JavaScript, one call each. What is owed to a peer is done here, at the event's place in the order.
//!
//! In Node a call is made with `napi_make_callback`, which drains `process.nextTick` and microtasks after it. Bun has no such
//! thing: there the drain is a function of its own, called after each event.

use std::ptr;
use std::rc::Rc;

use napi::bindgen_prelude::Object;
use napi::sys;

use super::Binding;
use super::value::{Js, Reference, Result, Value};
use crate::http::exchange::Exchange;
use crate::server::connection::Socket;
use crate::server::event::{BodyError, Content, Ending, Event};

/// The functions of `src/js/` that take events.
pub(super) struct Callbacks {
    request: Reference,
    body: Reference,
    writable: Reference,
    ended: Reference,
    message: Reference,
    ping: Reference,
    pong: Reference,
    drain: Reference,
    close: Reference,
    stopped: Reference,
    timed_out: Reference,
    calling: Calling,
}

/// How a handler is called so that ticks and microtasks run behind it.
enum Calling {
    MakeCallback(sys::napi_async_context),
    ThenDrain(Reference),
}

impl Callbacks {
    pub(super) fn new(js: Js, object: &Object<'_>, is_bun: bool) -> napi::Result<Self> {
        let function = |name| Reference::function_of(js, object, name);
        Ok(Self {
            request: function("request")?,
            body: function("body")?,
            writable: function("writable")?,
            ended: function("ended")?,
            message: function("message")?,
            ping: function("ping")?,
            pong: function("pong")?,
            drain: function("drain")?,
            close: function("close")?,
            stopped: function("stopped")?,
            timed_out: function("timedOut")?,
            calling: if is_bun {
                Calling::ThenDrain(function("drainMicrotasks")?)
            } else {
                Calling::MakeCallback(async_context(js)?)
            },
        })
    }
}

fn async_context(js: Js) -> napi::Result<sys::napi_async_context> {
    let name = js.latin1(b"mantou")?;
    let mut context = ptr::null_mut();
    // SAFETY: the name lives in the current scope; without a resource N-API makes one. The context lives as long as the
    // environment.
    let status = unsafe { sys::napi_async_init(js.0, ptr::null_mut(), name, &mut context) };
    if status == sys::Status::napi_ok {
        Ok(context)
    } else {
        Err(napi::Error::from_reason("napi_async_init failed"))
    }
}

impl Binding {
    /// Gives one event to JavaScript.
    pub(super) fn deliver(&self, event: Event) {
        if self.is_over.get() {
            return;
        }
        let _scope = self.js.scope();
        // A failure here is an exception, reported already, or an environment that is going away.
        let _ = self.try_deliver(event);
    }

    fn try_deliver(&self, event: Event) -> Result<()> {
        let js = self.js;
        match event {
            Event::Message { socket, is_text, content } => {
                if !socket.is_open() {
                    return Ok(());
                }
                let data = if is_text { self.text(&content)? } else { self.bytes(&content)? };
                self.call(&self.callbacks.message, &[self.index(&socket)?, data])
            }
            Event::Ping { socket, content } => {
                if !socket.is_open() {
                    return Ok(());
                }
                socket.send_owed_pong(self.engine.queue().bytes(&content));
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
            Event::Request(key) => match self.engine.find_exchange(key) {
                Some(exchange) => self.request(&exchange),
                // The client has gone before the handler could see it.
                None => Ok(()),
            },
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

    fn request(&self, exchange: &Exchange) -> Result<()> {
        let js = self.js;
        let head = &exchange.head;
        let mut fields = Vec::with_capacity(512);
        for (name, value) in &head.headers {
            fields.extend_from_slice(name.as_str().as_bytes());
            fields.push(b'\n');
            fields.extend_from_slice(value.as_bytes());
            fields.push(b'\n');
        }
        let target = js.string(exchange.connection.framing.borrow().target())?;
        self.call(
            &self.callbacks.request,
            &[
                js.number(exchange.server().key.as_f64())?,
                js.number(exchange.key.as_f64())?,
                js.latin1(head.method.as_str().as_bytes())?,
                target,
                js.latin1(&fields)?,
                js.boolean(exchange.has_body())?,
            ],
        )
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
        self.call(&self.callbacks.close, &[self.index(socket)?, js.integer(i32::from(code))?, reason])
    }

    fn index(&self, socket: &Socket) -> Result<Value> {
        self.js.integer(socket.key.index() as i32)
    }

    fn text(&self, content: &Content) -> Result<Value> {
        self.js.string(self.engine.queue().bytes(content))
    }

    fn bytes(&self, content: &Content) -> Result<Value> {
        self.js.array_buffer(self.engine.queue().bytes(content))
    }

    /// Calls a handler; what it throws is an uncaught exception.
    fn call(&self, function: &Reference, arguments: &[Value]) -> Result<()> {
        let js = self.js;
        let status = match &self.callbacks.calling {
            Calling::MakeCallback(context) => {
                let function = js.resolve(function)?;
                let mut global = ptr::null_mut();
                let mut result = ptr::null_mut();
                // SAFETY: all values live in the current scope, the context as long as the environment.
                unsafe {
                    sys::napi_get_global(js.0, &mut global);
                    sys::napi_make_callback(
                        js.0,
                        *context,
                        global,
                        function,
                        arguments.len(),
                        arguments.as_ptr(),
                        &mut result,
                    )
                }
            }
            Calling::ThenDrain(drain) => {
                let called = js.call(function, arguments);
                if called.is_err() && !js.report_exception() {
                    self.is_over.set(true);
                    return Ok(());
                }
                if js.call(drain, &[]).is_ok() {
                    sys::Status::napi_ok
                } else {
                    sys::Status::napi_generic_failure
                }
            }
        };
        if status != sys::Status::napi_ok && !js.report_exception() {
            // The thread was told to stop in the middle of a handler: no more JavaScript.
            self.is_over.set(true);
        }
        Ok(())
    }
}

/// §7.1.5: the status code of a connection that ended without a Close frame of the peer.
const ABNORMAL: u16 = 1006;
