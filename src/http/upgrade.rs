//! The way out of HTTP: the 101 is written past hyper, so that `open` can run and send within `upgrade()`.

use std::rc::Rc;

use http::{HeaderName, HeaderValue, header};

use super::connection::Fate;
use super::exchange::Exchange;
use crate::server::connection::Socket;
use crate::websocket::extensions;
use crate::websocket::handshake::{self, Refusal};

/// What became of a handshake.
pub(crate) struct Upgraded {
    pub(crate) socket: Rc<Socket>,
    /// The agreed subprotocol.
    pub(crate) protocol: Option<HeaderValue>,
    /// The agreed extensions, as the answer names them.
    pub(crate) extensions: Option<String>,
}

/// Which subprotocol the caller wants.
pub(crate) enum Subprotocol {
    /// The one among the fields, or else the first that the client offered.
    Default,
    /// None.
    Refused,
    /// This one, if the client offered it.
    Picked(String),
}

/// Answers the handshake of `exchange` and returns its WebSocket, or `None` when it is no valid handshake or answered already. A
/// wrong version is answered here (RFC 6455 §4.4). `cookies` are the values of `set-cookie` fields that come behind `fields`.
pub(crate) fn upgrade(
    exchange: &Rc<Exchange>,
    mut fields: Vec<(HeaderName, HeaderValue)>,
    cookies: &[HeaderValue],
    subprotocol: &Subprotocol,
) -> Option<Upgraded> {
    let config = exchange.websocket.take().or_else(|| exchange.server().websocket())?;
    let request = exchange.fields();
    let accept = accept(exchange, &request)?;
    let server = Rc::clone(exchange.server());
    let engine = &server.engine;
    // Nobody can tell where the frames begin behind a chunked content.
    if exchange.connection.framing.borrow().content_left().is_none()
        || exchange.connection.is_half_closed()
        || exchange.connection.transport.is_at_end()
        || !exchange.set_upgraded()
    {
        return None;
    }
    set_subprotocol(&mut fields, subprotocol, &request);
    let offers = request.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let agreed = config
        .deflate
        .and_then(|deflate| extensions::negotiate(offers.iter().map(HeaderValue::as_bytes), &deflate));
    let transport = Rc::clone(&exchange.connection.transport);
    let mut made = None;
    engine.sockets.borrow_mut().insert_with(|key| {
        let socket = Socket::new(key, Rc::clone(&server), transport, config, agreed.as_ref(), |out| {
            handshake::write_response(out, &accept, agreed.as_ref(), &fields, cookies, &engine.date());
        });
        made = Some(Rc::clone(&socket));
        socket
    })?;
    server.websocket_count.set(server.websocket_count.get() + 1);
    let socket = made?;
    exchange.connection.decide(Fate::Upgrade(Rc::clone(&socket)));
    let protocol = accept.protocol_with(&fields);
    Some(Upgraded { socket, protocol, extensions: agreed.map(|agreed| agreed.to_string()) })
}

/// Whether `exchange` has a handshake that can be answered. A wrong version is answered here, as by `upgrade`.
pub(crate) fn is_handshake(exchange: &Rc<Exchange>) -> bool {
    accept(exchange, &exchange.fields()).is_some()
}

fn accept(exchange: &Rc<Exchange>, request: &http::HeaderMap) -> Option<handshake::Accept> {
    match handshake::accept(&exchange.method, request) {
        Ok(accept) => Some(accept),
        Err(Refusal::NotAHandshake) => None,
        Err(Refusal::UnsupportedVersion) => {
            if exchange.awaits_answer() {
                exchange.answer(version_refusal(exchange));
            }
            None
        }
    }
}

/// Makes the fields say which subprotocol it is.
fn set_subprotocol(
    fields: &mut Vec<(HeaderName, HeaderValue)>,
    subprotocol: &Subprotocol,
    request: &http::HeaderMap,
) {
    let name = match subprotocol {
        Subprotocol::Default => return,
        Subprotocol::Picked(name) if handshake::offers_protocol(request, name) => name,
        // RFC 6455 §4.2.2: without one that the client offered, the answer has no such field.
        Subprotocol::Picked(_) | Subprotocol::Refused => "",
    };
    fields.retain(|(name, _)| name != header::SEC_WEBSOCKET_PROTOCOL);
    if let Ok(value) = HeaderValue::from_str(name) {
        fields.push((header::SEC_WEBSOCKET_PROTOCOL, value));
    }
}

fn version_refusal(exchange: &Rc<Exchange>) -> http::Response<super::body::ResponseBody> {
    let body = super::body::ResponseBody::whole(bytes::Bytes::new(), exchange);
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::UPGRADE_REQUIRED;
    response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
