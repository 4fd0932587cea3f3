//! `Bun.serve()` for Node.js and Bun: an HTTP and WebSocket server with JavaScript handlers.
//!
//! ```text
//!  inside the runtime (I/O half of a turn)              outside the runtime (JavaScript half of a turn)
//!
//!  socket → inbox → Receiver                            handlers, in order; owed replies where they stand
//!           Event ──────────────► EventQueue ─────────► ws.send → Outbox
//!  socket ◄─ task: only what the kernel refused ◄────── end of turn: each dirty socket flushed once
//! ```
//!
//! - [`websocket`]: RFC 6455 without sockets, clock or JavaScript.
//! - `server`: the engine and its turns, the tasks, the outbox, topics.
//! - [`http`]: [`http::framing`] without all that too, then hyper, and the way from a request to a WebSocket.
//! - `binding`: N-API, and the unsafe code.
//! - `fuzzing`: what the fuzz targets do.

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod http;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
pub mod websocket;

#[cfg(feature = "addon")]
#[cfg_attr(test, allow(dead_code, reason = "napi registers nothing in a test build"))]
mod binding;
#[cfg(feature = "addon")]
mod server;
