//! The routes of a server (§9 of the reference). What needs no JavaScript is answered here: static responses, directories, and requests
//! that nobody is for.

use std::rc::Rc;

use http::{HeaderMap, Method, header};

use super::directory::Directory;
use super::router::{self, Router};
use super::static_route::StaticRoute;
use crate::websocket::handshake::KEY_LENGTH;

/// See the module. A reload replaces the whole of it.
#[derive(Debug)]
pub(crate) struct Routes {
    router: Router<Route>,
    /// Whether the server has a `fetch` handler, for what no route takes.
    has_fetch: bool,
}

/// What is behind a pattern.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// A handler, by the number JavaScript knows it by.
    Handler(u32),
    /// A static response whose body JavaScript is still reading; until it is there the handler of this number waits for it.
    Pending(u32),
    Static(Rc<StaticRoute>),
    Directory(Rc<Directory>),
    /// `false`: as if there were no route at all.
    Fetch,
}

/// Who answers a request.
#[derive(Debug)]
pub(crate) enum Way {
    Handler(u32),
    Fetch,
    Static(Rc<StaticRoute>),
    /// With the place in the path where the name of the file begins.
    Directory(Rc<Directory>, usize),
    /// Nobody: 404.
    Nobody,
    /// Nobody, and what comes behind a handshake is no HTTP: 403, and the connection ends.
    NoWebSocket,
}

impl Routes {
    pub(crate) fn new(has_fetch: bool) -> Self {
        Self { router: Router::new(), has_fetch }
    }

    pub(crate) fn insert(&mut self, pattern: &[u8], method: Option<Method>, route: Route) {
        self.router.insert(pattern, method, route);
    }

    pub(crate) fn set_fetch(&mut self, has_fetch: bool) {
        self.has_fetch = has_fetch;
    }

    /// The way of a request. `target` is the request target as it came; `is_handshake` tells of one that is welcome.
    pub(crate) fn way(&self, method: &Method, target: &[u8], is_handshake: bool) -> Way {
        // §3.6: only a handler can upgrade, so a handshake passes by everything else.
        let accepts = |route: &Route| !is_handshake || matches!(route, Route::Handler(_));
        let found = router::path_of(target).and_then(|path| self.router.find(path, method, accepts));
        match found.map(|found| (found.target, found.rest)) {
            Some((Route::Handler(number) | Route::Pending(number), _)) => Way::Handler(*number),
            Some((Route::Static(route), _)) => Way::Static(Rc::clone(route)),
            Some((Route::Directory(directory), rest)) => Way::Directory(Rc::clone(directory), rest),
            Some((Route::Fetch, _)) | None if self.has_fetch => Way::Fetch,
            Some((Route::Fetch, _)) | None if is_handshake => Way::NoWebSocket,
            Some((Route::Fetch, _)) | None => Way::Nobody,
        }
    }
}

/// Whether a request means to become a WebSocket, as Bun takes it: whether it can is for `upgrade()` to say.
pub(crate) fn is_handshake(method: &Method, fields: &HeaderMap) -> bool {
    *method == Method::GET && fields.get(header::SEC_WEBSOCKET_KEY).is_some_and(|key| key.len() == KEY_LENGTH)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;

    fn routes(has_fetch: bool) -> Routes {
        let mut routes = Routes::new(has_fetch);
        let hello = StaticRoute::new(StatusCode::OK, None, Vec::new(), Bytes::from_static(b"hello"));
        routes.insert(b"/static", None, Route::Static(Rc::new(hello)));
        routes.insert(b"/off", None, Route::Fetch);
        routes.insert(b"/post", Some(Method::POST), Route::Handler(1));
        routes
    }

    #[test]
    fn what_no_route_takes_goes_to_fetch_or_is_not_found() {
        for target in [&b"/other"[..], b"/off", b"*"] {
            let with = routes(true).way(&Method::GET, target, false);
            assert!(matches!(with, Way::Fetch), "{with:?}");
            let without = routes(false).way(&Method::GET, target, false);
            assert!(matches!(without, Way::Nobody), "{without:?}");
        }
    }

    #[test]
    fn a_handshake_passes_by_what_cannot_upgrade() {
        for target in [&b"/static"[..], b"/off", b"/post", b"/other"] {
            assert!(matches!(routes(true).way(&Method::GET, target, true), Way::Fetch));
            let without = routes(false).way(&Method::GET, target, true);
            assert!(matches!(without, Way::NoWebSocket), "{without:?}");
        }
        let mut routes = routes(true);
        routes.insert(b"/*", None, Route::Handler(2));
        for target in [&b"/static"[..], b"/off", b"/post"] {
            assert!(matches!(routes.way(&Method::GET, target, true), Way::Handler(2)));
        }
    }

    #[test]
    fn a_handshake_is_a_get_with_a_key_of_its_length() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let with = |key: &str| HeaderMap::from_iter([(header::SEC_WEBSOCKET_KEY, key.parse().unwrap())]);
        assert!(is_handshake(&Method::GET, &with(key)));
        assert!(!is_handshake(&Method::GET, &with(&key[1..])));
        assert!(!is_handshake(&Method::POST, &with(key)));
        assert!(!is_handshake(&Method::GET, &HeaderMap::new()));
    }
}
