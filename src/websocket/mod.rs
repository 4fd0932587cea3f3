//! RFC 6455 as a sans-IO core: bytes and `now` in, events and bytes out. No socket, no clock, no JavaScript.
//!
//! | file | noun | RFC 6455 |
//! |---|---|---|
//! | `handshake` | the opening handshake: may this request become a WebSocket, and the 101 | §4.2 |
//! | `extensions` | what is agreed to of permessage-deflate | §9.1, RFC 7692 §5, §7.1 |
//! | `deflate` | compressed frames, and what a connection keeps to write them | RFC 7692 §7.2.1 |
//! | `inflate` | compressed messages, and what a connection keeps to read them | RFC 7692 §7.2.2 |
//! | `window` | what was said last in one direction | RFC 7692 §7.1.1 |
//! | `frame` | opcodes, and the header of a frame the server sends | §5.2 |
//! | `decoder` | the header of a frame the client sent, and what is wrong with it | §5.2 |
//! | `mask` | unmasking of client payloads | §5.3 |
//! | `receiver` | bytes of one client to messages, pings, pongs and the close | §5.4–5.6, §8.1 |
//! | `close` | status codes, close frames, ready states | §5.5.1, §7.4 |
//! | `error` | the one table of protocol errors: status code, string code, text | §7.1.7 |
//! | `timers` | idle timeout and automatic pings | §5.5.2 |
//!
//! What a peer did wrong is a value, [`ProtocolError`], that ends this one connection; nothing here panics on bytes from the
//! network. What a peer can make grow is bounded: a message by `maxPayloadLength` (from the header, before anything is
//! allocated; decompressed, while it is), its buffer by twice the bytes that arrived, a control frame by 125 bytes, a header by 14.
#![forbid(unsafe_code)]

pub mod close;
mod decoder;
pub mod deflate;
pub mod error;
pub mod extensions;
pub mod frame;
pub mod handshake;
pub mod inflate;
pub mod mask;
pub mod receiver;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod reference;
pub mod timers;
mod window;

pub use close::ReadyState;
pub use deflate::{Compressor, Deflater};
pub use error::ProtocolError;
pub use extensions::{Agreed, DeflateConfig, Level};
pub use frame::Opcode;
pub use handshake::{Accept, Refusal};
pub use inflate::{Decompressor, Inflater};
pub use receiver::{Event, Kind, Limits, Payload, Receiver};
pub use timers::{Expiry, Idle, IdlePolicy};
