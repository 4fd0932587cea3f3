//! The engine for JavaScript: the only code that names N-API, and the only unsafe code but for two calls to Linux
//! (`server::ring`, and the coarse clock of `server::engine`).
//!
//! JavaScript (`src/js/`) keeps objects, callbacks and argument rules; it refers to sockets, exchanges and servers by number
//! ([`Key`]). A number whose thing is gone finds nothing, so a forgotten reference is a value or an exception, never more.
//!
//! - `value`: JavaScript values in and out.
//! - `call`: functions that JavaScript calls, one trampoline for all.
//! - `functions`: those functions.
//! - `deliver`: events to handlers.
//! - `tls`: keys and certificates.
//! - `host`, `uv`: how the JavaScript thread is woken.

mod call;
mod deliver;
mod functions;
mod host;
mod tls;
mod uv;
mod value;

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;

use napi::bindgen_prelude::{FromNapiValue, Object};
use napi::{Env, sys};
use napi_derive::napi;
use tokio::runtime::Runtime;

use self::call::Entry;
use self::deliver::{Callbacks, Numbers};
use self::host::HostHandle;
use self::value::Js;
use crate::server::driver::{self, Driver};
use crate::server::engine::Engine;
use crate::server::slots::Key;

/// What one JavaScript environment owns.
struct Binding {
    js: Js,
    engine: Rc<Engine>,
    callbacks: Callbacks,
    numbers: Numbers,
    host: Rc<HostHandle>,
    /// Strings from JavaScript pass through here on their way into frames.
    text: RefCell<Vec<u8>>,
    /// And the fields of answers through here, on their way into what is prepared of them.
    fields: RefCell<Vec<u8>>,
    prepared: RefCell<Vec<u8>>,
    /// The receivers that the last publication did not reach.
    dropped: RefCell<Vec<Key>>,
    /// JavaScript wants to hear how every request ends, without asking.
    follows_requests: bool,
    /// The environment takes no more calls: it is being torn down or its thread was told to stop.
    is_over: Cell<bool>,
}

/// Creates the engine of this environment and returns the functions that drive it. Called once, by `src/js/engine.js`.
///
/// `callbacks` holds the functions named in `deliver::Callbacks` and `host::HostHandle`; `numbers` is where the sockets of messages are
/// written; `is_bun` tells which runtime this is, `follows_requests` that it wants to hear how every request ends; `watched` asks for the
/// watcher thread where polling would be possible.
#[napi]
#[allow(unreachable_pub, reason = "the attribute exports it")]
pub fn create_engine<'env>(
    env: Env,
    callbacks: Object<'env>,
    numbers: Object<'env>,
    is_bun: bool,
    follows_requests: bool,
    watched: bool,
    may_use_ring: bool,
) -> napi::Result<Object<'env>> {
    let js = Js(env.raw());
    // The thread may be told to stop at any moment, and from then on calls to JavaScript fail. So they come before the host has
    // handles that must be closed, or their failure is looked at after `Teardown` has undertaken to close them.
    let handlers = Callbacks::new(js, &callbacks, is_bun)?;
    let numbers = Numbers::new(js, &numbers)?;
    let (runtime, epoll) = driver::new_runtime()?;
    let host = HostHandle::new(js, &callbacks, is_bun)?;
    let driver = start_driver(&host, runtime, epoll, watched).inspect_err(|_| {
        let held = Rc::clone(&host);
        host.close(Box::new(move || drop(held)));
    })?;
    let binding = Rc::new(Binding {
        js,
        engine: Engine::new(driver, Box::new(Rc::clone(&host))),
        callbacks: handlers,
        numbers,
        host,
        text: RefCell::new(Vec::with_capacity(value::TEXT_CAPACITY)),
        fields: RefCell::new(Vec::with_capacity(4096)),
        prepared: RefCell::default(),
        dropped: RefCell::default(),
        follows_requests,
        is_over: Cell::new(false),
    });
    binding.host.attach(&binding);
    if !may_use_ring {
        binding.engine.forgo_ring();
    }

    let entries: Vec<_> = functions::FUNCTIONS
        .iter()
        .map(|&(_, function)| Box::new(Entry { binding: Rc::clone(&binding), function }))
        .collect();
    let native = native_functions(&env, &entries);
    Teardown::register(js, binding, entries)?;
    native
}

fn native_functions<'env>(env: &Env, entries: &[Box<Entry>]) -> napi::Result<Object<'env>> {
    let mut native = Object::new(env)?;
    for (&(name, _), entry) in functions::FUNCTIONS.iter().zip(entries) {
        let value = Js(env.raw()).function(name, entry)?;
        // SAFETY: `value` was just created in this environment.
        native.set(name, unsafe { napi::Unknown::from_napi_value(env.raw(), value)? })?;
    }
    Ok(native)
}

fn start_driver(
    host: &HostHandle,
    runtime: Runtime,
    epoll: Option<i32>,
    watched: bool,
) -> napi::Result<Driver> {
    match epoll {
        Some(epoll) if host.can_poll() && !watched => {
            host.poll(epoll)?;
            Ok(Driver::polled(runtime))
        }
        _ => Ok(Driver::watched(runtime, host.turn_requester())?),
    }
}

/// What must be undone when the environment goes.
struct Teardown {
    binding: Rc<Binding>,
    /// The functions' data; JavaScript cannot call any more when it is freed.
    #[expect(clippy::vec_box, reason = "functions point to the entries")]
    _entries: Vec<Box<Entry>>,
}

impl Teardown {
    #[expect(clippy::vec_box, reason = "functions point to the entries")]
    fn register(js: Js, binding: Rc<Binding>, entries: Vec<Box<Entry>>) -> napi::Result<()> {
        let teardown = Box::into_raw(Box::new(Self { binding, _entries: entries }));
        js.on_cleanup(cleanup, teardown.cast())
    }
}

/// Runs when the environment is torn down: after the last JavaScript, before its event loop ends.
extern "C" fn cleanup(handle: sys::napi_async_cleanup_hook_handle, teardown: *mut c_void) {
    // SAFETY: the pointer is the one registered, and N-API calls a hook once.
    let teardown = unsafe { Box::from_raw(teardown.cast::<Teardown>()) };
    let binding = Rc::clone(&teardown.binding);
    binding.is_over.set(true);
    binding.engine.shut_down();
    binding.host.detach();
    binding.host.close(Box::new(move || {
        drop(teardown);
        value::finish_cleanup(handle);
    }));
}

impl Binding {
    /// A turn of the engine, from the bare event loop.
    fn turn(&self) {
        if self.is_over.get() {
            return;
        }
        let _scope = self.js.scope();
        self.engine.turn(&|| self.deliver_all());
    }
}
