//! One server: its configuration, who is connected, and what `stop()` waits for.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use http::Method;

use super::config::{HttpConfig, WebSocketConfig};
use super::connection::{Sent, Socket};
use super::engine::Engine;
use super::event::Event;
use super::keyring::Keyring;
use super::listener::Listener;
use super::publication::Publication;
use super::slots::{Key, Slots};
use super::topics::Topics;
use super::transport::Transport;
use crate::http::connection::Connection;
use crate::http::routes::{Routes, Way};
use crate::websocket::frame::Opcode;

/// See the module.
pub(crate) struct Server {
    pub(crate) key: Key,
    pub(crate) engine: Rc<Engine>,
    pub(crate) topics: Topics,
    pub(crate) http: HttpConfig,
    websocket: RefCell<Option<Rc<WebSocketConfig>>>,
    /// Without any, every request is for `fetch`.
    pub(crate) routes: RefCell<Option<Routes>>,
    /// Those that are being put together, to replace them at once.
    pub(crate) coming_routes: RefCell<Option<Routes>>,
    listener: RefCell<Option<Listener>>,
    /// Of a server of https. Connections keep the one they began with.
    keyring: RefCell<Option<Rc<Keyring>>>,
    /// HTTP connections, upgraded ones no longer among them.
    pub(crate) connections: RefCell<Slots<Rc<Connection>>>,
    pub(crate) connection_count: Cell<usize>,
    /// WebSockets whose `close` handler has not returned.
    pub(crate) websocket_count: Cell<usize>,
    /// Closed WebSockets whose peers have not hung up.
    pub(super) parting: RefCell<HashMap<Key, Rc<Socket>>>,
    /// Requests whose answer is not finished.
    pub(crate) pending_requests: Cell<usize>,
    is_stopping: Cell<bool>,
    /// `stop()` waits for the peers of closed WebSockets too.
    awaits_peers: Cell<bool>,
    is_referenced: Cell<bool>,
}

/// What became of a message for the subscribers of a topic.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) receivers: usize,
    pub(crate) any_buffered: bool,
    /// Those who did not get it, because of their backpressure limit.
    pub(crate) dropped: Vec<Key>,
}

impl Server {
    pub(crate) fn new(
        key: Key,
        engine: Rc<Engine>,
        listener: Listener,
        http: HttpConfig,
        keyring: Option<Keyring>,
    ) -> Self {
        Self {
            key,
            engine,
            topics: Topics::default(),
            http,
            websocket: RefCell::new(None),
            routes: RefCell::new(None),
            coming_routes: RefCell::new(None),
            listener: RefCell::new(Some(listener)),
            keyring: RefCell::new(keyring.map(Rc::new)),
            connections: RefCell::new(Slots::new()),
            connection_count: Cell::new(0),
            websocket_count: Cell::new(0),
            parting: RefCell::default(),
            pending_requests: Cell::new(0),
            is_stopping: Cell::new(false),
            awaits_peers: Cell::new(false),
            is_referenced: Cell::new(true),
        }
    }

    /// Begins to accept connections.
    pub(crate) fn accept(self: &Rc<Self>) {
        if let Some(listener) = &*self.listener.borrow() {
            listener.start(self);
        }
    }

    /// Replaces keys and certificates, for connections that are yet to come.
    pub(crate) fn set_keyring(&self, keyring: Keyring) {
        *self.keyring.borrow_mut() = Some(Rc::new(keyring));
    }

    /// A new connection as this server speaks on it.
    pub(super) fn secure(&self, transport: Transport) -> Transport {
        match &*self.keyring.borrow() {
            None => transport,
            Some(keyring) => transport.secured(keyring.session()),
        }
    }

    /// The WebSocket configuration of now, if the server has one.
    pub(crate) fn websocket(&self) -> Option<Rc<WebSocketConfig>> {
        self.websocket.borrow().clone()
    }

    /// Replaces the configuration, for open sockets too; those that have one of their own keep it.
    pub(crate) fn set_websocket(self: &Rc<Self>, config: WebSocketConfig) {
        let config = Rc::new(config);
        let Some(former) = self.websocket.replace(Some(Rc::clone(&config))) else { return };
        for socket in self.engine.sockets.borrow().iter().filter(|socket| Rc::ptr_eq(&socket.server, self)) {
            if Rc::ptr_eq(&socket.config(), &former) {
                socket.set_config(&config);
            }
        }
    }

    /// The way of a request; `is_handshake` tells of one that would be welcome.
    pub(crate) fn way(&self, method: &Method, target: &[u8], is_handshake: bool) -> Way {
        match &*self.routes.borrow() {
            Some(routes) => routes.way(method, target, is_handshake && self.websocket.borrow().is_some()),
            None => Way::Fetch,
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.get()
    }

    pub(super) fn awaits_peers(&self) -> bool {
        self.awaits_peers.get()
    }

    pub(crate) fn is_referenced(&self) -> bool {
        self.is_referenced.get()
    }

    pub(crate) fn set_referenced(&self, yes: bool) {
        self.is_referenced.set(yes);
    }

    /// Sends a message to every subscriber of `topic` but `except`.
    pub(crate) fn publish(
        &self,
        topic: &str,
        opcode: Opcode,
        payload: &[u8],
        compress: bool,
        except: Option<Key>,
    ) -> Published {
        let mut published = Published::default();
        let mut publication = Publication::new(opcode, payload, compress);
        let sockets = self.engine.sockets.borrow();
        self.topics.for_each(topic, |key| {
            if Some(key) == except {
                return;
            }
            let Some(socket) = sockets.find(key) else { return };
            published.receivers += 1;
            match socket.send_published(&mut publication) {
                Sent::Accepted => {}
                Sent::Buffered => published.any_buffered = true,
                Sent::Dropped => published.dropped.push(key),
            }
        });
        publication.recycle(&mut self.engine.spares.borrow_mut());
        published
    }

    /// Stops listening and lets go of connections that have nothing in flight; with `cut`, of all HTTP connections, and of the peers of
    /// closed WebSockets.
    pub(crate) fn stop(self: &Rc<Self>, cut: bool) {
        self.is_stopping.set(true);
        drop(self.listener.take());
        for connection in self.connections.borrow().iter() {
            connection.stop(cut);
        }
        if cut && self.awaits_peers.replace(false) {
            for socket in self.parting.borrow().values() {
                socket.cut();
            }
        }
        self.check_stopped();
    }

    /// From now on a closed WebSocket counts as connected until its peer has hung up, which may take it until `stop` cuts.
    pub(crate) fn await_peers(&self) {
        self.awaits_peers.set(true);
    }

    /// The task of a closed WebSocket is over.
    pub(super) fn part(self: &Rc<Self>, socket: Key) {
        self.parting.borrow_mut().remove(&socket);
        self.check_stopped();
    }

    /// The environment is going away: lets go of what refers back to the server.
    pub(crate) fn abandon(&self) {
        for connection in self.connections.replace(Slots::new()).iter() {
            connection.abandon();
        }
        self.parting.take();
    }

    /// Ends the connections that wait for another request. Returns how many.
    pub(crate) fn close_idle_connections(&self) -> usize {
        self.connections.borrow().iter().filter(|connection| connection.close_if_idle()).count()
    }

    /// Announces the end of a stopped server once nothing is connected any more.
    pub(crate) fn check_stopped(self: &Rc<Self>) {
        // Removing it makes the announcement happen once.
        if self.is_stopping.get()
            && !self.is_busy()
            && self.engine.servers.borrow_mut().remove(self.key).is_some()
        {
            self.engine.push(Event::Stopped(Rc::clone(self)));
        }
    }

    /// Whether the process must not end by itself.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.is_referenced.get() && (self.is_busy() || self.listener.borrow().is_some())
    }

    /// Whether somebody is connected.
    fn is_busy(&self) -> bool {
        self.connection_count.get() + self.websocket_count.get() > 0
            || (self.awaits_peers.get() && !self.parting.borrow().is_empty())
    }
}
