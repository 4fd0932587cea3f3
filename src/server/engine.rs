//! The engine of one JavaScript environment: its sockets, their tasks, and the turns that drive them.
//!
//! Everything here lives on the JavaScript thread. The runtime is asked for one thing only, readiness; the tasks are
//! polled by the engine itself, so that it knows when none is ready, and so that nothing of a task is ever on another thread.

use std::cell::{Cell, Ref, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use futures_util::stream::{FuturesUnordered, Stream};
use tokio::runtime::Handle;

use super::clock::Clock;
use super::connection::Socket;
use super::driver::{Driver, Signal};
use super::event::{Event, EventQueue};
use super::instance::Server;
#[cfg(target_os = "linux")]
use super::outbox::Outbox;
use super::outbox::Spares;
#[cfg(target_os = "linux")]
use super::ring::Ring;
use super::slots::{Key, Slots};
use super::time;
#[cfg(target_os = "linux")]
use super::transport::Transport;
use crate::http::connection::Connection;
use crate::http::exchange::Exchange;
use crate::websocket::deflate::Deflater;
use crate::websocket::inflate::Inflater;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// How an engine asks its JavaScript thread for something.
pub(crate) trait Host {
    /// Asks for a turn soon.
    fn wake(&self);
    /// Asks for `Engine::settle` once the JavaScript that runs now has returned.
    fn settle_soon(&self);
    /// Asks for a turn after `milliseconds`, instead of the time asked for before.
    fn wake_after(&self, milliseconds: u64);
    /// Says whether the process must stay alive.
    fn keep_alive(&self, yes: bool);
}

/// See the module.
pub(crate) struct Engine {
    driver: Driver,
    signal: Arc<Signal>,
    host: Box<dyn Host>,
    tasks: RefCell<FuturesUnordered<Task>>,
    /// Tasks spawned while tasks are being polled.
    spawned: RefCell<Vec<Task>>,
    pub(crate) events: RefCell<EventQueue>,
    /// Readers that wait for the events to be delivered.
    starved: RefCell<Vec<Waker>>,
    /// Who has something to flush at the end of the turn.
    dirty: RefCell<Vec<Dirty>>,
    /// Made when it is wanted first; `None` inside when there is none to be had.
    #[cfg(target_os = "linux")]
    ring: RefCell<Option<Option<Ring>>>,
    pub(crate) spares: RefCell<Spares>,
    pub(crate) deflater: RefCell<Deflater>,
    pub(crate) inflater: RefCell<Inflater>,
    /// Where HTTP is read, and what nobody will hear of: one buffer for all connections.
    pub(crate) scratch: RefCell<Box<[u8]>>,
    /// The head of an answer while it is made.
    pub(crate) head: RefCell<Vec<u8>>,
    clock: RefCell<Clock<Timer>>,
    /// Who is woken by an alarm.
    pub(crate) alarms: RefCell<Slots<Waker>>,
    /// When the host will call because of `wake_after`.
    armed: Cell<u64>,
    began: Duration,
    /// The second since 1970 for which a date was made last, and that date.
    date: Cell<(u64, Date)>,
    pub(crate) sockets: RefCell<Slots<Rc<Socket>>>,
    pub(crate) exchanges: RefCell<Slots<Rc<Exchange>>>,
    pub(crate) servers: RefCell<Slots<Rc<Server>>>,
    is_turning: Cell<bool>,
    /// When the dirty ones were flushed last, or the turn began.
    flushed_at: Cell<Duration>,
    settles_soon: Cell<bool>,
    turns_soon: Cell<bool>,
    keeps_alive: Cell<bool>,
    /// Bytes of requests' content that came before they were asked for.
    pub(crate) content_ahead: Rc<Cell<usize>>,
    /// Finished connections and closed sockets that count among those who wait for the peer's FIN.
    pub(crate) lingering: Cell<usize>,
    /// Closed sockets of referenced servers with bytes that the kernel has not taken: they hold the process.
    pub(crate) flushing: Cell<usize>,
    /// Somebody has been told that a handler took too long.
    pub(crate) has_warned: Cell<bool>,
}

/// Who has something to flush.
pub(crate) enum Dirty {
    Socket(Rc<Socket>),
    Connection(Rc<Connection>),
}

impl Dirty {
    fn flush(&self) {
        match self {
            Self::Socket(socket) => socket.flush_dirty(),
            Self::Connection(connection) => connection.flush_dirty(),
        }
    }

    /// Calls `show` with the descriptor and what is to be sent, if that is all there is and needs no treatment.
    #[cfg(target_os = "linux")]
    fn show_unsent(&self, show: impl FnOnce(std::os::fd::RawFd, &[u8])) {
        let (transport, outbox) = self.way_out();
        if let (Some(descriptor), Some(bytes)) = (transport.plain_descriptor(), outbox.borrow().only_piece())
        {
            show(descriptor, bytes);
        }
    }

    /// The kernel has taken so many bytes of what it was shown.
    #[cfg(target_os = "linux")]
    fn has_sent(&self, spares: &mut Spares, count: usize) {
        self.way_out().1.borrow_mut().advance(spares, count);
        if let Self::Connection(connection) = self {
            connection.gain_time();
        }
    }

    #[cfg(target_os = "linux")]
    fn way_out(&self) -> (&Transport, &RefCell<Outbox>) {
        match self {
            Self::Socket(socket) => socket.way_out(),
            Self::Connection(connection) => connection.way_out(),
        }
    }
}

enum Timer {
    Socket(Key),
    /// A connection of a server.
    Connection(Key, Key),
    Alarm(Key),
}

/// RFC 9110 §5.6.7: an IMF-fixdate has 29 characters.
pub(crate) type Date = [u8; 29];

/// Bytes one read can take.
const SCRATCH: usize = 64 * 1024;
/// From how many sockets on one system call for all costs less than one for each.
#[cfg(target_os = "linux")]
const TOGETHER: usize = 4;
/// How often a turn delivers before the event loop gets its other work done.
const ROUNDS: usize = 8;

impl Engine {
    pub(crate) fn new(driver: Driver, host: Box<dyn Host>) -> Rc<Self> {
        Rc::new(Self {
            signal: driver.signal(),
            driver,
            host,
            tasks: RefCell::default(),
            spawned: RefCell::default(),
            events: RefCell::default(),
            starved: RefCell::default(),
            dirty: RefCell::default(),
            #[cfg(target_os = "linux")]
            ring: RefCell::default(),
            spares: RefCell::default(),
            deflater: RefCell::default(),
            inflater: RefCell::default(),
            scratch: RefCell::new(vec![0; SCRATCH].into_boxed_slice()),
            head: RefCell::default(),
            clock: RefCell::new(Clock::new()),
            alarms: RefCell::new(Slots::new()),
            armed: Cell::new(u64::MAX),
            began: time::monotonic(),
            date: Cell::new((u64::MAX, Date::default())),
            sockets: RefCell::new(Slots::new()),
            exchanges: RefCell::new(Slots::new()),
            servers: RefCell::new(Slots::new()),
            is_turning: Cell::new(false),
            flushed_at: Cell::new(time::monotonic()),
            settles_soon: Cell::new(false),
            turns_soon: Cell::new(false),
            keeps_alive: Cell::new(false),
            content_ahead: Rc::default(),
            lingering: Cell::new(0),
            flushing: Cell::new(0),
            has_warned: Cell::new(false),
        })
    }

    /// Milliseconds since the engine began.
    pub(crate) fn now(&self) -> u64 {
        (time::monotonic() - self.began).as_millis() as u64
    }

    /// The date of now as HTTP writes it.
    pub(crate) fn date(&self) -> Date {
        let second = time::since_epoch().as_secs();
        let (made, date) = self.date.get();
        if made == second {
            return date;
        }
        let mut date = Date::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        date.copy_from_slice(httpdate::fmt_http_date(now).as_bytes());
        self.date.set((second, date));
        date
    }

    /// The runtime sockets register with.
    pub(crate) fn runtime(&self) -> &Handle {
        self.driver.runtime()
    }

    /// Adds a task; it is polled in this turn.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.spawned.borrow_mut().push(Box::pin(task));
        self.signal.set_ready();
    }

    pub(crate) fn find_socket(&self, key: Key) -> Option<Rc<Socket>> {
        self.sockets.borrow().find(key).cloned()
    }

    pub(crate) fn find_exchange(&self, key: Key) -> Option<Rc<Exchange>> {
        self.exchanges.borrow().find(key).cloned()
    }

    pub(crate) fn find_server(&self, key: Key) -> Option<Rc<Server>> {
        self.servers.borrow().find(key).cloned()
    }

    fn find_connection(&self, server: Key, key: Key) -> Option<Rc<Connection>> {
        self.servers.borrow().find(server).and_then(|server| server.connections.borrow().find(key).cloned())
    }

    pub(crate) fn push(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    /// Whether something is flushed soon without anybody asking for it.
    pub(crate) fn is_turning(&self) -> bool {
        self.is_turning.get()
    }

    /// Remembers who has something to flush.
    pub(crate) fn mark_dirty(&self, who: Dirty) {
        // Nobody waits for what takes the handlers of others long.
        if self.is_turning.get() && self.flushed_at.get() != time::monotonic() {
            self.flush_dirty();
        }
        self.dirty.borrow_mut().push(who);
    }

    /// An answer is whole: it waits for the others of its turn, unless that has gone on for long.
    pub(crate) fn mark_answered(&self, connection: &Rc<Connection>) {
        self.dirty.borrow_mut().push(Dirty::Connection(Rc::clone(connection)));
        if self.flushed_at.get() != time::monotonic() {
            self.flush_dirty();
        }
    }

    /// Whether so much waits to be delivered that nobody may add to it.
    pub(crate) fn is_full(&self) -> bool {
        self.events.borrow().is_full()
    }

    /// Whether a reader may add events; if not, its waker is kept until they are delivered.
    pub(crate) fn has_room(&self, reader: &Waker) -> bool {
        let has_room = !self.is_full();
        if !has_room {
            self.starved.borrow_mut().push(reader.clone());
        }
        has_room
    }

    /// Whether there are events; if so, the waker of a reader that waits for each to be delivered is kept until they are.
    pub(crate) fn has_undelivered(&self, reader: &Waker) -> bool {
        let has_undelivered = !self.events.borrow().is_empty();
        if has_undelivered {
            self.starved.borrow_mut().push(reader.clone());
        }
        has_undelivered
    }

    /// Asks for `socket`'s deadline to be looked at then.
    pub(crate) fn watch_socket(&self, deadline: u64, socket: Key) {
        self.clock.borrow_mut().insert(deadline, Timer::Socket(socket));
    }

    /// Asks for the deadline of a server's connection to be looked at then.
    pub(crate) fn watch_connection(&self, deadline: u64, server: Key, connection: Key) {
        self.clock.borrow_mut().insert(deadline, Timer::Connection(server, connection));
    }

    /// Asks for an alarm to ring then.
    pub(crate) fn watch_alarm(&self, time: u64, alarm: Key) {
        self.clock.borrow_mut().insert(time, Timer::Alarm(alarm));
    }

    /// One turn: polls I/O without waiting, runs the tasks that are ready, has `deliver` empty the queue of events, flushes.
    /// Never runs inside another turn.
    pub(crate) fn turn(&self, deliver: &dyn Fn()) {
        if self.is_turning.replace(true) {
            return;
        }
        let _over = OnDrop(|| self.is_turning.set(false));
        self.turns_soon.set(false);
        self.flushed_at.set(time::monotonic());
        self.driver.poll_io();
        let mut has_worked = self.run_ready();
        self.fire_deadlines();
        for _ in 0..ROUNDS {
            if self.events.borrow().is_empty() {
                break;
            }
            has_worked = true;
            deliver();
            self.settle_events();
            self.flush_dirty();
            self.run_ready();
        }
        self.flush_dirty();
        self.update_host();
        if self.has_more() || !self.driver.rest(has_worked) {
            self.turn_soon();
        }
    }

    fn turn_soon(&self) {
        if !self.turns_soon.replace(true) {
            self.host.wake();
        }
    }

    /// The host's timer has fired. By the engine's clock that may be early (libuv counts from the time at which its loop began to turn),
    /// so the next turn asks again for whatever is not due.
    pub(crate) fn timer_fired(&self) {
        self.armed.set(u64::MAX);
        self.turn_soon();
    }

    /// What a turn does except polling I/O and delivering: for JavaScript that sent or answered outside a turn.
    pub(crate) fn settle(&self) {
        self.settles_soon.set(false);
        if self.is_turning.get() {
            return;
        }
        self.run_ready();
        self.flush_dirty();
        self.update_host();
        if self.has_more() {
            self.turn_soon();
        }
    }

    /// Called after each call from JavaScript: sees to it that what the call left behind is done soon.
    pub(crate) fn after_call(&self) {
        if self.is_turning.get() || self.settles_soon.get() {
            return;
        }
        let is_clean = self.dirty.borrow().is_empty() && !self.signal.is_ready();
        if !is_clean || (!self.turns_soon.get() && !self.events.borrow().is_empty()) {
            self.settles_soon.set(true);
            self.host.settle_soon();
        }
    }

    /// Tells the host about the next deadline and whether the process must stay.
    pub(crate) fn update_host(&self) {
        let next = self.clock.borrow().next_deadline();
        if let Some(next) = next.filter(|&next| next < self.armed.get()) {
            self.armed.set(next);
            self.host.wake_after(next.saturating_sub(self.now()));
        }
        let keep_alive = self.flushing.get() > 0
            || !self.events.borrow().is_empty()
            || self.servers.borrow().iter().any(|server| server.keeps_alive());
        if self.keeps_alive.replace(keep_alive) != keep_alive {
            self.host.keep_alive(keep_alive);
        }
    }

    /// Drops every task and socket: the environment is going away.
    pub(crate) fn shut_down(&self) {
        // What was said goes out, as far as the kernel takes it.
        self.flush_dirty();
        self.driver.shut_down();
        let _runtime = self.runtime().enter();
        let tasks = self.tasks.take();
        let spawned = self.spawned.take();
        drop((tasks, spawned));
        self.dirty.take();
        self.events.take();
        self.starved.take();
        *self.clock.borrow_mut() = Clock::new();
        *self.sockets.borrow_mut() = Slots::new();
        *self.exchanges.borrow_mut() = Slots::new();
        for server in self.servers.borrow().iter() {
            server.abandon();
        }
        *self.servers.borrow_mut() = Slots::new();
    }

    fn has_more(&self) -> bool {
        self.signal.is_ready() || !self.events.borrow().is_empty()
    }

    /// Polls tasks until none is ready. Returns whether one was.
    fn run_ready(&self) -> bool {
        let _runtime = self.runtime().enter();
        let waker = self.signal.waker();
        let mut cx = Context::from_waker(&waker);
        let mut has_run = false;
        while self.signal.take_ready() {
            has_run = true;
            let mut tasks = self.tasks.borrow_mut();
            tasks.extend(self.spawned.borrow_mut().drain(..));
            if let Poll::Ready(Some(())) = Pin::new(&mut *tasks).poll_next(&mut cx) {
                // One task is done; others may be ready.
                self.signal.set_ready();
            }
        }
        has_run
    }

    /// The events are delivered: readers may add new ones.
    fn settle_events(&self) {
        self.events.borrow_mut().settle();
        for reader in self.starved.take() {
            reader.wake();
        }
    }

    /// Everybody who has something to say gives it to the kernel, as far as that takes it.
    pub(crate) fn flush_dirty(&self) {
        let mut dirty = self.dirty.take();
        if dirty.is_empty() {
            return;
        }
        self.flushed_at.set(time::monotonic());
        #[cfg(target_os = "linux")]
        self.send_together(&dirty);
        for who in dirty.drain(..) {
            who.flush();
        }
        // The allocation serves the next turn, unless flushing has begun a new list.
        let mut next = self.dirty.borrow_mut();
        if next.is_empty() {
            *next = dirty;
        }
    }

    /// One system call for each socket from now on, also where one would do for many.
    pub(crate) fn forgo_ring(&self) {
        #[cfg(target_os = "linux")]
        self.ring.replace(Some(None));
    }

    /// Where several have something to say, sends what one system call can. What the kernel refuses is left to `flush_dirty`.
    #[cfg(target_os = "linux")]
    fn send_together(&self, dirty: &[Dirty]) {
        if dirty.len() < TOGETHER {
            return;
        }
        let mut place = self.ring.borrow_mut();
        for dirty in dirty.chunks(Ring::SIZE) {
            let Some(ring) = place.get_or_insert_with(Ring::new) else { return };
            for (name, who) in dirty.iter().enumerate() {
                // SAFETY: nothing touches an outbox before `submit` has returned.
                who.show_unsent(|descriptor, bytes| unsafe { ring.push(descriptor, bytes, name) });
            }
            let spares = &mut self.spares.borrow_mut();
            if ring.submit(|name, count| dirty[name].has_sent(spares, count)).is_err() {
                *place = Some(None);
            }
        }
    }

    fn fire_deadlines(&self) {
        self.clock.borrow_mut().sweep_when_crowded(|timer| match timer {
            Timer::Socket(key) => self.sockets.borrow().find(*key).is_some(),
            Timer::Connection(server, key) => self.find_connection(*server, *key).is_some(),
            Timer::Alarm(key) => self.alarms.borrow().find(*key).is_some(),
        });
        let now = self.now();
        if self.armed.get() <= now {
            self.armed.set(u64::MAX);
        }
        if self.clock.borrow().next_deadline().is_none_or(|next| next > now) {
            return;
        }
        let due = self.clock.borrow_mut().take_due(now);
        for timer in due {
            match timer {
                Timer::Alarm(key) => {
                    if let Some(task) = self.alarms.borrow().find(key) {
                        task.wake_by_ref();
                    }
                }
                Timer::Socket(key) => {
                    if let Some(socket) = self.find_socket(key) {
                        socket.reach_deadline(now);
                    }
                }
                Timer::Connection(server, key) => {
                    if let Some(connection) = self.find_connection(server, key) {
                        connection.reach_deadline(now);
                    }
                }
            }
        }
        self.run_ready();
    }

    /// The queue of events, to look at a content.
    pub(crate) fn queue(&self) -> Ref<'_, EventQueue> {
        self.events.borrow()
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
