//! The few functions of libuv that are needed, looked up in the running process: Node exports them on every platform.

use std::ffi::{c_int, c_void};
use std::ptr;

use napi::sys;

/// libuv's functions.
pub(super) struct Uv {
    pub(super) event_loop: *mut c_void,
    handle_size: unsafe extern "C" fn(c_int) -> usize,
    async_init: unsafe extern "C" fn(*mut c_void, *mut c_void, AsyncCallback) -> c_int,
    async_send: unsafe extern "C" fn(*mut c_void) -> c_int,
    poll_init: unsafe extern "C" fn(*mut c_void, *mut c_void, c_int) -> c_int,
    poll_start: unsafe extern "C" fn(*mut c_void, c_int, PollCallback) -> c_int,
    close: unsafe extern "C" fn(*mut c_void, CloseCallback),
    reference: unsafe extern "C" fn(*mut c_void),
    unreference: unsafe extern "C" fn(*mut c_void),
}

type AsyncCallback = unsafe extern "C" fn(*mut c_void);
type PollCallback = unsafe extern "C" fn(*mut c_void, c_int, c_int);
type CloseCallback = unsafe extern "C" fn(*mut c_void);

/// `uv_handle_type` (uv.h): part of libuv's stable ABI.
const UV_ASYNC: c_int = 1;
const UV_POLL: c_int = 8;
/// `uv_poll_event`.
const UV_READABLE: c_int = 1;

/// A handle of libuv in memory of ours, with a 16-byte alignment that every handle type is content with.
pub(super) struct Handle {
    memory: Box<[u128]>,
}

impl Handle {
    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.memory.as_ptr().cast_mut().cast()
    }

    pub(super) fn set_data(&self, data: *mut c_void) {
        // SAFETY: `data` is the first, public field of every handle type (UV_HANDLE_FIELDS in uv.h).
        unsafe { *self.as_ptr().cast::<*mut c_void>() = data };
    }
}

/// What a callback's handle was given with `set_data`.
pub(super) fn data_of(handle: *mut c_void) -> *mut c_void {
    // SAFETY: libuv calls back with a handle of ours; see `Handle::set_data`.
    unsafe { *handle.cast::<*mut c_void>() }
}

impl Uv {
    /// `None` when the process has no libuv to offer.
    pub(super) fn find(env: sys::napi_env) -> Option<Self> {
        #[cfg(unix)]
        let process = libloading::os::unix::Library::this();
        #[cfg(windows)]
        let process = libloading::os::windows::Library::this().ok()?;
        let mut event_loop = ptr::null_mut();
        // SAFETY: the out pointer is valid.
        if unsafe { sys::napi_get_uv_event_loop(env, &mut event_loop) } != sys::Status::napi_ok {
            return None;
        }
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the signature in the struct is the one in uv.h, stable within libuv 1.x.
                *unsafe { process.get($name) }.ok()?
            };
        }
        Some(Self {
            event_loop: event_loop.cast(),
            handle_size: symbol!(b"uv_handle_size\0"),
            async_init: symbol!(b"uv_async_init\0"),
            async_send: symbol!(b"uv_async_send\0"),
            poll_init: symbol!(b"uv_poll_init\0"),
            poll_start: symbol!(b"uv_poll_start\0"),
            close: symbol!(b"uv_close\0"),
            reference: symbol!(b"uv_ref\0"),
            unreference: symbol!(b"uv_unref\0"),
        })
    }

    fn allocate(&self, kind: c_int) -> Handle {
        // SAFETY: any number is a valid argument.
        let size = unsafe { (self.handle_size)(kind) };
        Handle { memory: vec![0; size.div_ceil(size_of::<u128>())].into_boxed_slice() }
    }

    /// A handle whose `callback` runs on the loop after `send`.
    pub(super) fn new_async(&self, callback: AsyncCallback, data: *mut c_void) -> Option<Handle> {
        let handle = self.allocate(UV_ASYNC);
        // SAFETY: loop and memory are valid; the handle is closed before the memory goes.
        let status = unsafe { (self.async_init)(self.event_loop, handle.as_ptr(), callback) };
        self.ready(handle, status, data)
    }

    /// A handle whose `callback` runs on the loop while `descriptor` is readable.
    pub(super) fn new_poll(
        &self,
        descriptor: c_int,
        callback: PollCallback,
        data: *mut c_void,
    ) -> Option<Handle> {
        let handle = self.allocate(UV_POLL);
        // SAFETY: as in `new_async`; the descriptor stays open until the handle is closed.
        let status = unsafe {
            match (self.poll_init)(self.event_loop, handle.as_ptr(), descriptor) {
                0 => (self.poll_start)(handle.as_ptr(), UV_READABLE, callback),
                error => error,
            }
        };
        self.ready(handle, status, data)
    }

    fn ready(&self, handle: Handle, status: c_int, data: *mut c_void) -> Option<Handle> {
        if status != 0 {
            return None;
        }
        // SAFETY: the handle was just initialised. It does not hold the process until it is asked to.
        unsafe { (self.unreference)(handle.as_ptr()) };
        handle.set_data(data);
        Some(handle)
    }

    pub(super) fn set_referenced(&self, handle: &Handle, yes: bool) {
        // SAFETY: the handle is open.
        unsafe { if yes { (self.reference)(handle.as_ptr()) } else { (self.unreference)(handle.as_ptr()) } }
    }

    /// From any thread.
    pub(super) fn sender(&self) -> unsafe extern "C" fn(*mut c_void) -> c_int {
        self.async_send
    }

    pub(super) fn close(&self, handle: &Handle, callback: CloseCallback) {
        // SAFETY: the handle is open and closed once.
        unsafe { (self.close)(handle.as_ptr(), callback) };
    }
}
