//! HTTP/1.1 with hyper: a task per connection, an exchange per request, bodies in both directions, and the way out of HTTP. In front
//! of hyper stands `framing`, which is sans-IO like the WebSocket core and builds with it.

pub mod framing;

#[cfg(feature = "addon")]
mod ahead;
#[cfg(feature = "addon")]
pub(crate) mod body;
#[cfg(feature = "addon")]
pub(crate) mod conditions;
#[cfg(feature = "addon")]
pub(crate) mod connection;
#[cfg(feature = "addon")]
pub(crate) mod directory;
#[cfg(feature = "addon")]
pub(crate) mod exchange;
#[cfg(feature = "addon")]
mod file_body;
#[cfg(feature = "addon")]
pub(crate) mod idle;
#[cfg(feature = "addon")]
pub(crate) mod media_type;
#[cfg(feature = "addon")]
pub(crate) mod phrase;
#[cfg(feature = "addon")]
pub(crate) mod prepared;
#[cfg(feature = "addon")]
mod router;
#[cfg(feature = "addon")]
pub(crate) mod routes;
#[cfg(feature = "addon")]
pub(crate) mod static_route;
#[cfg(feature = "addon")]
pub(crate) mod upgrade;
