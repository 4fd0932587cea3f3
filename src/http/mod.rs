//! HTTP/1.1 with hyper: a task per connection, an exchange per request, bodies in both directions, and the way out of HTTP.

pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod exchange;
pub(crate) mod upgrade;
