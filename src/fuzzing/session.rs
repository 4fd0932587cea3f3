//! A server and its clients over sockets of the system, as the binding drives it: what was said on one side is heard on the other, once and in
//! its order, whatever the kernel refuses, whoever pauses, and however it ends.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use arbitrary::Arbitrary;
use flate2::{Compress, Compression, FlushCompress};
use socket2::SockRef;
use tokio::runtime::Builder;

use super::peer::{Heard, Peer};
use super::reader::read;
use super::seen::Seen;
use super::{Cuts, Target};
use crate::server::config::{HttpConfig, Listen, WebSocketConfig};
use crate::server::connection::{Life, Sent, Socket};
use crate::server::driver::Driver;
use crate::server::engine::{Engine, Host};
use crate::server::event::{Ending, Event, Held};
use crate::server::instance::Server;
use crate::server::listener::Listener;
use crate::server::outbox::CORK_CAPACITY;
use crate::server::slots::Key;
use crate::server::transport::Transport;
use crate::websocket::close::{ABNORMAL_CLOSURE, NO_STATUS_RECEIVED, truncate_reason};
use crate::websocket::extensions::negotiate;
use crate::websocket::frame::MAX_CONTROL_PAYLOAD;
use crate::websocket::mask::unmask;
use crate::websocket::{Agreed, Decompressor, DeflateConfig, IdlePolicy, Level, Opcode};

/// A server and its clients: all of it but the handshake and JavaScript, over sockets whose buffers are soon full.
#[derive(Arbitrary, Debug)]
pub struct Session<'a> {
    /// Which of [`MAX_PAYLOAD_LENGTHS`].
    max_payload_length: u8,
    options: Options,
    /// What the handlers of messages, pings and pongs do, one after the other, over and over.
    handlers: Vec<Action<'a>>,
    operations: Vec<Operation<'a>>,
}

/// What a reload may change.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Options {
    /// Which of [`BACKPRESSURE_LIMITS`].
    backpressure_limit: u8,
    close_on_backpressure_limit: bool,
    publish_to_self: bool,
    /// Which of [`LEVELS`], to compress and to decompress.
    levels: (u8, u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Operation<'a> {
    /// A client comes, and says something with its handshake, behind a few bytes that mean nothing.
    Come {
        offers_compression: bool,
        skip: u8,
        early: Saying<'a>,
    },
    Client(u8, ClientAction<'a>),
    Server(u8, Action<'a>),
    Reload(Options),
    Turn,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum ClientAction<'a> {
    Say(Saying<'a>),
    Hear(u16),
    Finish,
    Vanish,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Saying<'a> {
    Text(&'a str),
    Binary(Content<'a>),
    Compressed(Content<'a>),
    Fragments(Content<'a>, Cuts),
    Ping(&'a [u8]),
    Close(u16, &'a str),
    /// A frame with any first byte.
    Frame(u8, &'a [u8]),
    Bytes(&'a [u8]),
}

/// What JavaScript may do with a socket.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Action<'a> {
    Nothing,
    SendText(&'a str, Option<bool>),
    SendBinary(Content<'a>, Option<bool>),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Publish { topic: u8, content: Content<'a>, asked: Option<bool>, by_server: bool },
    Subscribe(u8),
    Unsubscribe(u8),
    Close(i32, &'a str),
    ShutDown(i32, &'a str),
    Terminate,
    Pause,
    Resume,
    Hold,
    LetGo,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Content<'a> {
    Bytes(&'a [u8]),
    Repeated(u8, u16),
}

impl<'a> Target<'a> for Session<'a> {
    fn play(self) {
        let game = Game::new(self.max_payload_length, self.options, self.handlers);
        let engine = Rc::downgrade(&game.engine);
        let game = RefCell::new(game);
        for operation in self.operations {
            match operation {
                Operation::Turn => turn(&game),
                other => game.borrow_mut().play(other),
            }
            game.borrow_mut().look();
        }
        finish(&game);
        game.into_inner().check_over();
        assert!(engine.upgrade().is_none(), "something holds the engine");
    }
}

/// A turn of the engine. Who is paused hears nothing in it.
fn turn(game: &RefCell<Game<'_>>) {
    let mut now = game.borrow_mut();
    now.wishes.turn.set(false);
    // What was read before the pause is still delivered.
    let is_settled = now.engine.events.borrow().is_empty();
    for connection in &mut now.connections {
        let rests = connection.socket.is_paused() || connection.socket.is_held();
        connection.rests_at = (is_settled && rests).then_some(connection.seen.len());
    }
    let engine = Rc::clone(&now.engine);
    drop(now);
    engine.turn(&|| game.borrow_mut().deliver());
    let now = game.borrow();
    assert!(engine.events.borrow().is_empty() || now.wishes.turn.get(), "events that nobody will deliver");
    for connection in &now.connections {
        assert!(
            connection.rests_at.is_none_or(|count| count == connection.seen.len()),
            "paused, and it hears"
        );
    }
}

/// Has all that was begun come to its end, and then ends everything.
fn finish(game: &RefCell<Game<'_>>) {
    let mut now = game.borrow_mut();
    now.handlers.clear();
    for index in 0..now.connections.len() {
        now.act(index, Action::LetGo);
        now.act(index, Action::Resume);
    }
    now.after_call();
    drop(now);
    come_to_rest(game);
    let mut now = game.borrow_mut();
    for connection in &now.connections {
        connection.check_seen(now.config.max_payload_length);
    }
    now.server.stop(true);
    for index in 0..now.connections.len() {
        now.act(index, Action::Close(1001, "over"));
    }
    now.after_call();
    drop(now);
    come_to_rest(game);
    for connection in &mut game.borrow_mut().connections {
        connection.check_heard();
        connection.peer.vanish();
    }
    come_to_rest(game);
}

/// Turns until nothing happens any more, while the clients listen.
fn come_to_rest(game: &RefCell<Game<'_>>) {
    let mut last = Vec::new();
    for _ in 0..MAX_TURNS {
        for Connection { peer, .. } in &mut game.borrow_mut().connections {
            peer.send();
            peer.hear(1 << 30);
        }
        turn(game);
        let mut game = game.borrow_mut();
        game.look();
        let now = game.connections.iter().map(Connection::progress).collect();
        if now == last && !game.wishes.turn.get() {
            return;
        }
        last = now;
    }
    panic!("it never comes to rest");
}

struct Game<'a> {
    engine: Rc<Engine>,
    server: Rc<Server>,
    wishes: Rc<Wishes>,
    config: WebSocketConfig,
    handlers: Vec<Action<'a>>,
    /// How many handlers were called.
    calls: usize,
    /// All there ever were.
    connections: Vec<Connection>,
    /// Bytes that may be buffered for a client.
    most_buffered: usize,
    has_stopped: bool,
}

/// What an engine wants of the thread it lives on.
#[derive(Default)]
struct Wishes {
    turn: Cell<bool>,
    settle: Cell<bool>,
    keeps_alive: Cell<bool>,
}

struct Thread(Rc<Wishes>);

impl Host for Thread {
    fn wake(&self) {
        self.0.turn.set(true);
    }

    fn settle_soon(&self) {
        self.0.settle.set(true);
    }

    fn wake_after(&self, _: u64) {}

    fn keep_alive(&self, yes: bool) {
        self.0.keeps_alive.set(yes);
    }
}

impl<'a> Game<'a> {
    fn new(max_payload_length: u8, options: Options, handlers: Vec<Action<'a>>) -> Self {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        let wishes = Rc::<Wishes>::default();
        let engine = Engine::new(Driver::polled(runtime), Box::new(Thread(Rc::clone(&wishes))));
        // Nobody connects to it.
        let hostname = Some("127.0.0.1".to_owned());
        let listen = Listen::Tcp { hostname, port: 0, reuse_port: false, ipv6_only: false };
        let (listener, _) = Listener::bind(&engine, &listen).expect("a free port");
        let mut server = None;
        engine.servers.borrow_mut().insert_with(|key| {
            let http = HttpConfig { max_request_body_size: 0, idle_timeout: 0.0, warns_of_timeout: false };
            Rc::clone(server.insert(Rc::new(Server::new(key, Rc::clone(&engine), listener, http, None))))
        });
        let config = WebSocketConfig {
            max_payload_length: pick(&MAX_PAYLOAD_LENGTHS, max_payload_length),
            backpressure_limit: None,
            close_on_backpressure_limit: false,
            publish_to_self: false,
            serial: false,
            deflate: None,
            idle: IdlePolicy { timeout: None, send_pings: false },
        };
        let mut game = Self {
            engine,
            server: server.expect("a place"),
            wishes,
            config,
            handlers,
            calls: 0,
            connections: Vec::new(),
            most_buffered: 0,
            has_stopped: false,
        };
        game.configure(options);
        game
    }

    fn configure(&mut self, options: Options) {
        let level = |which| pick(&LEVELS, which).map(|name| Level::parse(name).expect("a name"));
        self.config = WebSocketConfig {
            backpressure_limit: pick(&BACKPRESSURE_LIMITS, options.backpressure_limit),
            close_on_backpressure_limit: options.close_on_backpressure_limit,
            publish_to_self: options.publish_to_self,
            deflate: DeflateConfig::new(level(options.levels.0), level(options.levels.1)),
            ..self.config.clone()
        };
        self.server.set_websocket(self.config.clone());
    }

    fn play(&mut self, operation: Operation<'a>) {
        match operation {
            Operation::Come { offers_compression, skip, early } => {
                if self.connections.len() < MAX_CONNECTIONS {
                    self.come(offers_compression, usize::from(skip % 8), early);
                }
            }
            Operation::Client(which, action) => {
                if let Some(index) = self.index(which) {
                    self.connections[index].peer_acts(action);
                }
            }
            Operation::Server(which, action) => {
                if let Some(index) = self.index(which) {
                    self.act(index, action);
                    self.after_call();
                }
            }
            Operation::Reload(options) => self.configure(options),
            Operation::Turn => unreachable!("turns are taken outside of the game"),
        }
    }

    fn index(&self, which: u8) -> Option<usize> {
        usize::from(which).checked_rem(self.connections.len())
    }

    fn come(&mut self, offers_compression: bool, skip: usize, early: Saying<'_>) {
        let (ours, theirs) = UnixStream::pair().expect("descriptors");
        for stream in [&ours, &theirs] {
            stream.set_nonblocking(true).expect("a socket");
            SockRef::from(stream).set_send_buffer_size(1).expect("the smallest buffer there is");
        }
        let stream = {
            let _runtime = self.engine.runtime().enter();
            tokio::net::UnixStream::from_std(ours).expect("a socket that does not block")
        };
        let transport = Rc::new(Transport::unix(stream));
        let offer = offers_compression.then_some(&b"permessage-deflate; client_max_window_bits"[..]);
        let agreed = self.config.deflate.and_then(|config| negotiate(offer, &config));
        let config = self.server.websocket().expect("it was configured");
        let mut socket = None;
        self.engine.sockets.borrow_mut().insert_with(|key| {
            let server = Rc::clone(&self.server);
            Rc::clone(socket.insert(Socket::new(key, server, transport, config, agreed.as_ref(), |_| {})))
        });
        let socket = socket.expect("a place");
        self.server.websocket_count.set(self.server.websocket_count.get() + 1);

        let mut said = vec![0xFF; skip];
        early.write(&mut said);
        // Most of it comes with the handshake, the rest behind it.
        let (early, late) = said.split_at(said.len() - said.len() / 3);
        let mut peer = Peer::new(theirs, early);
        peer.say(late);
        self.engine.spawn(Life::new(Rc::clone(&socket), early.to_vec(), skip));
        self.connections.push(Connection {
            socket,
            peer,
            agreed,
            skip,
            topics: Vec::new(),
            seen: Vec::new(),
            sent: Vec::new(),
            is_behind: false,
            rests_at: None,
            ended: None,
        });
        self.after_call();
    }

    /// What JavaScript did outside of a turn is seen to in a microtask.
    fn after_call(&self) {
        self.engine.after_call();
        if self.wishes.settle.take() {
            self.engine.settle();
        }
    }

    /// What must hold at any time.
    fn look(&mut self) {
        for connection in &mut self.connections {
            let buffered = connection.socket.buffered_amount();
            assert!(buffered <= self.most_buffered, "{buffered} bytes, and {} allowed", self.most_buffered);
            assert_eq!(connection.socket.is_open(), connection.ended.is_none());
            connection.is_behind |= buffered > 0;
        }
    }

    fn act(&mut self, index: usize, action: Action<'a>) {
        let connection = &mut self.connections[index];
        let socket = Rc::clone(&connection.socket);
        let is_open = connection.ended.is_none();
        match action {
            Action::Nothing => {}
            Action::SendText(text, asked) => {
                let text = text.as_bytes();
                self.send(index, Opcode::Text, text, || socket.send_message(Opcode::Text, text, asked));
            }
            Action::SendBinary(content, asked) => {
                let bytes = &*content.bytes();
                self.send(index, Opcode::Binary, bytes, || socket.send_message(Opcode::Binary, bytes, asked));
            }
            Action::Ping(bytes) => {
                let bytes = of_control(bytes);
                self.send(index, Opcode::Ping, bytes, || socket.send(Opcode::Ping, bytes));
            }
            Action::Pong(bytes) => {
                let bytes = of_control(bytes);
                self.send(index, Opcode::Pong, bytes, || socket.send(Opcode::Pong, bytes));
            }
            Action::Publish { topic, content, asked, by_server } => {
                let publisher = (!by_server).then_some(socket.key);
                self.publish(publisher, &name(topic), &content.bytes(), asked);
            }
            // What is closed subscribes to nothing, is not paused and so on: who calls does not find it.
            Action::Subscribe(topic) if is_open => {
                socket.subscribe(&name(topic));
                if !connection.topics.contains(&name(topic)) {
                    connection.topics.push(name(topic));
                }
                assert!(socket.is_subscribed(&name(topic)));
                assert!(socket.subscriptions().iter().map(|topic| &**topic).eq(&connection.topics));
            }
            Action::Unsubscribe(topic) if is_open => {
                let was = connection.topics.contains(&name(topic));
                assert_eq!(socket.unsubscribe(&name(topic)), was);
                connection.topics.retain(|other| *other != name(topic));
                assert!(!socket.is_subscribed(&name(topic)));
                assert!(socket.subscriptions().iter().map(|topic| &**topic).eq(&connection.topics));
            }
            Action::Close(code, reason) => self.end(index, Some((code, reason)), Ended::ByServer),
            Action::ShutDown(code, reason) => self.end(index, Some((code, reason)), Ended::Cut),
            Action::Terminate => self.end(index, None, Ended::Cut),
            Action::Pause if is_open => {
                socket.pause();
                assert!(socket.is_paused());
            }
            Action::Resume if is_open => {
                socket.resume();
                assert!(!socket.is_paused());
                connection.rests_at = None;
            }
            Action::Hold if is_open => {
                socket.hold();
                assert!(socket.is_held());
            }
            Action::LetGo if is_open => {
                socket.release();
                assert!(!socket.is_held());
                connection.rests_at = None;
            }
            _ => {}
        }
    }

    /// Whether nothing more is taken for a client.
    fn is_over_limit(&self, index: usize) -> bool {
        let buffered = self.connections[index].socket.buffered_amount();
        self.config.backpressure_limit.is_some_and(|limit| buffered > limit)
    }

    fn send(&mut self, index: usize, opcode: Opcode, payload: &[u8], send: impl FnOnce() -> Sent) {
        let is_dropped = self.connections[index].ended.is_some() || self.is_over_limit(index);
        let sent = send();
        let is_behind = self.connections[index].socket.buffered_amount() > 0;
        assert_eq!(
            sent,
            match (is_dropped, is_behind) {
                (true, _) => Sent::Dropped,
                (false, true) => Sent::Buffered,
                (false, false) => Sent::Accepted,
            }
        );
        if !is_dropped {
            self.expect(index, opcode, payload);
        }
    }

    /// A frame was taken for a client.
    fn expect(&mut self, index: usize, opcode: Opcode, payload: &[u8]) {
        let before = self.config.backpressure_limit.map_or(usize::MAX, |limit| limit.max(CORK_CAPACITY));
        // A close frame may follow, which no limit holds up, and what is compressed may be longer than what is not.
        let more = payload.len() + payload.len() / 64 + 2 * (MAX_CONTROL_PAYLOAD + 10);
        self.most_buffered = self.most_buffered.max(before.saturating_add(more));
        self.connections[index].sent.push(Heard { opcode: opcode as u8, payload: payload.to_vec() });
    }

    fn publish(&mut self, publisher: Option<Key>, topic: &str, payload: &[u8], asked: Option<bool>) {
        let except = publisher.filter(|_| !self.config.publish_to_self);
        let receives = |connection: &Connection| {
            connection.ended.is_none()
                && Some(connection.socket.key) != except
                && connection.topics.iter().any(|other| other == topic)
        };
        let indexes = 0..self.connections.len();
        let receivers: Vec<usize> = indexes.filter(|&index| receives(&self.connections[index])).collect();
        let (dropped, taken): (Vec<usize>, Vec<usize>) =
            receivers.iter().partition(|&&index| self.is_over_limit(index));

        let compress = self.config.should_compress(asked, payload.len(), publisher.is_none());
        let published = self.server.publish(topic, Opcode::Binary, payload, compress, except);

        let key = |&index: &usize| self.connections[index].socket.key;
        assert_eq!(published.receivers, receivers.len());
        assert_eq!(published.dropped.len(), dropped.len());
        assert!(dropped.iter().map(key).all(|key| published.dropped.contains(&key)));
        let is_behind = |&index: &usize| self.connections[index].socket.buffered_amount() > 0;
        assert_eq!(published.any_buffered, taken.iter().any(is_behind));
        for index in taken {
            self.expect(index, Opcode::Binary, payload);
        }
    }

    /// Ends a connection, and is done with it as the `close` handler is.
    fn end(&mut self, index: usize, close: Option<(i32, &str)>, ended: Ended) {
        let connection = &mut self.connections[index];
        let socket = &connection.socket;
        let is_abrupt = matches!(ended, Ended::Cut | Ended::Lost);
        let is_refused = socket.buffered_amount() > 0;
        let was_open = socket.end(close, is_abrupt);
        assert_eq!(was_open, connection.ended.is_none());
        if !was_open {
            return;
        }
        if let Some((code, reason)) = close
            && !(is_abrupt && is_refused)
        {
            connection.sent.push(Heard { opcode: Opcode::Close as u8, payload: close_payload(code, reason) });
        }
        connection.ended = Some(ended);
        connection.topics.clear();
        connection.rests_at = None;
        assert!(self.engine.sockets.borrow_mut().remove(socket.key).is_some());
        self.server.websocket_count.set(self.server.websocket_count.get() - 1);
        self.server.check_stopped();
    }

    /// Gives all events to the handlers, as the binding does.
    fn deliver(&mut self) {
        loop {
            let event = self.engine.events.borrow_mut().pop();
            let Some(event) = event else { return };
            let own = |content| self.engine.queue().own(content);
            match event {
                Event::Message { socket, kind, content } if socket.is_held() => {
                    socket.keep(Held::Message { kind, content: own(content) });
                }
                Event::Ping { socket, content } if socket.is_held() => socket.keep(Held::Ping(own(content))),
                Event::Pong { socket, content } if socket.is_held() => socket.keep(Held::Pong(own(content))),
                Event::End { socket, ending } if socket.is_held() => {
                    socket.keep(Held::End(match ending {
                        Ending::Peer { code, reason } => Ending::Peer { code, reason: own(reason) },
                        other => other,
                    }));
                }
                Event::Message { socket, kind, content } => {
                    let bytes = self.engine.queue().bytes(&content).to_vec();
                    self.hear(&socket, Seen::message(kind, &bytes));
                }
                Event::Ping { socket, content } => {
                    let index = self.index_of(&socket);
                    let bytes = self.engine.queue().bytes(&content).to_vec();
                    if self.connections[index].ended.is_none() {
                        let is_over_limit = self.is_over_limit(index);
                        socket.send_owed_pong(&bytes);
                        if !is_over_limit {
                            self.expect(index, Opcode::Pong, &bytes);
                        }
                        self.hear(&socket, Seen::Ping(bytes));
                    }
                }
                Event::Pong { socket, content } => {
                    let bytes = self.engine.queue().bytes(&content).to_vec();
                    self.hear(&socket, Seen::Pong(bytes));
                }
                Event::Drain(socket) => {
                    let index = self.index_of(&socket);
                    let connection = &mut self.connections[index];
                    if socket.take_drain() {
                        assert!(connection.is_behind, "a drain of nothing");
                        connection.is_behind = socket.buffered_amount() > 0;
                    }
                }
                Event::End { socket, ending } => self.end_as(&socket, ending),
                Event::Stopped(server) => {
                    assert_eq!(server.websocket_count.get(), 0);
                    assert!(!std::mem::replace(&mut self.has_stopped, true), "it stops once");
                }
                Event::Request(_)
                | Event::Body(..)
                | Event::Writable(_)
                | Event::Ended { .. }
                | Event::TimedOut => {
                    unreachable!("nobody speaks HTTP here")
                }
            }
        }
    }

    fn index_of(&self, socket: &Rc<Socket>) -> usize {
        let is_it = |connection: &Connection| Rc::ptr_eq(&connection.socket, socket);
        self.connections.iter().position(is_it).expect("a socket of ours")
    }

    /// Tells a handler, which does something.
    fn hear(&mut self, socket: &Rc<Socket>, seen: Seen) {
        let index = self.index_of(socket);
        if self.connections[index].ended.is_none() {
            self.connections[index].seen.push(seen);
            if let Some(next) = self.calls.checked_rem(self.handlers.len()) {
                self.calls += 1;
                self.act(index, self.handlers[next]);
            }
        }
    }

    fn end_as(&mut self, socket: &Rc<Socket>, ending: Ending) {
        let index = self.index_of(socket);
        if self.connections[index].ended.is_some() {
            return;
        }
        match ending {
            Ending::Peer { code, reason } => {
                let reason = String::from_utf8(self.engine.queue().bytes(&reason).to_vec()).expect("UTF-8");
                self.end(index, Some((code.into(), &reason)), Ended::ByPeer);
                self.connections[index].seen.push(Seen::Close(code, reason));
            }
            Ending::Failed(error) => {
                self.end(index, Some((error.status_code().into(), error.reason())), Ended::ByPeer);
                self.connections[index].seen.push(Seen::Failed(error));
            }
            Ending::Lost => self.end(index, None, Ended::Lost),
            Ending::Overflow => self.end(index, None, Ended::Cut),
            Ending::TimedOut => unreachable!("there is no timeout"),
        }
    }

    /// All is over, and nothing is left.
    fn check_over(self) {
        assert!(self.has_stopped);
        assert!(!self.wishes.keeps_alive.get(), "it keeps the process alive");
        assert_eq!((self.engine.lingering.get(), self.engine.flushing.get()), (0, 0));
        for topic in 0..TOPICS {
            assert_eq!(self.server.topics.subscriber_count(&name(topic)), 0);
        }
        for Connection { socket, .. } in self.connections {
            assert!(Rc::into_inner(socket).is_some(), "something holds a socket");
        }
        self.engine.shut_down();
    }
}

/// A connection, and what is known about it.
struct Connection {
    socket: Rc<Socket>,
    peer: Peer,
    agreed: Option<Agreed>,
    /// How many of the peer's first bytes mean nothing.
    skip: usize,
    topics: Vec<String>,
    /// What the handlers were told.
    seen: Vec<Seen>,
    /// What was taken for the peer.
    sent: Vec<Heard>,
    /// A `drain` is due.
    is_behind: bool,
    /// How much was told when a turn began, if no more may be told in it.
    rests_at: Option<usize>,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The peer closed it, or broke a rule.
    ByPeer,
    ByServer,
    /// By the server, which gave up what the kernel had refused.
    Cut,
    /// The peer left without a close frame.
    Lost,
}

impl Connection {
    fn peer_acts(&mut self, action: ClientAction<'_>) {
        match action {
            ClientAction::Say(saying) => {
                let mut said = Vec::new();
                saying.write(&mut said);
                self.peer.say(&said);
            }
            ClientAction::Hear(count) => self.peer.hear(count.into()),
            ClientAction::Finish => self.peer.finish(),
            ClientAction::Vanish => self.peer.vanish(),
        }
    }

    /// What changes when something happens.
    fn progress(&self) -> [usize; 4] {
        let is_over = usize::from(self.ended.is_some()) + usize::from(self.peer.is_at_end());
        [self.peer.sent_len(), self.peer.heard_len(), self.seen.len(), is_over]
    }

    /// The handlers were told what the peer has said: all of it, when it was not cut off.
    fn check_seen(&self, max_payload_length: usize) {
        let decompressor = self.agreed.as_ref().map(Decompressor::new);
        let said = read(&self.peer.said[self.skip..], max_payload_length, decompressor);
        let is_whole = match self.ended {
            None => true,
            Some(Ended::ByPeer) => true,
            Some(Ended::ByServer | Ended::Cut) => false,
            Some(Ended::Lost) => !self.peer.has_gone(),
        };
        if is_whole {
            assert_eq!(self.seen, said, "{:?}", self.ended);
        } else {
            assert!(said.starts_with(&self.seen), "{:?} of {said:?}", self.seen);
        }
        if self.ended.is_none() {
            assert!(!self.peer.is_finished(), "its end was not seen");
            assert!(!self.is_behind, "all was sent, and no drain came");
        }
    }

    /// The peer has heard what was taken for it: all of it, when it was not cut off.
    fn check_heard(&self) {
        let (heard, rest) = self.peer.frames(self.agreed.as_ref());
        let (first, others) = self.sent.split_at(heard.len().min(self.sent.len()));
        assert!(heard == first, "{heard:?} of {:?}", self.sent);
        // What there is of a frame that was cut off is of the frame that was sent; compressed, it is not looked at.
        match others {
            [] => assert!(rest.is_empty(), "{rest:02X?} was not sent"),
            [next, ..] => assert!(
                rest.first().is_none_or(|first| first & 0x40 != 0) || next.frame().starts_with(rest),
                "{rest:02X?} of {next:?}"
            ),
        }
        let is_whole = match self.ended {
            _ if self.peer.has_gone() => false,
            Some(Ended::ByPeer) => true,
            // It may have left first, in which case what was on its way is given up.
            Some(Ended::ByServer) => !self.peer.is_finished(),
            Some(Ended::Cut | Ended::Lost) => false,
            None => unreachable!("everything was ended"),
        };
        assert!(others.is_empty() || !is_whole, "{others:?} was not heard, {:?}", self.ended);
        assert!(self.peer.is_at_end() || self.peer.has_gone(), "FIN came");
    }
}

impl<'a> Content<'a> {
    fn bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Bytes(bytes) => bytes.into(),
            Self::Repeated(byte, count) => vec![byte; count.into()].into(),
        }
    }
}

impl Saying<'_> {
    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => write_frame(out, 0x81, text.as_bytes()),
            Self::Binary(content) => write_frame(out, 0x82, &content.bytes()),
            Self::Compressed(content) => write_frame(out, 0xC2, &compress(&content.bytes())),
            Self::Fragments(content, cuts) => {
                let bytes = content.bytes();
                let fragments = cuts.pieces(&bytes);
                for (at, fragment) in fragments.iter().enumerate() {
                    let fin = if at + 1 == fragments.len() { 0x80 } else { 0 };
                    write_frame(out, fin | if at == 0 { 2 } else { 0 }, fragment);
                }
            }
            Self::Ping(bytes) => write_frame(out, 0x89, of_control(bytes)),
            Self::Close(code, reason) => {
                write_frame(out, 0x88, &[&code.to_be_bytes(), truncate_reason(reason).as_bytes()].concat());
            }
            Self::Frame(first, payload) => write_frame(out, first, payload),
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
}

/// Appends a frame of a client.
fn write_frame(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        len @ 0..126 => out.push(0x80 | len as u8),
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(KEY);
    let start = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[start..], KEY, 0);
}

/// A message that stands alone, as a client sends it.
fn compress(message: &[u8]) -> Vec<u8> {
    thread_local! {
        static ZLIB: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
    }
    ZLIB.with_borrow_mut(|zlib| {
        zlib.reset();
        let mut compressed = Vec::with_capacity(2 * message.len() + 100);
        zlib.compress_vec(message, &mut compressed, FlushCompress::Sync).expect("a stream that goes on");
        compressed.truncate(compressed.len() - 4); // RFC 7692 §7.2.1
        compressed
    })
}

/// The payload of the close frame with this code, of which the wire has 16 bits, and this reason.
fn close_payload(code: i32, reason: &str) -> Vec<u8> {
    match code as u16 {
        0 | NO_STATUS_RECEIVED | ABNORMAL_CLOSURE => Vec::new(),
        code => [&code.to_be_bytes(), truncate_reason(reason).as_bytes()].concat(),
    }
}

fn of_control(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(MAX_CONTROL_PAYLOAD)]
}

fn name(topic: u8) -> String {
    format!("topic {}", topic % TOPICS)
}

fn pick<T: Copy>(table: &[T], which: u8) -> T {
    table[usize::from(which) % table.len()]
}

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

const MAX_CONNECTIONS: usize = 4;

const TOPICS: u8 = 3;

/// Turns after which something is taken to go on for ever.
const MAX_TURNS: usize = 100_000;

const MAX_PAYLOAD_LENGTHS: [usize; 4] = [1 << 20, 0xFFFF, 1000, 125];

const BACKPRESSURE_LIMITS: [Option<usize>; 4] = [None, Some(1), Some(1000), Some(50_000)];

const LEVELS: [Option<&str>; 7] =
    [None, Some("disable"), Some("shared"), Some("dedicated"), Some("3KB"), Some("8KB"), Some("256KB")];

#[cfg(test)]
mod tests {
    use super::*;

    fn play(handler: Action<'static>, operations: Vec<Operation<'static>>) {
        let options = Options {
            backpressure_limit: 0,
            close_on_backpressure_limit: false,
            publish_to_self: false,
            levels: (0, 0),
        };
        Session { max_payload_length: 0, options, handlers: vec![handler], operations }.play();
    }

    #[test]
    fn what_a_handler_says_to_a_peer_that_has_left_does_not_land_in_a_frame_that_was_cut_off() {
        let big = Content::Repeated(7, 60_000);
        for handler in
            [Action::SendText("late", None), Action::SendBinary(big, None), Action::Close(1000, "")]
        {
            play(
                handler,
                vec![
                    Operation::Come { offers_compression: false, skip: 0, early: Saying::Bytes(b"") },
                    Operation::Server(0, Action::SendBinary(big, None)),
                    Operation::Turn,
                    Operation::Client(0, ClientAction::Say(Saying::Text("last words"))),
                    Operation::Client(0, ClientAction::Finish),
                    Operation::Turn,
                ],
            );
        }
    }
}
