//! What a server was asked to do, parsed: inside, nothing is checked again.

use crate::websocket::extensions::DeflateConfig;
use crate::websocket::timers::IdlePolicy;

/// The limits and timers of a server's WebSockets. `reload()` replaces it for open sockets too.
#[derive(Clone, Debug)]
pub(crate) struct WebSocketConfig {
    /// Bytes of one message, after which the peer gets 1009.
    pub(crate) max_payload_length: usize,
    /// Buffered bytes beyond which a send is dropped; `None` for no limit.
    pub(crate) backpressure_limit: Option<usize>,
    /// Whether a dropped send also closes the socket.
    pub(crate) close_on_backpressure_limit: bool,
    /// Whether `ws.publish` reaches the publisher too.
    pub(crate) publish_to_self: bool,
    /// Whether each message waits until JavaScript is done with the one before (`hold` and `release`).
    pub(crate) serial: bool,
    /// What is agreed to of permessage-deflate; sockets that are open already keep what they agreed to.
    pub(crate) deflate: Option<DeflateConfig>,
    /// When a silent socket is pinged and closed.
    pub(crate) idle: IdlePolicy,
}

impl WebSocketConfig {
    /// Whether a message of `len` bytes is to be compressed. `asked` is the `compress` argument; `by_default` is what it means to omit it.
    pub(crate) fn should_compress(&self, asked: Option<bool>, len: usize, by_default: bool) -> bool {
        match &self.deflate {
            Some(deflate) => deflate.should_compress(asked, len, by_default),
            None => asked.unwrap_or(by_default),
        }
    }
}

/// The limits of a server's HTTP connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpConfig {
    /// Bytes of a request's content, beyond which it gets 413.
    pub(crate) max_request_body_size: u64,
    /// Seconds without a sign of life after which a connection ends; 0 for never.
    pub(crate) idle_timeout: f64,
    /// Whether somebody is to be told when a handler takes longer.
    pub(crate) warns_of_timeout: bool,
}

/// Where a server listens.
#[derive(Clone, Debug)]
pub(crate) enum Listen {
    Tcp {
        /// `None` for every address of the machine, IPv6 and IPv4.
        hostname: Option<String>,
        port: u16,
        reuse_port: bool,
        ipv6_only: bool,
    },
    #[cfg(unix)]
    Unix(Vec<u8>),
}
