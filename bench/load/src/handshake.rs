//! Opening a connection, blocking: the WebSocket handshake (RFC 6455 §4.1), and single requests over HTTP.

use crate::Result;
use crate::stream::{Connector, Stream};

/// What a client offers in its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Nothing,
    /// permessage-deflate in which every message stands alone, in both directions.
    Deflate,
}

/// Opens a WebSocket at `path`; returns the stream when the 101 has arrived.
pub(crate) fn open_websocket(connector: &Connector, path: &str, offer: Offer) -> Result<Stream> {
    let mut stream = connector.connect()?;
    let head = exchange(&mut stream, &upgrade_request(connector.port(), path, offer))?;
    check_upgrade(&head, offer).map_err(|problem| format!("{problem} at {path}: {:?}", text(&head)))?;
    Ok(stream)
}

/// The answer's status to a single request on a connection of its own.
pub(crate) fn status_of(connector: &Connector, request: &[u8]) -> Result<u16> {
    let head = exchange(&mut connector.connect()?, request)?;
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| format!("no HTTP response: {:?}", text(&head)))
}

/// Whether a server agrees to an offer at `path`.
pub(crate) fn agrees_to(connector: &Connector, path: &str, offer: Offer) -> Result<bool> {
    let head = exchange(&mut connector.connect()?, &upgrade_request(connector.port(), path, offer))?;
    Ok(check_upgrade(&head, offer).is_ok())
}

/// A request without content.
pub(crate) fn get_request(port: u16, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n").into()
}

pub(crate) fn upgrade_request(port: u16, path: &str, offer: Offer) -> Vec<u8> {
    let extensions = match offer {
        Offer::Nothing => "",
        Offer::Deflate => {
            "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
        }
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
    )
    .into()
}

/// What is wrong with the answer to an [`upgrade_request`], or that there is nothing: all of what a server says at first.
pub(crate) fn check_upgrade(head: &[u8], offer: Offer) -> std::result::Result<(), &'static str> {
    let text = text(head);
    let lower = text.to_ascii_lowercase();
    if !text.starts_with("HTTP/1.1 101") || !text.contains(ACCEPT) {
        return Err("no upgrade");
    }
    if !head.ends_with(b"\r\n\r\n") {
        return Err("the server speaks first");
    }
    let agreed = lower.lines().find_map(|line| line.strip_prefix("sec-websocket-extensions:"));
    match (offer, agreed) {
        (Offer::Nothing, None) => Ok(()),
        (Offer::Deflate, Some(agreed)) if agreed.contains("server_no_context_takeover") => Ok(()),
        (Offer::Deflate, _) => Err("no compression, or one that keeps a context"),
        (Offer::Nothing, Some(_)) => Err("an extension that was not offered"),
    }
}

/// Sends a request and reads until the answer's head is whole; a body's first bytes may follow it.
fn exchange(stream: &mut Stream, request: &[u8]) -> Result<Vec<u8>> {
    stream.write_all(request).map_err(|error| format!("request: {error}"))?;
    let (mut head, mut buffer) = (Vec::new(), [0; 2048]);
    while !is_whole(&head) {
        match stream.read(&mut buffer).map_err(|error| format!("response: {error}"))? {
            0 => return Err("the connection ended before a response".into()),
            length => head.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(head)
}

/// Whether these bytes reach to the end of a head.
pub(crate) fn is_whole(head: &[u8]) -> bool {
    head.windows(4).any(|window| window == b"\r\n\r\n")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The key and its answer are those of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(more: &str) -> Vec<u8> {
        format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {ACCEPT}\r\n{more}\r\n").into()
    }

    #[test]
    fn an_upgrade_must_answer_the_key_and_say_nothing_behind_its_head() {
        assert_eq!(check_upgrade(&answer(""), Offer::Nothing), Ok(()));
        let other_key =
            String::from_utf8(answer("")).unwrap().replace(ACCEPT, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert!(check_upgrade(other_key.as_bytes(), Offer::Nothing).is_err());
        assert!(check_upgrade(b"HTTP/1.1 400 Bad Request\r\n\r\n", Offer::Nothing).is_err());
        assert!(check_upgrade(&[&answer("")[..], b"\x81\x00"].concat(), Offer::Nothing).is_err());
    }

    #[test]
    fn compression_is_agreed_to_only_where_it_was_offered_and_without_a_context() {
        let alone = answer("sec-websocket-extensions: permessage-deflate; server_no_context_takeover\r\n");
        let in_context = answer("Sec-WebSocket-Extensions: permessage-deflate\r\n");
        assert_eq!(check_upgrade(&alone, Offer::Deflate), Ok(()));
        assert!(check_upgrade(&alone, Offer::Nothing).is_err());
        assert!(check_upgrade(&in_context, Offer::Deflate).is_err());
        assert!(check_upgrade(&answer(""), Offer::Deflate).is_err());
    }
}
