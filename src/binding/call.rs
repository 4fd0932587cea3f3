//! Functions that JavaScript calls. One trampoline serves all: it collects the arguments, keeps panics in, throws what the
//! function failed with, and sees to it that what the call left behind is done soon.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::Binding;
use super::value::{Failure, Js, Result, Value};
use crate::server::slots::Key;

/// What a function's data pointer points to.
pub(super) struct Entry {
    pub(super) binding: Rc<Binding>,
    pub(super) function: Function,
}

/// A function for JavaScript.
pub(super) type Function = fn(&Rc<Binding>, Arguments) -> Result<Value>;

const MAX_ARGUMENTS: usize = 10;

/// The arguments of a call; missing ones are `undefined`.
#[derive(Clone, Copy)]
pub(super) struct Arguments {
    js: Js,
    values: [Value; MAX_ARGUMENTS],
}

impl Arguments {
    pub(super) fn value(&self, index: usize) -> Value {
        self.values[index]
    }

    pub(super) fn key(&self, index: usize) -> Result<Key> {
        Ok(Key::from_f64(self.number(index)?))
    }

    pub(super) fn number(&self, index: usize) -> Result<f64> {
        self.js.as_f64(self.values[index])
    }

    pub(super) fn integer(&self, index: usize) -> Result<i32> {
        self.js.as_i32(self.values[index])
    }

    pub(super) fn boolean(&self, index: usize) -> Result<bool> {
        self.js.as_bool(self.values[index])
    }

    /// `None` for `undefined`.
    pub(super) fn optional_boolean(&self, index: usize) -> Result<Option<bool>> {
        self.js.as_optional_bool(self.values[index])
    }

    pub(super) fn text(&self, index: usize) -> Result<String> {
        self.js.as_text(self.values[index])
    }

    pub(super) fn is_nullish(&self, index: usize) -> Result<bool> {
        self.js.is_nullish(self.values[index])
    }
}

/// N-API calls this for every function of the engine.
pub(super) unsafe extern "C" fn trampoline(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    let js = Js(env);
    let mut values = [ptr::null_mut(); MAX_ARGUMENTS];
    let mut count = MAX_ARGUMENTS;
    let mut data: *mut c_void = ptr::null_mut();
    // SAFETY: `values` has room for `count`; N-API fills missing arguments with undefined.
    unsafe { sys::napi_get_cb_info(env, info, &mut count, values.as_mut_ptr(), ptr::null_mut(), &mut data) };
    // SAFETY: every function was made with a pointer to its entry, which lives until the environment takes no more calls.
    let entry = unsafe { &*data.cast::<Entry>() };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let result = (entry.function)(&entry.binding, Arguments { js, values });
        entry.binding.engine.after_call();
        result
    }));
    match outcome {
        Ok(Ok(value)) => value,
        Ok(Err(failure)) => {
            js.throw(&failure);
            ptr::null_mut()
        }
        Err(_) => {
            js.throw(&Failure::Error { code: "ERR_INTERNAL_ASSERTION", message: INTERNAL.into() });
            ptr::null_mut()
        }
    }
}

pub(super) const INTERNAL: &str = "mantou: internal error, please report it";
