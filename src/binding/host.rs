//! How the JavaScript thread is asked for a turn: through libuv in Node, through a threadsafe function elsewhere (Bun).
//!
//! A turn runs from the bare event loop, never inside JavaScript, so that ticks and microtasks drain after each handler.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::{Rc, Weak};

use napi::bindgen_prelude::Object;
use napi::sys;

use super::Binding;
use super::call::INTERNAL;
use super::uv::{Handle, Uv, data_of};
use super::value::{Failure, Js, Reference};
use crate::server::engine::Host;

/// See the module.
pub(super) struct HostHandle {
    js: Js,
    waking: Waking,
    /// `queueMicrotask(native.settle)`.
    settle_soon: Reference,
    /// `setTimeout(native.wake, milliseconds)`, one at a time.
    set_timer: Reference,
    binding: RefCell<Weak<Binding>>,
}

enum Waking {
    Uv { uv: Uv, wake: Handle, poll: RefCell<Option<Handle>> },
    Threadsafe(sys::napi_threadsafe_function),
}

impl HostHandle {
    pub(super) fn new(js: Js, callbacks: &Object<'_>, is_bun: bool) -> napi::Result<Rc<Self>> {
        // First what fails once the thread is told to stop: nobody closes a handle that is made before.
        let settle_soon = Reference::function_of(js, callbacks, "settleSoon")?;
        let set_timer = Reference::function_of(js, callbacks, "setTimer")?;
        let waking = match Uv::find_unless(is_bun, js.0) {
            Some(uv) => {
                let wake = uv
                    .new_async(on_async, ptr::null_mut())
                    .ok_or_else(|| napi::Error::from_reason("libuv gives no async handle"))?;
                Waking::Uv { uv, wake, poll: RefCell::new(None) }
            }
            None => Waking::Threadsafe(threadsafe_function(js)?),
        };
        let host = Rc::new(Self { js, waking, settle_soon, set_timer, binding: RefCell::default() });
        host.point_callbacks(Rc::as_ptr(&host).cast());
        Ok(host)
    }

    /// Whether a descriptor can be watched by the event loop itself.
    pub(super) fn can_poll(&self) -> bool {
        cfg!(unix) && matches!(self.waking, Waking::Uv { .. })
    }

    /// Has a turn run whenever `descriptor` is readable.
    pub(super) fn poll(&self, descriptor: c_int) -> napi::Result<()> {
        let Waking::Uv { uv, poll, .. } = &self.waking else { unreachable!("asked only where `can_poll`") };
        let handle = uv
            .new_poll(descriptor, on_poll, ptr::from_ref(self).cast_mut().cast())
            .ok_or_else(|| napi::Error::from_reason("libuv cannot poll the runtime"))?;
        *poll.borrow_mut() = Some(handle);
        Ok(())
    }

    /// What another thread calls to ask for a turn.
    pub(super) fn turn_requester(&self) -> impl Fn() + Send + 'static {
        let request = match &self.waking {
            Waking::Uv { uv, wake, .. } => Request::Uv(uv.sender(), wake.as_ptr()),
            Waking::Threadsafe(function) => Request::Threadsafe(*function),
        };
        move || request.send()
    }

    pub(super) fn attach(&self, binding: &Rc<Binding>) {
        *self.binding.borrow_mut() = Rc::downgrade(binding);
    }

    /// No more turns.
    pub(super) fn detach(&self) {
        *self.binding.borrow_mut() = Weak::new();
    }

    /// Closes everything the event loop knows of, then calls `done`.
    pub(super) fn close(&self, done: Box<dyn FnOnce()>) {
        match &self.waking {
            Waking::Uv { uv, wake, poll } => {
                let poll = poll.borrow();
                let handles: Vec<&Handle> = std::iter::once(wake).chain(poll.as_ref()).collect();
                let closing =
                    Rc::new(Closing { left: Cell::new(handles.len()), done: Cell::new(Some(done)) });
                for handle in handles {
                    handle.set_data(Rc::into_raw(Rc::clone(&closing)).cast_mut().cast());
                    uv.close(handle, on_closed);
                }
            }
            Waking::Threadsafe(function) => {
                THIS_HOST.set(ptr::null());
                // SAFETY: released once; the watcher thread, its only other user, has ended.
                unsafe {
                    sys::napi_release_threadsafe_function(
                        *function,
                        sys::ThreadsafeFunctionReleaseMode::abort,
                    );
                }
                done();
            }
        }
    }

    fn point_callbacks(&self, host: *const c_void) {
        match &self.waking {
            Waking::Uv { wake, .. } => wake.set_data(host.cast_mut()),
            Waking::Threadsafe(_) => THIS_HOST.set(host.cast()),
        }
    }

    fn turn(&self) {
        let Some(binding) = self.binding.borrow().upgrade() else { return };
        if catch_unwind(AssertUnwindSafe(|| binding.turn())).is_err() {
            let _scope = self.js.scope();
            self.js.throw(&Failure::Error { code: "ERR_INTERNAL_ASSERTION", message: INTERNAL.into() });
            self.js.report_exception();
        }
    }
}

impl Host for Rc<HostHandle> {
    fn wake(&self) {
        self.turn_requester()();
    }

    fn settle_soon(&self) {
        // Only a thread that is being stopped cannot call; then nothing is to be settled.
        let _ = self.js.call(&self.settle_soon, &[]);
    }

    fn wake_after(&self, milliseconds: u64) {
        let _scope = self.js.scope();
        if let Ok(milliseconds) = self.js.number(milliseconds as f64) {
            // As in `settle_soon`.
            let _ = self.js.call(&self.set_timer, &[milliseconds]);
        }
    }

    fn keep_alive(&self, yes: bool) {
        match &self.waking {
            Waking::Uv { uv, wake, .. } => uv.set_referenced(wake, yes),
            Waking::Threadsafe(function) => {
                // SAFETY: the function lives until `close`. A failure would mean an environment on its way out.
                unsafe {
                    if yes {
                        sys::napi_ref_threadsafe_function(self.js.0, *function);
                    } else {
                        sys::napi_unref_threadsafe_function(self.js.0, *function);
                    }
                }
            }
        }
    }
}

impl Uv {
    /// Bun has libuv's names but aborts when they are called.
    fn find_unless(is_bun: bool, env: sys::napi_env) -> Option<Self> {
        if is_bun { None } else { Self::find(env) }
    }
}

/// A request for a turn, from any thread.
enum Request {
    Uv(unsafe extern "C" fn(*mut c_void) -> c_int, *mut c_void),
    Threadsafe(sys::napi_threadsafe_function),
}

// SAFETY: uv_async_send and napi_call_threadsafe_function may be called from any thread; who holds a request has ended before
// the handle is closed (`Driver::shut_down` joins the watcher).
unsafe impl Send for Request {}

impl Request {
    fn send(&self) {
        // SAFETY: see `Send` above. Both only fail when the handle is closing.
        unsafe {
            match self {
                Self::Uv(send, handle) => {
                    send(*handle);
                }
                Self::Threadsafe(function) => {
                    sys::napi_call_threadsafe_function(
                        *function,
                        ptr::null_mut(),
                        sys::ThreadsafeFunctionCallMode::nonblocking,
                    );
                }
            }
        }
    }
}

fn threadsafe_function(js: Js) -> napi::Result<sys::napi_threadsafe_function> {
    let name = js.latin1(b"mantou")?;
    let mut function = ptr::null_mut();
    // SAFETY: the name lives in the current scope; without a JavaScript function `on_call` gets a null one.
    let status = unsafe {
        sys::napi_create_threadsafe_function(
            js.0,
            ptr::null_mut(),
            ptr::null_mut(),
            name,
            0,
            1,
            ptr::null_mut(),
            None,
            ptr::null_mut(),
            Some(on_call),
            &mut function,
        )
    };
    if status != sys::Status::napi_ok {
        return Err(napi::Error::from_reason("no threadsafe function"));
    }
    // SAFETY: it was just created on this thread; it holds the process only when `keep_alive` says so.
    unsafe { sys::napi_unref_threadsafe_function(js.0, function) };
    Ok(function)
}

thread_local! {
    /// The host of this thread, for the threadsafe function's callback.
    static THIS_HOST: Cell<*const HostHandle> = const { Cell::new(ptr::null()) };
}

unsafe extern "C" fn on_call(env: sys::napi_env, _: sys::napi_value, _: *mut c_void, _: *mut c_void) {
    let host = THIS_HOST.get();
    if !env.is_null() && !host.is_null() {
        // SAFETY: set by the host of this thread, which lives until the function is released.
        unsafe { &*host }.turn();
    }
}

unsafe extern "C" fn on_async(handle: *mut c_void) {
    // SAFETY: the handle's data is its host, which closes it before it goes.
    unsafe { &*data_of(handle).cast::<HostHandle>() }.turn();
}

unsafe extern "C" fn on_poll(handle: *mut c_void, _status: c_int, _events: c_int) {
    // SAFETY: as in `on_async`.
    unsafe { &*data_of(handle).cast::<HostHandle>() }.turn();
}

/// Handles being closed.
struct Closing {
    left: Cell<usize>,
    done: Cell<Option<Box<dyn FnOnce()>>>,
}

unsafe extern "C" fn on_closed(handle: *mut c_void) {
    // SAFETY: `close` gave each handle one count of the `Rc`.
    let closing = unsafe { Rc::from_raw(data_of(handle).cast::<Closing>()) };
    closing.left.set(closing.left.get() - 1);
    if closing.left.get() == 0
        && let Some(done) = closing.done.take()
    {
        done();
    }
}
