//! JavaScript values in and out, on raw N-API: what the hot path needs and no more.

use std::ffi::{CString, c_char, c_void};
use std::ptr;

use napi::bindgen_prelude::Object;
use napi::{JsValue, sys};

use super::call::{Entry, trampoline};

/// The environment. Values are valid in the scope they were made in; nothing here outlives a call but [`Reference`].
#[derive(Clone, Copy)]
pub(super) struct Js(pub(super) sys::napi_env);

pub(super) type Value = sys::napi_value;

/// What a function returns that returns nothing: N-API makes `undefined` of it.
pub(super) const UNDEFINED: Value = ptr::null_mut();

/// A failed call into N-API or a JavaScript exception to throw.
#[derive(Debug)]
pub(super) enum Failure {
    /// An exception is pending already, or the environment takes no calls.
    Pending,
    /// To be thrown as an `Error` with this `code` and message.
    Error { code: &'static str, message: String },
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

/// Strings up to this many UTF-8 bytes are read in one step.
pub(super) const TEXT_CAPACITY: usize = 64 * 1024;
/// Bytes of a character in UTF-8.
const MOST_PER_CHARACTER: usize = 4;

/// How N-API copies a string.
type GetString = unsafe fn(sys::napi_env, Value, *mut c_char, usize, *mut usize) -> sys::napi_status;

impl From<Failure> for napi::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Pending => Self::new(napi::Status::PendingException, ""),
            Failure::Error { code, message } => Self::from_reason(format!("{code}: {message}")),
        }
    }
}

fn check(status: sys::napi_status) -> Result<()> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Failure::Pending) }
}

impl Js {
    pub(super) fn undefined(self) -> Result<Value> {
        let mut value = ptr::null_mut();
        // SAFETY: `self.0` is this thread's environment, the out pointer is valid.
        check(unsafe { sys::napi_get_undefined(self.0, &mut value) })?;
        Ok(value)
    }

    pub(super) fn null(self) -> Result<Value> {
        let mut value = ptr::null_mut();
        // SAFETY: as in `undefined`.
        check(unsafe { sys::napi_get_null(self.0, &mut value) })?;
        Ok(value)
    }

    pub(super) fn boolean(self, yes: bool) -> Result<Value> {
        let mut value = ptr::null_mut();
        // SAFETY: as in `undefined`.
        check(unsafe { sys::napi_get_boolean(self.0, yes, &mut value) })?;
        Ok(value)
    }

    pub(super) fn number(self, number: f64) -> Result<Value> {
        let mut value = ptr::null_mut();
        // SAFETY: as in `undefined`.
        check(unsafe { sys::napi_create_double(self.0, number, &mut value) })?;
        Ok(value)
    }

    pub(super) fn integer(self, number: i32) -> Result<Value> {
        let mut value = ptr::null_mut();
        // SAFETY: as in `undefined`.
        check(unsafe { sys::napi_create_int32(self.0, number, &mut value) })?;
        Ok(value)
    }

    /// A string of UTF-8 bytes; ASCII takes the short way.
    pub(super) fn string(self, text: &[u8]) -> Result<Value> {
        if text.is_ascii() {
            return self.latin1(text);
        }
        let mut value = ptr::null_mut();
        // SAFETY: pointer and length are those of a slice; N-API copies before it returns.
        check(unsafe {
            sys::napi_create_string_utf8(self.0, text.as_ptr().cast(), text.len() as isize, &mut value)
        })?;
        Ok(value)
    }

    /// A string of one character per byte.
    pub(super) fn latin1(self, bytes: &[u8]) -> Result<Value> {
        let mut value = ptr::null_mut();
        // SAFETY: as in `string`.
        check(unsafe {
            sys::napi_create_string_latin1(self.0, bytes.as_ptr().cast(), bytes.len() as isize, &mut value)
        })?;
        Ok(value)
    }

    /// A new `ArrayBuffer` with a copy of `bytes`.
    pub(super) fn array_buffer(self, bytes: &[u8]) -> Result<Value> {
        let mut value = ptr::null_mut();
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: out pointers are valid.
        check(unsafe { sys::napi_create_arraybuffer(self.0, bytes.len(), &mut data, &mut value) })?;
        if !bytes.is_empty() {
            // SAFETY: N-API gave `bytes.len()` fresh bytes at `data`, which nothing else refers to yet.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast(), bytes.len()) };
        }
        Ok(value)
    }

    /// Takes the memory of an `ArrayBuffer` away from it, and frees it.
    pub(super) fn detach(self, array_buffer: Value) -> Result<()> {
        // SAFETY: the value lives in the current scope; N-API refuses what is no `ArrayBuffer`, and what cannot be detached.
        check(unsafe { sys::napi_detach_arraybuffer(self.0, array_buffer) })
    }

    pub(super) fn array(self, values: &[Value]) -> Result<Value> {
        let mut array = ptr::null_mut();
        // SAFETY: the out pointer is valid.
        check(unsafe { sys::napi_create_array_with_length(self.0, values.len(), &mut array) })?;
        for (index, &value) in values.iter().enumerate() {
            // SAFETY: both values live in the current scope.
            check(unsafe { sys::napi_set_element(self.0, array, index as u32, value) })?;
        }
        Ok(array)
    }

    /// The elements of an array.
    pub(super) fn elements(self, array: Value) -> Result<Vec<Value>> {
        let mut length = 0;
        // SAFETY: the array lives in the current scope; N-API refuses any other value.
        check(unsafe { sys::napi_get_array_length(self.0, array, &mut length) })?;
        let element = |index| {
            let mut value = ptr::null_mut();
            // SAFETY: as above; the out pointer is valid.
            check(unsafe { sys::napi_get_element(self.0, array, index, &mut value) })?;
            Ok(value)
        };
        (0..length).map(element).collect()
    }

    /// A function that runs `entry`, which must outlive it.
    pub(super) fn function(self, name: &str, entry: &Entry) -> napi::Result<Value> {
        let mut value = ptr::null_mut();
        // SAFETY: the name is a slice; the entry is freed only when the environment takes no calls any more.
        check(unsafe {
            sys::napi_create_function(
                self.0,
                name.as_ptr().cast(),
                name.len() as isize,
                Some(trampoline),
                ptr::from_ref(entry).cast_mut().cast(),
                &mut value,
            )
        })?;
        Ok(value)
    }

    pub(super) fn as_f64(self, value: Value) -> Result<f64> {
        let mut number = 0.0;
        // SAFETY: `value` lives in the current scope; the out pointer is valid.
        check(unsafe { sys::napi_get_value_double(self.0, value, &mut number) })?;
        Ok(number)
    }

    pub(super) fn as_i32(self, value: Value) -> Result<i32> {
        let mut number = 0;
        // SAFETY: as in `as_f64`.
        check(unsafe { sys::napi_get_value_int32(self.0, value, &mut number) })?;
        Ok(number)
    }

    pub(super) fn as_bool(self, value: Value) -> Result<bool> {
        let mut yes = false;
        // SAFETY: as in `as_f64`.
        check(unsafe { sys::napi_get_value_bool(self.0, value, &mut yes) })?;
        Ok(yes)
    }

    /// `None` for what is no boolean.
    pub(super) fn as_optional_bool(self, value: Value) -> Result<Option<bool>> {
        let mut yes = false;
        // SAFETY: as in `as_f64`.
        match unsafe { sys::napi_get_value_bool(self.0, value, &mut yes) } {
            sys::Status::napi_ok => Ok(Some(yes)),
            sys::Status::napi_boolean_expected => Ok(None),
            status => check(status).map(|()| None),
        }
    }

    fn type_of(self, value: Value) -> Result<sys::napi_valuetype> {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: as in `as_f64`.
        check(unsafe { sys::napi_typeof(self.0, value, &mut kind) })?;
        Ok(kind)
    }

    pub(super) fn is_string(self, value: Value) -> Result<bool> {
        Ok(self.type_of(value)? == sys::ValueType::napi_string)
    }

    pub(super) fn is_nullish(self, value: Value) -> Result<bool> {
        let kind = self.type_of(value)?;
        Ok(kind == sys::ValueType::napi_undefined || kind == sys::ValueType::napi_null)
    }

    /// Calls `read` with a string's UTF-8 bytes, lone surrogates replaced (U+FFFD). `buffer` serves every call.
    pub(super) fn with_text<R>(
        self,
        value: Value,
        buffer: &mut Vec<u8>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        self.with_string(sys::napi_get_value_string_utf8, value, buffer, read)
    }

    /// The same with the bytes of a string of characters up to U+00FF.
    pub(super) fn with_latin1<R>(
        self,
        value: Value,
        buffer: &mut Vec<u8>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        self.with_string(sys::napi_get_value_string_latin1, value, buffer, read)
    }

    fn with_string<R>(
        self,
        get: GetString,
        value: Value,
        buffer: &mut Vec<u8>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        let write = |buffer: &mut Vec<u8>| {
            let mut length = 0;
            // SAFETY: the buffer has `capacity()` writable bytes; N-API reads none of them.
            let status =
                unsafe { get(self.0, value, buffer.as_mut_ptr().cast(), buffer.capacity(), &mut length) };
            check(status).map(|()| length)
        };
        let mut length = write(buffer)?;
        // The buffer may have been too small: N-API stops at a character boundary and leaves room for a NUL.
        if length + MOST_PER_CHARACTER >= buffer.capacity() {
            let mut whole = 0;
            // SAFETY: without a buffer N-API only counts.
            check(unsafe { get(self.0, value, ptr::null_mut(), 0, &mut whole) })?;
            buffer.reserve(whole + MOST_PER_CHARACTER);
            length = write(buffer)?;
        }
        // SAFETY: N-API has initialised `length` bytes.
        unsafe { buffer.set_len(length) };
        let result = read(buffer);
        buffer.clear();
        if buffer.capacity() > 16 * TEXT_CAPACITY {
            *buffer = Vec::with_capacity(TEXT_CAPACITY);
        }
        Ok(result)
    }

    /// A string as owned UTF-8.
    pub(super) fn as_text(self, value: Value) -> Result<String> {
        let mut buffer = Vec::with_capacity(64);
        self.with_text(value, &mut buffer, |bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A string of characters up to U+00FF as bytes.
    pub(super) fn as_latin1(self, value: Value) -> Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(64);
        self.with_latin1(value, &mut buffer, <[u8]>::to_vec)
    }

    /// Calls `read` with the bytes of an `ArrayBuffer`, a typed array or a `DataView`. A detached one is empty.
    ///
    /// `read` must not run JavaScript, which could detach the buffer meanwhile.
    pub(super) fn with_bytes<R>(self, value: Value, read: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let mut data: *mut c_void = ptr::null_mut();
        let mut length = 0;
        let (mut buffer, mut offset, mut kind) = (ptr::null_mut(), 0, 0);
        // SAFETY: out pointers are valid; each call fails without effect on another type of value.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.0,
                value,
                &mut kind,
                &mut length,
                &mut data,
                &mut buffer,
                &mut offset,
            )
        };
        if status == sys::Status::napi_ok {
            length *= element_size(kind);
        } else {
            // SAFETY: as above.
            let status = unsafe {
                sys::napi_get_dataview_info(self.0, value, &mut length, &mut data, &mut buffer, &mut offset)
            };
            if status != sys::Status::napi_ok {
                // SAFETY: as above.
                check(unsafe { sys::napi_get_arraybuffer_info(self.0, value, &mut data, &mut length) })?;
            }
        }
        if data.is_null() || length == 0 {
            return Ok(read(&[]));
        }
        // SAFETY: N-API gave pointer and length of memory that JavaScript keeps alive; no JavaScript runs while it is read.
        Ok(read(unsafe { std::slice::from_raw_parts(data.cast(), length) }))
    }

    /// Opens a scope; values made in it are gone when it is dropped.
    pub(super) fn scope(self) -> Scope {
        let mut scope = ptr::null_mut();
        // SAFETY: the out pointer is valid. A failure leaves null, which `drop` does not close.
        unsafe { sys::napi_open_handle_scope(self.0, &mut scope) };
        Scope { js: self, scope }
    }

    /// The context in which the host calls into JavaScript from the event loop; it lives as long as the environment.
    pub(super) fn async_context(self) -> napi::Result<sys::napi_async_context> {
        let name = self.latin1(b"mantou")?;
        let mut context = ptr::null_mut();
        // SAFETY: the name lives in the current scope; without a resource N-API makes one.
        check(unsafe { sys::napi_async_init(self.0, ptr::null_mut(), name, &mut context) })?;
        Ok(context)
    }

    /// Opens the scope of a callback from the event loop; when it is dropped, ticks and microtasks run.
    pub(super) fn callback_scope(self, context: sys::napi_async_context) -> CallbackScope {
        let mut scope = ptr::null_mut();
        // SAFETY: the context is one of `async_context`; the resource is of no use to N-API. A failure leaves null, which `drop` does not close.
        unsafe { sys::napi_open_callback_scope(self.0, ptr::null_mut(), context, &mut scope) };
        CallbackScope { js: self, scope }
    }

    /// Address and length of a `Float64Array`.
    pub(super) fn float64_array(self, array: &Object<'_>) -> napi::Result<(*mut f64, usize)> {
        let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: the array lives in the current scope, out pointers are valid or null.
        check(unsafe {
            sys::napi_get_typedarray_info(
                self.0,
                array.raw(),
                &mut kind,
                &mut length,
                &mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        })?;
        if kind == sys::TypedarrayType::float64_array {
            Ok((data.cast(), length))
        } else {
            Err(napi::Error::from_reason("not a Float64Array"))
        }
    }

    /// Calls `function` as plain JavaScript.
    pub(super) fn call(self, function: &Reference, arguments: &[Value]) -> Result<Value> {
        let (this, function) = (self.undefined()?, self.resolve(function)?);
        let mut result = ptr::null_mut();
        // SAFETY: all values live in the current scope.
        check(unsafe {
            sys::napi_call_function(self.0, this, function, arguments.len(), arguments.as_ptr(), &mut result)
        })?;
        Ok(result)
    }

    pub(super) fn resolve(self, reference: &Reference) -> Result<Value> {
        let mut value = ptr::null_mut();
        // SAFETY: the reference is strong and belongs to this environment.
        check(unsafe { sys::napi_get_reference_value(self.0, reference.0, &mut value) })?;
        Ok(value)
    }

    /// Reports what a failed call has thrown as an uncaught exception. Returns false when the environment takes no more calls: one that
    /// is being stopped fails them without throwing.
    pub(super) fn report_exception(self) -> bool {
        let mut pending = false;
        let mut error = ptr::null_mut();
        // SAFETY: out pointers are valid; each call is allowed with an exception pending.
        unsafe {
            sys::napi_is_exception_pending(self.0, &mut pending) == sys::Status::napi_ok
                && pending
                && sys::napi_get_and_clear_last_exception(self.0, &mut error) == sys::Status::napi_ok
                && sys::napi_fatal_exception(self.0, error) == sys::Status::napi_ok
        }
    }

    /// Throws, unless something is thrown already.
    pub(super) fn throw(self, failure: &Failure) {
        if let Failure::Error { code, message } = failure {
            let message = CString::new(message.replace('\0', "")).unwrap_or_default();
            let code = CString::new(*code).unwrap_or_default();
            // SAFETY: both are NUL-terminated. Throwing fails only when the environment is going away.
            unsafe { sys::napi_throw_error(self.0, code.as_ptr(), message.as_ptr()) };
        }
    }

    /// Has `hook` called with `argument` when the environment is torn down.
    pub(super) fn on_cleanup(
        self,
        hook: unsafe extern "C" fn(sys::napi_async_cleanup_hook_handle, *mut c_void),
        argument: *mut c_void,
    ) -> napi::Result<()> {
        // SAFETY: hook and argument stay valid until the hook has run.
        check(unsafe { sys::napi_add_async_cleanup_hook(self.0, Some(hook), argument, ptr::null_mut()) })?;
        Ok(())
    }
}

/// Tells N-API that a cleanup hook has done all it had to.
pub(super) fn finish_cleanup(handle: sys::napi_async_cleanup_hook_handle) {
    // SAFETY: the handle is the one the hook was called with, and this is called once.
    unsafe { sys::napi_remove_async_cleanup_hook(handle) };
}

/// See [`Js::scope`].
pub(super) struct Scope {
    js: Js,
    scope: sys::napi_handle_scope,
}

impl Drop for Scope {
    fn drop(&mut self) {
        if !self.scope.is_null() {
            // SAFETY: opened by `Js::scope`, closed once, innermost first.
            unsafe { sys::napi_close_handle_scope(self.js.0, self.scope) };
        }
    }
}

/// See [`Js::callback_scope`].
pub(super) struct CallbackScope {
    js: Js,
    scope: sys::napi_callback_scope,
}

impl Drop for CallbackScope {
    fn drop(&mut self) {
        if !self.scope.is_null() {
            // SAFETY: as in `Scope`.
            unsafe { sys::napi_close_callback_scope(self.js.0, self.scope) };
        }
    }
}

/// A value that lives as long as the environment.
pub(super) struct Reference(sys::napi_ref);

impl Reference {
    pub(super) fn new(js: Js, object: &Object<'_>) -> napi::Result<Self> {
        Ok(Self::to(js, object.raw())?)
    }

    /// The function `name` of `object`.
    pub(super) fn function_of(js: Js, object: &Object<'_>, name: &str) -> napi::Result<Self> {
        let name = CString::new(name).map_err(|_| napi::Error::from_reason("a name holds no NUL"))?;
        let mut value = ptr::null_mut();
        // SAFETY: the object lives in the current scope; the name is NUL-terminated.
        check(unsafe { sys::napi_get_named_property(js.0, object.raw(), name.as_ptr(), &mut value) })?;
        if js.type_of(value)? != sys::ValueType::napi_function {
            return Err(napi::Error::from_reason(format!("{name:?} is not a function")));
        }
        Ok(Self::to(js, value)?)
    }

    fn to(js: Js, value: Value) -> Result<Self> {
        let mut reference = ptr::null_mut();
        // SAFETY: the value lives in the current scope.
        check(unsafe { sys::napi_create_reference(js.0, value, 1, &mut reference) })?;
        Ok(Self(reference))
    }
}

fn element_size(kind: sys::napi_typedarray_type) -> usize {
    use sys::TypedarrayType as T;
    match kind {
        T::int16_array | T::uint16_array => 2,
        T::int32_array | T::uint32_array | T::float32_array => 4,
        T::float64_array | T::bigint64_array | T::biguint64_array => 8,
        _ => 1,
    }
}
