//! The functions of the engine as `src/js/` calls them. Arguments have been checked there; what is left here is to find the thing
//! and do it. A socket, exchange or server that is gone answers with the value for "closed".

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use super::Binding;
use super::call::{Arguments, Function};
use super::deliver::SEND;
use super::tls;
use super::value::{Failure, Result, UNDEFINED, Value};
use crate::http::body::{ResponseBody, ResponseStream};
use crate::http::conditions::{self, Extent, Validators, Verdict};
use crate::http::directory::Directory;
use crate::http::exchange::Exchange;
use crate::http::media_type;
use crate::http::phrase;
use crate::http::prepared;
use crate::http::routes::{Route, Routes};
use crate::http::static_route::StaticRoute;
use crate::http::upgrade::{self, Subprotocol};
use crate::server::config::{HttpConfig, Listen, WebSocketConfig};
use crate::server::connection::{Sent, Socket};
use crate::server::instance::{Published, Server};
use crate::server::listener::{Listener, NotFound};
use crate::server::slots::Key;
use crate::websocket::extensions::{DeflateConfig, Level};
use crate::websocket::frame::Opcode;
use crate::websocket::timers::IdlePolicy;

/// Every function by its name.
pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("settle", settle),
    ("flush", flush),
    ("wake", wake),
    ("listen", listen),
    ("listenUnix", listen_unix),
    ("setTls", set_tls),
    ("configure", configure),
    ("configureUpgrade", configure_upgrade),
    ("newRoutes", new_routes),
    ("useRoutes", use_routes),
    ("addHandlerRoute", add_handler_route),
    ("addStaticRoute", add_static_route),
    ("addDirectoryRoute", add_directory_route),
    ("addFetchRoute", add_fetch_route),
    ("setHasFetch", set_has_fetch),
    ("stop", stop),
    ("awaitPeers", await_peers),
    ("setReferenced", set_referenced),
    ("closeIdleConnections", close_idle_connections),
    ("pendingRequests", pending_requests),
    ("subscriberCount", subscriber_count),
    ("publishText", publish_text),
    ("publishBinary", publish_binary),
    ("isHandshake", is_handshake),
    ("upgrade", upgrade_exchange),
    ("forget", forget),
    ("peerOf", peer_of),
    ("timeout", timeout),
    ("watch", watch),
    ("takeBody", take_body),
    ("readBody", read_body),
    ("discardBody", discard_body),
    ("select", select),
    ("mediaType", media_type),
    ("respond", respond),
    ("freeBytes", free_bytes),
    ("respondStream", respond_stream),
    ("writeBody", write_body),
    ("endBody", end_body),
    ("failBody", fail_body),
    ("sendText", send_text),
    ("sendBinary", send_binary),
    ("ping", ping),
    ("pong", pong),
    ("close", close),
    ("terminate", terminate),
    ("shutDown", shut_down),
    ("release", release),
    ("takeDropped", take_dropped),
    ("hold", hold),
    ("letGo", let_go),
    ("subscribe", subscribe),
    ("unsubscribe", unsubscribe),
    ("isSubscribed", is_subscribed),
    ("subscriptions", subscriptions),
    ("bufferedAmount", buffered_amount),
    ("pause", pause),
    ("resume", resume),
    ("isPaused", is_paused),
    ("remoteAddress", remote_address),
];

/// `settle()`: does what JavaScript outside a turn has left to do.
fn settle(binding: &Rc<Binding>, _: Arguments) -> Result<Value> {
    binding.engine.settle();
    binding.js.undefined()
}

/// `flush()`: gives the kernel what waits for the end of the turn. The process ends before that.
fn flush(binding: &Rc<Binding>, _: Arguments) -> Result<Value> {
    binding.engine.flush_dirty();
    binding.js.undefined()
}

/// `wake()`: the timer of `setTimer` has fired.
fn wake(binding: &Rc<Binding>, _: Arguments) -> Result<Value> {
    binding.engine.timer_fired();
    binding.js.undefined()
}

/// `listen(idleTimeout, warnsOfTimeout, maxRequestBodySize, hostname | null, port, reusePort, ipv6Only, tls | null)`:
/// `[server, address, port, isIPv6]`. See `tls::keyring`.
fn listen(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let hostname = if arguments.is_nullish(3)? { None } else { Some(arguments.text(3)?) };
    let port = arguments.number(4)? as u16;
    let listen =
        Listen::Tcp { hostname, port, reuse_port: arguments.boolean(5)?, ipv6_only: arguments.boolean(6)? };
    start(binding, arguments, &listen, arguments.value(7))
}

/// `listenUnix(idleTimeout, warnsOfTimeout, maxRequestBodySize, path, tls | null)`: `[server]`.
#[cfg(unix)]
fn listen_unix(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    start(binding, arguments, &Listen::Unix(arguments.text(3)?.into_bytes()), arguments.value(4))
}

#[cfg(not(unix))]
fn listen_unix(_: &Rc<Binding>, _: Arguments) -> Result<Value> {
    Err(Failure::Error { code: "ENOTSUP", message: "unix sockets are not supported on this platform".into() })
}

fn start(binding: &Rc<Binding>, arguments: Arguments, listen: &Listen, tls: Value) -> Result<Value> {
    let (js, engine) = (binding.js, &binding.engine);
    let http = HttpConfig {
        idle_timeout: arguments.number(0)?,
        warns_of_timeout: arguments.boolean(1)?,
        max_request_body_size: arguments.number(2)? as u64,
    };
    let keyring = tls::keyring(js, tls)?;
    let (listener, address) = Listener::bind(engine, listen).map_err(|error| listen_error(&error))?;
    let mut made = None;
    let key = engine.servers.borrow_mut().insert_with(|key| {
        let server = Rc::new(Server::new(key, Rc::clone(engine), listener, http, keyring));
        made = Some(Rc::clone(&server));
        server
    });
    let (Some(key), Some(server)) = (key, made) else {
        return Err(Failure::Error { code: "EMFILE", message: "too many servers".into() });
    };
    server.accept();
    let key = js.number(key.as_f64())?;
    match address {
        None => js.array(&[key]),
        Some(address) => js.array(&[
            key,
            js.latin1(address.ip().to_string().as_bytes())?,
            js.number(f64::from(address.port()))?,
            js.boolean(address.is_ipv6())?,
        ]),
    }
}

/// The system's name for what went wrong; the text for users is made in JavaScript.
fn listen_error(error: &std::io::Error) -> Failure {
    let is_unknown_name = error.get_ref().is_some_and(|inner| inner.is::<NotFound>());
    let code = match error.raw_os_error() {
        _ if is_unknown_name => "ENOTFOUND",
        Some(libc::EADDRINUSE) => "EADDRINUSE",
        Some(libc::EADDRNOTAVAIL) => "EADDRNOTAVAIL",
        Some(libc::EACCES) => "EACCES",
        Some(libc::ENOENT) => "ENOENT",
        Some(libc::ENOTDIR) => "ENOTDIR",
        Some(libc::ENAMETOOLONG) => "ENAMETOOLONG",
        Some(libc::EMFILE) => "EMFILE",
        Some(libc::EINVAL) => "EINVAL",
        // socket2 refuses a path that does not fit before the system sees it.
        None if error.kind() == std::io::ErrorKind::InvalidInput => "ENAMETOOLONG",
        _ => "ELISTEN",
    };
    Failure::Error { code, message: error.to_string() }
}

/// `setTls(server, tls)`: for the connections that are yet to come.
fn set_tls(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let keyring = tls::keyring(binding.js, arguments.value(1))?;
    if let (Some(server), Some(keyring)) = (server(binding, arguments)?, keyring) {
        server.set_keyring(keyring);
    }
    binding.js.undefined()
}

/// `configure(server, maxPayloadLength, backpressureLimit, closeOnBackpressureLimit, publishToSelf, idleTimeout, sendPings, serial,
/// compress, decompress)`: the last two are names of levels, or undefined.
fn configure(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let config = websocket_config(arguments)?;
    if let Some(server) = server(binding, arguments)? {
        server.set_websocket(config);
    }
    binding.js.undefined()
}

/// `configureUpgrade(exchange, …)`: the same for the WebSocket that `upgrade` makes of it, alone.
fn configure_upgrade(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let config = websocket_config(arguments)?;
    if let Some(exchange) = exchange(binding, arguments)? {
        *exchange.websocket.borrow_mut() = Some(Rc::new(config));
    }
    binding.js.undefined()
}

/// What follows the first of the arguments of `configure`.
fn websocket_config(arguments: Arguments) -> Result<WebSocketConfig> {
    let backpressure_limit = arguments.number(2)? as usize;
    Ok(WebSocketConfig {
        max_payload_length: arguments.number(1)? as usize,
        backpressure_limit: (backpressure_limit > 0).then_some(backpressure_limit),
        close_on_backpressure_limit: arguments.boolean(3)?,
        publish_to_self: arguments.boolean(4)?,
        serial: arguments.boolean(7)?,
        deflate: DeflateConfig::new(level(arguments, 8)?, level(arguments, 9)?),
        idle: IdlePolicy::from_seconds(arguments.number(5)? as u32, arguments.boolean(6)?),
    })
}

fn level(arguments: Arguments, index: usize) -> Result<Option<Level>> {
    Ok(if arguments.is_nullish(index)? { None } else { Level::parse(&arguments.text(index)?) })
}

/// `newRoutes(server, hasFetch)`: the routes that are added from now on are to replace those that stand.
fn new_routes(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(server) = server(binding, arguments)? {
        *server.coming_routes.borrow_mut() = Some(Routes::new(arguments.boolean(1)?));
    }
    binding.js.undefined()
}

/// `useRoutes(server, yes)`: they do; or else they are forgotten.
fn use_routes(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(server) = server(binding, arguments)? {
        let coming = server.coming_routes.take();
        if arguments.boolean(1)? {
            *server.routes.borrow_mut() = coming;
        }
    }
    binding.js.undefined()
}

/// `addHandlerRoute(server, pattern, methods, number, isPending)`. Methods are separated by spaces; without any it is for all of them.
/// A pending route stands in for a static one.
fn add_handler_route(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let number = arguments.number(3)? as u32;
    let route = if arguments.boolean(4)? { Route::Pending(number) } else { Route::Handler(number) };
    add_route(binding, arguments, &route)
}

/// `addStaticRoute(server, pattern, methods, status, statusText, fields, body)`.
fn add_static_route(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let js = binding.js;
    let status = status_code(arguments, 3)?;
    let phrase = reason(status, js.as_latin1(arguments.value(4))?);
    let fields = fields(&js.as_latin1(arguments.value(5))?);
    let body = js.with_bytes(arguments.value(6), Bytes::copy_from_slice)?;
    let route = StaticRoute::new(status, phrase, fields, body);
    add_route(binding, arguments, &Route::Static(Rc::new(route)))
}

/// `addDirectoryRoute(server, pattern, methods, path)`.
fn add_directory_route(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let path = arguments.text(3)?;
    let directory = Directory::open(Path::new(&path)).map_err(|error| Failure::Error {
        code: if error.kind() == ErrorKind::NotADirectory { "ENOTDIR" } else { "ENOENT" },
        message: format!("{error}, open '{path}'"),
    })?;
    add_route(binding, arguments, &Route::Directory(Rc::new(directory)))
}

/// `addFetchRoute(server, pattern, methods)`: what it matches is for `fetch`.
fn add_fetch_route(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    add_route(binding, arguments, &Route::Fetch)
}

fn add_route(binding: &Rc<Binding>, arguments: Arguments, route: &Route) -> Result<Value> {
    let pattern = arguments.text(1)?;
    let methods = arguments.text(2)?;
    let Some(server) = server(binding, arguments)? else { return binding.js.undefined() };
    let mut coming = server.coming_routes.borrow_mut();
    let mut standing = server.routes.borrow_mut();
    if let Some(routes) = coming.as_mut().or(standing.as_mut()) {
        if methods.is_empty() {
            routes.insert(pattern.as_bytes(), None, route.clone());
        }
        for method in methods.split_ascii_whitespace().flat_map(|name| Method::from_bytes(name.as_bytes())) {
            routes.insert(pattern.as_bytes(), Some(method), route.clone());
        }
    }
    binding.js.undefined()
}

/// `setHasFetch(server, yes)`: whether there is somebody for what no route takes.
fn set_has_fetch(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(server) = server(binding, arguments)?
        && let Some(routes) = &mut *server.routes.borrow_mut()
    {
        routes.set_fetch(arguments.boolean(1)?);
    }
    binding.js.undefined()
}

/// `stop(server, cut)`.
fn stop(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(server) = server(binding, arguments)? {
        server.stop(arguments.boolean(1)?);
        binding.engine.update_host();
    }
    binding.js.undefined()
}

/// `awaitPeers(server)`: its end waits for the peers of closed WebSockets to hang up, until it is told to cut.
fn await_peers(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(server) = server(binding, arguments)? {
        server.await_peers();
    }
    binding.js.undefined()
}

/// `setReferenced(server, yes)`.
fn set_referenced(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(server) = server(binding, arguments)? {
        server.set_referenced(arguments.boolean(1)?);
        binding.engine.update_host();
    }
    binding.js.undefined()
}

/// `closeIdleConnections(server)`: how many it has closed.
fn close_idle_connections(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let count = server(binding, arguments)?.map_or(0, |server| server.close_idle_connections());
    binding.js.number(count as f64)
}

/// `pendingRequests(server)`.
fn pending_requests(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let count = server(binding, arguments)?.map_or(0, |server| server.pending_requests.get());
    binding.js.number(count as f64)
}

/// `subscriberCount(server, topic)`.
fn subscriber_count(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let topic = arguments.text(1)?;
    let count = server(binding, arguments)?.map_or(0, |server| server.topics.subscriber_count(&topic));
    binding.js.number(count as f64)
}

/// `publishText(server, topic, text, compress | undefined, publisher | undefined)`: bytes, -1, 0, or -2 when a receiver dropped it.
fn publish_text(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let mut buffer = binding.text.borrow_mut();
    let publish = publication(binding, arguments, Opcode::Text)?;
    let status = binding.js.with_text(arguments.value(2), &mut buffer, publish)?;
    binding.js.number(status)
}

/// `publishBinary(server, topic, bytes, compress | undefined, publisher | undefined)`: as `publishText`.
fn publish_binary(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let publish = publication(binding, arguments, Opcode::Binary)?;
    let status = binding.js.with_bytes(arguments.value(2), publish)?;
    binding.js.number(status)
}

/// A message was dropped because of a backpressure limit.
const DROPPED: f64 = -2.0;

/// `takeDropped()`: the places of the sockets that the last publication did not reach.
fn take_dropped(binding: &Rc<Binding>, _: Arguments) -> Result<Value> {
    let dropped = binding.dropped.take();
    let places: Vec<Value> =
        dropped.iter().map(|key| binding.js.integer(key.index() as i32)).collect::<Result<_>>()?;
    binding.js.array(&places)
}

fn publication(
    binding: &Rc<Binding>,
    arguments: Arguments,
    opcode: Opcode,
) -> Result<impl FnOnce(&[u8]) -> f64> {
    let server = server(binding, arguments)?;
    let topic = arguments.text(1)?;
    let asked = arguments.optional_boolean(3)?;
    let publisher = if arguments.is_nullish(4)? { None } else { Some(arguments.key(4)?) };
    Ok(move |payload: &[u8]| {
        let Some(server) = server else { return 0.0 };
        let socket = publisher.and_then(|key| server.engine.find_socket(key));
        let config = socket.map(|socket| socket.config()).or_else(|| server.websocket());
        // As in Bun: what is published by the server is compressed unless it says no, what a socket publishes only if it says so.
        let by_default = publisher.is_none();
        let compress = config.as_ref().map_or(asked.unwrap_or(by_default), |config| {
            config.should_compress(asked, payload.len(), by_default)
        });
        let except = publisher.filter(|_| !config.is_some_and(|config| config.publish_to_self));
        let published = server.publish(&topic, opcode, payload, compress, except);
        match published {
            Published { receivers: 0, .. } => 0.0,
            Published { dropped, .. } if !dropped.is_empty() => {
                *binding.dropped.borrow_mut() = dropped;
                DROPPED
            }
            Published { any_buffered: true, .. } => -1.0,
            _ => payload.len() as f64,
        }
    })
}

/// `isHandshake(exchange)`: whether `upgrade` could answer it. One of a wrong version is answered now.
fn is_handshake(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let exchange = exchange(binding, arguments)?;
    binding.js.boolean(exchange.is_some_and(|exchange| upgrade::is_handshake(&exchange)))
}

/// `upgrade(exchange, fields, protocol, cookies)`: the socket, or `[socket, protocol, extensions]` when something was agreed to, or `undefined`
/// when the exchange cannot be upgraded. A `protocol` is picked, `false` refuses all, `undefined` leaves it to fields and client.
/// The cookies are fields that come behind the others.
fn upgrade_exchange(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let js = binding.js;
    let Some(exchange) = exchange(binding, arguments)? else { return js.undefined() };
    let cookies = fields(&js.as_latin1(arguments.value(3))?);
    let cookies: Vec<HeaderValue> = cookies.into_iter().map(|(_, value)| value).collect();
    let fields = fields(&js.as_latin1(arguments.value(1))?);
    let subprotocol = if arguments.is_nullish(2)? {
        Subprotocol::Default
    } else if js.is_string(arguments.value(2))? {
        Subprotocol::Picked(arguments.text(2)?)
    } else {
        Subprotocol::Refused
    };
    let Some(upgraded) = upgrade::upgrade(&exchange, fields, &cookies, &subprotocol) else {
        return js.undefined();
    };
    let key = js.number(upgraded.socket.key.as_f64())?;
    if upgraded.protocol.is_none() && upgraded.extensions.is_none() {
        return Ok(key);
    }
    js.array(&[
        key,
        js.latin1(upgraded.protocol.as_ref().map_or(&[], |protocol| protocol.as_bytes()))?,
        js.latin1(upgraded.extensions.unwrap_or_default().as_bytes())?,
    ])
}

/// `forget(exchange)`: the handler of an upgraded request has returned.
fn forget(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(exchange) = exchange(binding, arguments)? {
        exchange.forget();
    }
    binding.js.undefined()
}

/// `peerOf(exchange)`: `[address, port, isIPv6]`, or null when the exchange is over or has no such peer.
fn peer_of(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let js = binding.js;
    let exchange = exchange(binding, arguments)?
        .filter(|exchange| !exchange.is_upgraded() && !exchange.connection.is_half_closed());
    let peer = exchange.and_then(|exchange| exchange.connection.transport.peer());
    match peer {
        None => js.null(),
        Some(peer) => js.array(&[
            js.latin1(peer.ip().to_string().as_bytes())?,
            js.number(f64::from(peer.port()))?,
            js.boolean(peer.is_ipv6())?,
        ]),
    }
}

/// `timeout(exchange, seconds)`: how long its connection may be without a sign of life from now on.
fn timeout(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(exchange) = exchange(binding, arguments)?.filter(|exchange| !exchange.is_upgraded()) {
        exchange.connection.set_timeout(arguments.number(1)?);
    }
    binding.js.undefined()
}

/// `watch(exchange)`: JavaScript wants to hear how it ends. Whether the client has ended its side already; undefined when it is over.
fn watch(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    match exchange(binding, arguments)? {
        Some(exchange) => binding.js.boolean(exchange.watch()),
        None => binding.js.undefined(),
    }
}

/// `takeBody(exchange, asText)`: all of the request's body, as text or as an `ArrayBuffer`, if it is there. Otherwise undefined: it is for `readBody`.
fn take_body(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let js = binding.js;
    let body = exchange(binding, arguments)?.and_then(|exchange| exchange.take_whole_body());
    match body {
        None => js.undefined(),
        Some(body) if arguments.boolean(1)? => {
            let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&body);
            js.string(String::from_utf8_lossy(text).as_bytes())
        }
        Some(body) => js.array_buffer(&body),
    }
}

/// In front of a text it is not part of it (WHATWG Encoding, "UTF-8 decode").
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// `readBody(exchange)`: asks for the next piece of the request's body. False when the exchange is over.
fn read_body(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let exchange = exchange(binding, arguments)?;
    if let Some(exchange) = &exchange {
        exchange.read_body();
    }
    binding.js.boolean(exchange.is_some())
}

/// `discardBody(exchange)`: nobody will read the rest.
fn discard_body(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(exchange) = exchange(binding, arguments)? {
        exchange.drain_body();
    }
    binding.js.undefined()
}

/// `mediaType(extension)`: the Content-Type of a file with that extension, without its dot.
fn media_type(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    binding.js.string(media_type::of_extension(arguments.text(0)?.as_bytes()).as_bytes())
}

/// `select(exchange, etag, lastModified, length)`: what the conditions and the range of a request come to for a file of `length` bytes with
/// these fields, `""` for none: `[status, start, end]`. 200 asks for all of it.
fn select(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let js = binding.js;
    let answer = |status: StatusCode, part: Range<u64>| {
        js.array(&[
            js.integer(i32::from(status.as_u16()))?,
            js.number(part.start as f64)?,
            js.number(part.end as f64)?,
        ])
    };
    let length = arguments.number(3)? as u64;
    let Some(exchange) = exchange(binding, arguments)? else { return answer(StatusCode::OK, 0..length) };
    let (etag, modified) = (js.as_latin1(arguments.value(1))?, js.as_latin1(arguments.value(2))?);
    let validators = Validators {
        etag: Some(etag.as_slice()).filter(|etag| !etag.is_empty()),
        modified: conditions::parse_date(&modified),
    };
    let (method, fields) = (&exchange.method, &*exchange.fields());
    match if conditions::apply_to(method) { validators.judge(fields) } else { Verdict::Proceed } {
        Verdict::Proceed => {}
        Verdict::NotModified => return answer(StatusCode::NOT_MODIFIED, 0..0),
        Verdict::Failed => return answer(StatusCode::PRECONDITION_FAILED, 0..0),
    }
    // RFC 9110 §14.2: a server MUST ignore a Range in a request with a method that has no range handling: only GET has.
    match if *method == Method::GET { validators.extent(fields, length) } else { Extent::Whole } {
        Extent::Whole => answer(StatusCode::OK, 0..length),
        Extent::Part(part) => answer(StatusCode::PARTIAL_CONTENT, part),
        Extent::Unsatisfiable => answer(StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    }
}

/// `respond(exchange, status, statusText | undefined, fields, body)`: answers with a whole body: a string, bytes or nothing. True when the answer is
/// out, and nothing more will be told of the exchange.
fn respond(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let Some(exchange) = unanswered(binding, arguments)? else { return binding.js.boolean(false) };
    let js = binding.js;
    let (status, body) = (status_code(arguments, 1)?, arguments.value(4));
    let may_prepare = js.is_nullish(arguments.value(2))? && exchange.takes_prepared();
    // Gives the content back when the answer is not of the common kind.
    let answer = |fields: &[u8], content: &[u8]| {
        let mut prepared = binding.prepared.borrow_mut();
        prepared.clear();
        let date = binding.engine.date();
        if may_prepare && prepared::write_head(&mut prepared, status, fields, &date, content.len()) {
            Ok(exchange.answer_prepared(status, &prepared, content))
        } else {
            Err(Bytes::copy_from_slice(content))
        }
    };
    let outcome = js.with_latin1(arguments.value(3), &mut binding.fields.borrow_mut(), |fields| {
        if js.is_nullish(body)? {
            Ok(answer(fields, &[]))
        } else if js.is_string(body)? {
            js.with_text(body, &mut binding.text.borrow_mut(), |content| answer(fields, content))
        } else {
            js.with_bytes(body, |content| answer(fields, content))
        }
    })??;
    match outcome {
        Ok(is_over) => js.boolean(is_over),
        Err(content) => {
            let body = ResponseBody::whole(content, &exchange);
            exchange.answer(head(binding, arguments, &exchange, body)?);
            js.boolean(false)
        }
    }
}

/// `freeBytes(arrayBuffer)`: its memory is given back now, not when it is collected as garbage.
fn free_bytes(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    binding.js.detach(arguments.value(0))?;
    binding.js.undefined()
}

/// `respondStream(exchange, status, statusText | undefined, fields, length | undefined)`: answers with a body that follows, of `length` bytes if
/// that is known.
fn respond_stream(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let Some(exchange) = unanswered(binding, arguments)? else { return binding.js.boolean(false) };
    let length = if arguments.is_nullish(4)? { None } else { Some(arguments.number(4)? as u64) };
    let stream = ResponseStream::new(length);
    let response = head(binding, arguments, &exchange, ResponseBody::stream(Rc::clone(&stream), &exchange))?;
    *exchange.stream.borrow_mut() = Some(stream);
    exchange.answer(response);
    binding.js.boolean(true)
}

fn head(
    binding: &Rc<Binding>,
    arguments: Arguments,
    exchange: &Exchange,
    body: ResponseBody,
) -> Result<Response<ResponseBody>> {
    let length = body.size_hint().exact();
    let mut response = Response::new(body);
    *response.status_mut() = status_code(arguments, 1)?;
    let given =
        if arguments.is_nullish(2)? { Vec::new() } else { binding.js.as_latin1(arguments.value(2))? };
    if let Some(phrase) = reason(response.status(), given) {
        response.extensions_mut().insert(phrase);
    }
    let status = response.status();
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in fields(&binding.js.as_latin1(arguments.value(3))?) {
        headers.append(name, value);
    }
    // The framing is hyper's, whatever the handler says.
    let is_chunked = headers.remove(header::TRANSFER_ENCODING).is_some();
    let given = headers.remove(header::CONTENT_LENGTH);
    if exchange.method != Method::HEAD {
        return Ok(response);
    }
    // The answer to HEAD only tells of the body, and may tell of one that was not made.
    let has_length = prepared::has_length(status);
    if length.is_none()
        || (length == Some(0) && is_chunked && has_length && status != StatusCode::RESET_CONTENT)
    {
        exchange.connection.hides_chunks.set(true);
        return Ok(response);
    }
    let own = length.filter(|_| has_length).map(HeaderValue::from);
    let given = given.filter(|_| length == Some(0) && (has_length || status == StatusCode::NOT_MODIFIED));
    if let Some(told) = given.or(own) {
        headers.insert(header::CONTENT_LENGTH, told);
    }
    Ok(response)
}

fn status_code(arguments: Arguments, index: usize) -> Result<StatusCode> {
    Ok(StatusCode::from_u16(arguments.integer(index)? as u16).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The phrase to send, if it is not the one that hyper would. One that HTTP cannot carry (RFC 9112 §4) gives way to the standard one.
fn reason(status: StatusCode, given: Vec<u8>) -> Option<ReasonPhrase> {
    if !given.is_empty()
        && let Ok(phrase) = ReasonPhrase::try_from(given)
    {
        return Some(phrase);
    }
    let standard = phrase::standard(status);
    (status.canonical_reason() != Some(standard)).then(|| ReasonPhrase::from_static(standard.as_bytes()))
}

/// `writeBody(exchange, bytes)`: 1 when there is room for more, 0 when not, -1 when nobody takes it any more.
fn write_body(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let Some(stream) = stream(binding, arguments)? else { return binding.js.integer(-1) };
    let has_room =
        binding.js.with_bytes(arguments.value(1), |bytes| stream.write(Bytes::copy_from_slice(bytes)))?;
    binding.js.integer(i32::from(has_room))
}

/// `endBody(exchange)`.
fn end_body(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(stream) = stream(binding, arguments)? {
        stream.end();
    }
    binding.js.undefined()
}

/// `failBody(exchange)`: the connection is reset, so that the peer does not take the part for the whole.
fn fail_body(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(exchange) = exchange(binding, arguments)? {
        match exchange.stream.borrow_mut().take() {
            Some(stream) => stream.fail(),
            // Not a byte of the answer is out.
            None => exchange.reset(),
        }
    }
    binding.js.undefined()
}

/// `sendText(text)`, with the socket and what it says about compression in `numbers`, where the status goes: bytes, -1, 0 when it is closed,
/// -2 when the message was dropped.
fn send_text(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let mut buffer = binding.text.borrow_mut();
    binding.js.with_text(arguments.value(0), &mut buffer, |text| send(binding, Opcode::Text, text))?;
    Ok(UNDEFINED)
}

/// `sendBinary(bytes)`: as `sendText`.
fn send_binary(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    binding.js.with_bytes(arguments.value(0), |bytes| send(binding, Opcode::Binary, bytes))?;
    Ok(UNDEFINED)
}

fn send(binding: &Rc<Binding>, opcode: Opcode, payload: &[u8]) {
    let numbers = &binding.numbers;
    let socket = binding.engine.find_socket(Key::from_f64(numbers.get(SEND)));
    let asked = match numbers.get(SEND + 1) {
        0.0 => Some(false),
        1.0 => Some(true),
        _ => None,
    };
    let status = match socket.filter(|socket| socket.is_open()) {
        Some(socket) => status(payload, socket.send_message(opcode, payload, asked)),
        None => 0.0,
    };
    numbers.set(SEND, status);
}

/// `ping(socket, bytes)`: as `sendText`.
fn ping(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    send_control(binding, arguments, Opcode::Ping)
}

/// `pong(socket, bytes)`: as `sendText`.
fn pong(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    send_control(binding, arguments, Opcode::Pong)
}

fn send_control(binding: &Rc<Binding>, arguments: Arguments, opcode: Opcode) -> Result<Value> {
    let Some(socket) = socket(binding, arguments)? else { return binding.js.integer(0) };
    let send = |payload: &[u8]| status(payload, socket.send(opcode, payload));
    let status = binding.js.with_bytes(arguments.value(1), send)?;
    binding.js.number(status)
}

fn status(payload: &[u8], sent: Sent) -> f64 {
    match sent {
        Sent::Accepted => payload.len() as f64,
        Sent::Buffered => -1.0,
        // The socket is open: it was looked up so.
        Sent::Dropped => DROPPED,
    }
}

/// `close(socket, code, reason)`: whether it was open. The caller runs the `close` handler.
fn close(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let reason = arguments.text(2)?;
    let code = arguments.integer(1)?;
    let was_open = socket(binding, arguments)?.is_some_and(|socket| socket.end(Some((code, &reason)), false));
    binding.js.boolean(was_open)
}

/// `terminate(socket)`: whether it was open. The caller runs the `close` handler.
fn terminate(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let was_open = socket(binding, arguments)?.is_some_and(|socket| socket.end(None, true));
    binding.js.boolean(was_open)
}

/// `shutDown(socket, code, reason)`: like `close`, but what the kernel has refused so far is lost, the Close frame with it.
fn shut_down(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let reason = arguments.text(2)?;
    let code = arguments.integer(1)?;
    let was_open = socket(binding, arguments)?.is_some_and(|socket| socket.end(Some((code, &reason)), true));
    binding.js.boolean(was_open)
}

/// `release(socket)`: its `close` handler has returned.
fn release(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let key = arguments.key(0)?;
    // The borrow ends before anything else happens.
    let released = binding.engine.sockets.borrow_mut().remove(key);
    if let Some(socket) = released {
        let server = &socket.server;
        server.websocket_count.set(server.websocket_count.get() - 1);
        server.check_stopped();
    }
    binding.js.undefined()
}

/// `subscribe(socket, topic)`: whether the socket is open.
fn subscribe(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let topic = arguments.text(1)?;
    let socket = socket(binding, arguments)?;
    if let Some(socket) = &socket {
        socket.subscribe(&topic);
    }
    binding.js.boolean(socket.is_some())
}

/// `unsubscribe(socket, topic)`: whether it was subscribed.
fn unsubscribe(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let topic = arguments.text(1)?;
    let was = socket(binding, arguments)?.is_some_and(|socket| socket.unsubscribe(&topic));
    binding.js.boolean(was)
}

/// `isSubscribed(socket, topic)`.
fn is_subscribed(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let topic = arguments.text(1)?;
    let is = socket(binding, arguments)?.is_some_and(|socket| socket.is_subscribed(&topic));
    binding.js.boolean(is)
}

/// `subscriptions(socket)`: the topics in the order of subscription.
fn subscriptions(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let topics = socket(binding, arguments)?.map(|socket| socket.subscriptions()).unwrap_or_default();
    let topics: Vec<Value> =
        topics.iter().map(|topic| binding.js.string(topic.as_bytes())).collect::<Result<_>>()?;
    binding.js.array(&topics)
}

/// `bufferedAmount(socket)`.
fn buffered_amount(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let amount = socket(binding, arguments)?.map_or(0, |socket| socket.buffered_amount());
    binding.js.number(amount as f64)
}

/// `pause(socket)`.
fn pause(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(socket) = socket(binding, arguments)? {
        socket.pause();
    }
    binding.js.undefined()
}

/// `resume(socket)`.
fn resume(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(socket) = socket(binding, arguments)? {
        socket.resume();
    }
    binding.js.undefined()
}

/// `hold(socket)`: JavaScript takes no more messages of it until `letGo`.
fn hold(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(socket) = socket(binding, arguments)? {
        socket.hold();
    }
    binding.js.undefined()
}

/// `letGo(socket)`: JavaScript is done with the messages it had.
fn let_go(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    if let Some(socket) = socket(binding, arguments)? {
        socket.release();
    }
    binding.js.undefined()
}

/// `isPaused(socket)`.
fn is_paused(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    let is = socket(binding, arguments)?.is_some_and(|socket| socket.is_paused());
    binding.js.boolean(is)
}

/// `remoteAddress(socket)`: the peer's IP address, `""` on a Unix socket.
fn remote_address(binding: &Rc<Binding>, arguments: Arguments) -> Result<Value> {
    // A closed socket keeps its address until it is released.
    let socket = binding.engine.find_socket(arguments.key(0)?);
    let address = socket.map(|socket| socket.remote_address()).unwrap_or_default();
    binding.js.latin1(address.as_bytes())
}

fn server(binding: &Rc<Binding>, arguments: Arguments) -> Result<Option<Rc<Server>>> {
    Ok(binding.engine.find_server(arguments.key(0)?))
}

fn exchange(binding: &Rc<Binding>, arguments: Arguments) -> Result<Option<Rc<Exchange>>> {
    Ok(binding.engine.find_exchange(arguments.key(0)?))
}

fn unanswered(binding: &Rc<Binding>, arguments: Arguments) -> Result<Option<Rc<Exchange>>> {
    Ok(exchange(binding, arguments)?.filter(|exchange| exchange.awaits_answer()))
}

fn stream(binding: &Rc<Binding>, arguments: Arguments) -> Result<Option<Rc<ResponseStream>>> {
    Ok(exchange(binding, arguments)?.and_then(|exchange| exchange.stream.borrow().clone()))
}

/// The open socket of the first argument.
fn socket(binding: &Rc<Binding>, arguments: Arguments) -> Result<Option<Rc<Socket>>> {
    Ok(binding.engine.find_socket(arguments.key(0)?).filter(|socket| socket.is_open()))
}

/// Fields from `name: value CR LF …`. JavaScript has checked names and values; what HTTP cannot carry all the same is left out.
fn fields(text: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let value = line.get(colon + 2..).unwrap_or_default();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(value))
        {
            fields.push((name, value));
        }
    }
    fields
}
