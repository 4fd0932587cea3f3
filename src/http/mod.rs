//! HTTP/1.1 with hyper: a task per connection, an exchange per request, bodies in both directions, and the way out of HTTP.

pub(crate) mod body;
mod conditions;
pub(crate) mod connection;
pub(crate) mod directory;
pub(crate) mod exchange;
mod file_body;
mod media_type;
mod router;
pub(crate) mod routes;
pub(crate) mod static_route;
pub(crate) mod upgrade;
