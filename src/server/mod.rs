//! Sockets and who serves them: the engine and its turns, the listener, one small task per WebSocket, the outbox, topics.
//! Nothing here knows JavaScript.

pub(crate) mod alarm;
mod certificate;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod driver;
pub(crate) mod engine;
pub(crate) mod event;
pub(crate) mod instance;
pub(crate) mod keyring;
pub(crate) mod lingering;
pub(crate) mod listener;
pub(crate) mod outbox;
pub(crate) mod publication;
#[cfg(target_os = "linux")]
mod ring;
pub(crate) mod slots;
pub(crate) mod subscriptions;
pub(crate) mod time;
pub(crate) mod tls;
pub(crate) mod topics;
pub(crate) mod transport;
