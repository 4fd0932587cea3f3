//! The reason phrase of a status.
#![forbid(unsafe_code)]

use http::StatusCode;

/// As `StatusCode::canonical_reason`, which is what hyper writes, unless Bun has one where that has none or says it otherwise; empty for a
/// status that nobody has named.
pub(crate) fn standard(status: StatusCode) -> &'static str {
    match status.as_u16() {
        101 => "Switching protocols",
        203 => "Non-Authoritative Information",
        306 => "Switch Proxy",
        418 => "I'm a Teapot",
        _ => status.canonical_reason().unwrap_or_default(),
    }
}
