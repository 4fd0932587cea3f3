//! The opening handshake (§4.2), as Bun takes and answers it: `Connection` is not looked at, an HTTP/1.0 request is as
//! good as any.

use super::extensions::Agreed;
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, SET_COOKIE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What the answer to a good handshake needs of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept_key: String,
    /// The first subprotocol the client offered.
    pub protocol: Option<HeaderValue>,
}

/// Why a request cannot become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not ask for one, or not in a way that can be answered; it is an ordinary HTTP request.
    NotAHandshake,
    /// It asks for another version of the protocol, and is answered with [`write_version_refusal`].
    UnsupportedVersion,
}

/// Judges a request. A handshake with several faults is [`Refusal::NotAHandshake`] before it is of a wrong version.
pub fn accept(method: &Method, headers: &HeaderMap) -> Result<Accept, Refusal> {
    if method != Method::GET || !asks_for_websocket(headers) {
        return Err(Refusal::NotAHandshake);
    }
    let key = only(headers, SEC_WEBSOCKET_KEY).filter(|key| is_key(key)).ok_or(Refusal::NotAHandshake)?;
    // §4.2.2: if this version does not match, the server MUST abort and MAY send 426.
    if only(headers, SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(Refusal::UnsupportedVersion);
    }
    Ok(Accept {
        accept_key: derive_accept_key(key),
        protocol: headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(first_protocol),
    })
}

impl Accept {
    /// The subprotocol of the answer with these `headers`: the one they name, which may be none, or else the first that was offered.
    pub fn protocol_with(&self, headers: &[(HeaderName, HeaderValue)]) -> Option<HeaderValue> {
        match headers.iter().find(|(name, _)| name == SEC_WEBSOCKET_PROTOCOL) {
            Some((_, given)) => first_protocol(given),
            None => self.protocol.clone(),
        }
    }
}

/// Whether a request offers a subprotocol (§4.1).
pub fn offers_protocol(headers: &HeaderMap, protocol: &str) -> bool {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    let mut offers = lists.iter().flat_map(|list| list.as_bytes().split(|&byte| byte == b','));
    offers.any(|offer| offer.trim_ascii() == protocol.as_bytes())
}

/// Appends the 101 with what was agreed to of permessage-deflate, and the `headers` and the `cookies` (values of `set-cookie`) the caller
/// wants in it.
///
/// Order: `set-cookie` of `headers`, the other `headers` as given (repeated ones joined), `cookies`, the handshake's own,
/// `Date`. The handshake's own fields are not for the caller to set and are dropped from `headers`, with two exceptions:
/// `Sec-WebSocket-Protocol` replaces the client's offer, or refuses it when empty, and `Date` replaces `http_date`.
pub fn write_response(
    out: &mut Vec<u8>,
    accept: &Accept,
    deflate: Option<&Agreed>,
    headers: &[(HeaderName, HeaderValue)],
    cookies: &[HeaderValue],
    http_date: &[u8],
) {
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    for (_, value) in headers.iter().filter(|(name, _)| name == SET_COOKIE) {
        write_field(out, "set-cookie", value.as_bytes());
    }
    for (i, (name, value)) in headers.iter().enumerate() {
        let seen = headers[..i].iter().any(|(earlier, _)| earlier == name);
        if seen || name == SET_COOKIE || name == SEC_WEBSOCKET_PROTOCOL || OWN.contains(name) {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        for (_, value) in headers[i + 1..].iter().filter(|(later, _)| later == name) {
            out.extend_from_slice(b", ");
            out.extend_from_slice(value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    for value in cookies {
        write_field(out, "set-cookie", value.as_bytes());
    }
    out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
    write_field(out, "Sec-WebSocket-Accept", accept.accept_key.as_bytes());
    if let Some(protocol) = accept.protocol_with(headers) {
        write_field(out, "Sec-WebSocket-Protocol", protocol.as_bytes());
    }
    if let Some(agreed) = deflate {
        write_field(out, "Sec-WebSocket-Extensions", agreed.to_string().as_bytes());
    }
    if !headers.iter().any(|(name, _)| name == DATE) {
        write_field(out, "Date", http_date);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the 426 that tells the client which version would do. The connection is closed behind it.
pub fn write_version_refusal(out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n",
    );
}

/// Whether `websocket` is among the protocols of the `Upgrade` fields.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let values = headers.get_all(UPGRADE);
    let mut protocols = values.iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    protocols.any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// The value of a field that occurs once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
}

/// §4.1: sixteen bytes in base64.
pub const KEY_LENGTH: usize = 24;

/// Whether `key` is the base64 of 16 bytes (§4.2.1): 22 digits and `==`. The four bits to spare may be anything, as in Bun.
fn is_key(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == KEY_LENGTH && key.ends_with(b"==") && key[..22].iter().all(digit)
}

/// The first of a list of subprotocols; as in Bun, the empty one before a leading comma. An empty list has none.
fn first_protocol(list: &HeaderValue) -> Option<HeaderValue> {
    let list = list.as_bytes().trim_ascii();
    let first = list.split(|&byte| byte == b',').next()?.trim_ascii();
    if list.is_empty() { None } else { HeaderValue::from_bytes(first).ok() }
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The fields of a 101 that the caller has no say in.
const OWN: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING,
    UPGRADE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::extensions::{self, DeflateConfig, Level};
    use std::io::{self, Read, Write};
    use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ=="; // §1.3, with its accept key below
    const DATE: &str = "Sun, 22 Nov 2026 23:44:06 GMT";
    const START: &str = "HTTP/1.1 101 Switching Protocols\r\n";
    const OURS: &str =
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn fields(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    /// What a GET with a good handshake becomes when `with` replaces some of its fields ("-" takes one away).
    fn accept_with(with: &[(&str, &str)]) -> Result<Accept, Refusal> {
        let mut headers =
            fields(&[("upgrade", "websocket"), ("sec-websocket-key", KEY), ("sec-websocket-version", "13")]);
        for (name, _) in with {
            headers.remove(*name);
        }
        let given: Vec<_> = with.iter().copied().filter(|(_, value)| *value != "-").collect();
        for (name, value) in &fields(&given) {
            headers.append(name, value.clone());
        }
        accept(&Method::GET, &headers)
    }

    fn protocol_of(offers: &[&str]) -> Option<String> {
        let offers: Vec<_> = offers.iter().map(|offer| ("sec-websocket-protocol", *offer)).collect();
        let protocol = accept_with(&offers).unwrap().protocol;
        protocol.map(|protocol| protocol.to_str().unwrap().to_owned())
    }

    /// The 101 to a client that offered p1 and p2.
    fn respond(given: &[(&str, &str)], cookies: &[&str]) -> String {
        let accept = accept_with(&[("sec-websocket-protocol", "p1, p2")]).unwrap();
        let given: Vec<_> = given
            .iter()
            .map(|(name, value)| {
                (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let cookies: Vec<_> = cookies.iter().map(|cookie| HeaderValue::from_str(cookie).unwrap()).collect();
        let mut out = Vec::new();
        write_response(&mut out, &accept, None, &given, &cookies, DATE.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_handshake_of_the_rfc_is_accepted_without_a_connection_field() {
        let accepted = accept_with(&[]).unwrap();
        assert_eq!(accepted.accept_key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accepted.protocol, None);
    }

    #[test]
    fn only_get_asks_for_a_websocket() {
        let headers =
            fields(&[("upgrade", "websocket"), ("sec-websocket-key", KEY), ("sec-websocket-version", "13")]);
        for method in [Method::POST, Method::PUT, Method::HEAD, Method::OPTIONS] {
            assert_eq!(accept(&method, &headers), Err(Refusal::NotAHandshake));
        }
    }

    #[test]
    fn websocket_is_a_whole_token_among_others_in_any_case() {
        for value in ["websocket", "WebSocket", "websocket, h2c", "h2c,websocket", ",websocket", "websocket,"]
        {
            assert!(accept_with(&[("upgrade", value)]).is_ok(), "{value}");
        }
        assert!(accept_with(&[("upgrade", "h2c"), ("upgrade", "websocket")]).is_ok());
        for value in
            ["-", "h2c", "xwebsocket", "websocketx", "websocket/13", "websocket;q=1", "h2c websocket"]
        {
            assert_eq!(accept_with(&[("upgrade", value)]), Err(Refusal::NotAHandshake), "{value}");
        }
    }

    #[test]
    fn a_key_is_the_base64_of_16_bytes_and_there_is_one() {
        let key = |value| accept_with(&[("sec-websocket-key", value)]);
        assert!(key("dGhlIHNhbXBsZSBub25jZR==").is_ok()); // the spare bits need not be zero
        for value in [
            "-",
            "",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZQ=A",
            "dGhlIHNhbXBsZSBub25jZQA=",
            "dGhlIHNhbXBsZSBub25jZQAA",
            "dGhlIHNhbXBsZSBub25j_Q==",
            "dGhl!HNhbXBsZSBub25jZQ==",
            "========================",
        ] {
            assert_eq!(key(value), Err(Refusal::NotAHandshake), "{value}");
        }
        let twice = accept_with(&[("sec-websocket-key", KEY), ("sec-websocket-key", KEY)]);
        assert_eq!(twice, Err(Refusal::NotAHandshake));
    }

    #[test]
    fn a_version_other_than_13_is_refused_as_such_when_all_else_is_right() {
        for value in ["-", "", "12", "013", "13.0", "13, 8", "8, 13", "13,13"] {
            let refused = accept_with(&[("sec-websocket-version", value)]);
            assert_eq!(refused, Err(Refusal::UnsupportedVersion), "{value}");
        }
        let twice = accept_with(&[("sec-websocket-version", "13"), ("sec-websocket-version", "13")]);
        assert_eq!(twice, Err(Refusal::UnsupportedVersion));
        for other in [("sec-websocket-key", "x"), ("upgrade", "h2c")] {
            let refused = accept_with(&[("sec-websocket-version", "12"), other]);
            assert_eq!(refused, Err(Refusal::NotAHandshake));
        }
    }

    #[test]
    fn the_refusal_of_a_version_is_buns_to_the_byte() {
        let mut out = Vec::new();
        write_version_refusal(&mut out);
        let expected =
            "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_first_protocol_offered_is_the_one() {
        assert_eq!(protocol_of(&["a"]).as_deref(), Some("a"));
        assert_eq!(protocol_of(&["a, b"]).as_deref(), Some("a"));
        assert_eq!(protocol_of(&["  a  ,b"]).as_deref(), Some("a"));
        assert_eq!(protocol_of(&["a", "b"]).as_deref(), Some("a"));
        assert_eq!(protocol_of(&["a;q=1,b"]).as_deref(), Some("a;q=1"));
        for none in [&[][..], &[""], &["", "b"]] {
            assert_eq!(protocol_of(none), None, "{none:?}");
        }
        for empty in [&[",a"], &[" , a"]] {
            assert_eq!(protocol_of(empty).as_deref(), Some(""), "{empty:?}");
        }
    }

    #[test]
    fn a_plain_response_is_buns_to_the_byte() {
        let expected = format!("{START}{OURS}Sec-WebSocket-Protocol: p1\r\nDate: {DATE}\r\n\r\n");
        assert_eq!(respond(&[], &[]), expected);
    }

    #[test]
    fn a_protocol_is_offered_when_it_is_one_of_the_names_in_any_of_the_fields() {
        let headers = fields(&[("sec-websocket-protocol", "a, b"), ("sec-websocket-protocol", "c")]);
        for (protocol, is_offered) in [("a", true), ("b", true), ("c", true), ("A", false), ("a, b", false)] {
            assert_eq!(offers_protocol(&headers, protocol), is_offered, "{protocol}");
        }
    }

    #[test]
    fn what_was_agreed_to_of_permessage_deflate_comes_before_the_date() {
        let config = DeflateConfig::new(Some(Level::Kb3), None).unwrap();
        let agreed = extensions::negotiate([&b"permessage-deflate"[..]], &config).unwrap();
        let accept = accept_with(&[]).unwrap();
        let mut out = Vec::new();
        write_response(&mut out, &accept, Some(&agreed), &[], &[], DATE.as_bytes());
        let extensions = "permessage-deflate; client_no_context_takeover; server_max_window_bits=9";
        let expected = format!("{START}{OURS}Sec-WebSocket-Extensions: {extensions}\r\nDate: {DATE}\r\n\r\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn cookies_come_first_then_the_others_as_given_with_repeated_ones_joined() {
        let given = [
            ("X-B", "1"),
            ("set-cookie", "a=1"),
            ("x-a", "2"),
            ("X-B", "3"),
            ("Set-Cookie", "b=2"),
            ("x-empty", ""),
        ];
        let expected = format!(
            "{START}set-cookie: a=1\r\nset-cookie: b=2\r\nx-b: 1, 3\r\nx-a: 2\r\nx-empty: \r\nset-cookie: c=3\r\n{OURS}\
             Sec-WebSocket-Protocol: p1\r\nDate: {DATE}\r\n\r\n"
        );
        assert_eq!(respond(&given, &["c=3"]), expected);
    }

    #[test]
    fn fields_of_the_handshake_itself_are_dropped() {
        let given = [
            ("Sec-WebSocket-Accept", "x"),
            ("Upgrade", "x"),
            ("Connection", "close"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Sec-WebSocket-Extensions", "x"),
            ("Sec-WebSocket-Key", "x"),
            ("Sec-WebSocket-Version", "12"),
        ];
        assert_eq!(respond(&given, &[]), respond(&[], &[]));
    }

    #[test]
    fn a_given_date_replaces_the_automatic_one() {
        let expected = format!("{START}date: today\r\n{OURS}Sec-WebSocket-Protocol: p1\r\n\r\n");
        assert_eq!(respond(&[("Date", "today")], &[]), expected);
    }

    #[test]
    fn a_given_protocol_replaces_the_offer_and_an_empty_one_refuses_it() {
        let given = |values: &[&str]| {
            let given: Vec<_> = values.iter().map(|value| ("Sec-WebSocket-Protocol", *value)).collect();
            respond(&given, &[])
        };
        let expected = |line: &str| format!("{START}{OURS}{line}Date: {DATE}\r\n\r\n");
        assert_eq!(given(&["unoffered"]), expected("Sec-WebSocket-Protocol: unoffered\r\n"));
        assert_eq!(given(&["a, b"]), expected("Sec-WebSocket-Protocol: a\r\n")); // as Bun: a list is no answer
        assert_eq!(given(&["a", "b"]), expected("Sec-WebSocket-Protocol: a\r\n"));
        assert_eq!(given(&[""]), expected(""));
        assert_eq!(given(&[",b"]), expected("Sec-WebSocket-Protocol: \r\n"));
    }

    /// The far side of a stream: answers the request that was written to it.
    #[derive(Debug, Default)]
    struct Server {
        request: Vec<u8>,
        response: Vec<u8>,
    }

    impl Write for Server {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.request.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Server {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if !self.request.is_empty() {
                let request = String::from_utf8(std::mem::take(&mut self.request)).unwrap();
                let headers: Vec<_> = request.lines().filter_map(|line| line.split_once(": ")).collect();
                let accept = accept(&Method::GET, &fields(&headers)).unwrap();
                write_response(&mut self.response, &accept, None, &[], &[], DATE.as_bytes());
            }
            let len = self.response.len().min(into.len());
            into[..len].copy_from_slice(&self.response[..len]);
            self.response.drain(..len);
            Ok(len)
        }
    }

    #[test]
    fn tungstenite_agrees_that_the_handshake_is_done() {
        let mut request = "ws://localhost/".into_client_request().unwrap();
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("p1, p2"));
        let (_, response) = tungstenite::client(request, Server::default()).unwrap();
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "p1");
    }
}
