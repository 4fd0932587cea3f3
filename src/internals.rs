//! What `bench/core` measures of the server that is otherwise nobody's business; built with the feature `internals` only, and without
//! promises.

use std::cell::{Cell, RefCell, RefMut};

use crate::server::clock::Clock;
use crate::server::outbox::{Outbox, Spares};
use crate::server::publication::Publication;
use crate::server::slots::{Key, Slots};
use crate::server::subscriptions::Subscriptions;
use crate::server::topics::Topics;
use crate::websocket::deflate::Deflater;
use crate::websocket::frame::Opcode;
use crate::websocket::timers::{Expiry, Idle, IdlePolicy};

/// Subscribers without sockets: topics, publications and outboxes, put together as a server does.
pub struct Audience {
    topics: Topics,
    subscribers: Slots<Subscriber>,
    keys: Vec<Key>,
    /// Those with something to flush.
    dirty: Vec<Key>,
    spares: Spares,
    deflater: Deflater,
}

#[derive(Default)]
struct Subscriber {
    topics: RefCell<Subscriptions>,
    outbox: RefCell<Outbox>,
    is_dirty: Cell<bool>,
}

impl Audience {
    /// So many of them, subscribed to nothing.
    pub fn new(count: usize) -> Self {
        let mut subscribers = Slots::new();
        let keys = (0..count).filter_map(|_| subscribers.insert_with(|_| Subscriber::default())).collect();
        Self {
            topics: Topics::default(),
            subscribers,
            keys,
            dirty: Vec::new(),
            spares: Spares::default(),
            deflater: Deflater::default(),
        }
    }

    /// Returns whether the `subscriber`, counted from 0, was not subscribed before.
    pub fn subscribe(&self, subscriber: usize, topic: &str) -> bool {
        let (key, mut topics) = self.topics_of(subscriber);
        let name = self.topics.subscribe(topic, key, topics.next_number());
        let is_new = name.is_some();
        name.into_iter().for_each(|name| topics.push(name));
        is_new
    }

    /// Returns whether the `subscriber` was subscribed.
    pub fn unsubscribe(&self, subscriber: usize, topic: &str) -> bool {
        let (key, mut topics) = self.topics_of(subscriber);
        let number = self.topics.unsubscribe(topic, key);
        number.into_iter().for_each(|number| topics.remove(number));
        number.is_some()
    }

    fn topics_of(&self, subscriber: usize) -> (Key, RefMut<'_, Subscriptions>) {
        let key = self.keys[subscriber];
        (key, self.subscribers.find(key).expect("nobody leaves").topics.borrow_mut())
    }

    /// Puts a message into the outbox of every subscriber and returns how many there are; compressed if there are `window_bits`.
    pub fn publish(&mut self, topic: &str, payload: &[u8], window_bits: Option<u8>) -> usize {
        let Self { topics, subscribers, dirty, spares, deflater, .. } = self;
        let mut publication = Publication::new(Opcode::Text, payload, window_bits.is_some());
        let mut receivers = 0;
        topics.for_each(topic, |key| {
            let Some(subscriber) = subscribers.find(key) else { return };
            let frame = match window_bits {
                None => publication.plain(spares),
                Some(bits) => publication.compressed(spares, deflater, bits),
            };
            subscriber.outbox.borrow_mut().push(spares, frame);
            if !subscriber.is_dirty.replace(true) {
                dirty.push(key);
            }
            receivers += 1;
        });
        publication.recycle(spares);
        receivers
    }

    /// Empties all outboxes, as into sockets that take everything at once, and returns how many bytes were in them.
    pub fn flush(&mut self) -> usize {
        let Self { subscribers, dirty, spares, .. } = self;
        let take_all = |slices: &[std::io::IoSlice<'_>]| Ok(slices.iter().map(|slice| slice.len()).sum());
        let flush = |key| {
            let Subscriber { outbox, is_dirty, .. } = subscribers.find(key)?;
            is_dirty.set(false);
            outbox.borrow_mut().flush(spares, take_all).ok()
        };
        dirty.drain(..).filter_map(flush).sum()
    }
}

/// Clients without sockets that say nothing but pongs: idle timers and the clock that looks at them, put together as an engine does.
pub struct Idlers {
    clock: Clock<Key>,
    timers: Slots<IdleTimer>,
    keys: Vec<Key>,
    policy: IdlePolicy,
    now: u64,
}

struct IdleTimer {
    idle: Cell<Idle>,
    /// When the clock looks at `idle` next.
    armed: Cell<u64>,
}

impl Idlers {
    /// So many of them, with pings and an `idleTimeout` of so many seconds. They came one after the other, so that their pings are due one
    /// after the other, and each has been pinged.
    pub fn new(count: usize, idle_timeout: u32) -> Self {
        let policy = IdlePolicy::from_seconds(idle_timeout, true);
        let mut idlers = Self {
            clock: Clock::new(),
            timers: Slots::new(),
            keys: Vec::with_capacity(count),
            policy,
            now: 0,
        };
        let round = Idle::new(0).deadline(&policy).expect("there is a timeout");
        for number in 0..count {
            idlers.pass(round * number as u64 / count as u64 - idlers.now);
            let timer = IdleTimer { idle: Cell::new(Idle::new(idlers.now)), armed: Cell::new(u64::MAX) };
            if let Some(key) = idlers.timers.insert_with(|_| timer) {
                idlers.arm(key);
                idlers.keys.push(key);
            }
        }
        idlers.pass(2 * round);
        idlers
    }

    /// Lets so many milliseconds pass. Who is pinged answers at once; returns how many were.
    pub fn pass(&mut self, milliseconds: u64) -> usize {
        let end = self.now + milliseconds;
        let mut pings = 0;
        while let Some(next) = self.clock.next_deadline().filter(|&next| next <= end) {
            self.now = next;
            self.clock.sweep_when_crowded(|key| self.timers.find(*key).is_some());
            for key in self.clock.take_due(next) {
                pings += usize::from(self.look(key));
            }
        }
        self.now = end;
        pings
    }

    /// The client, counted from 0, says something.
    pub fn hear(&self, client: usize) {
        if let Some(timer) = self.timers.find(self.keys[client]) {
            timer.update(|idle| idle.received(self.now));
        }
    }

    /// The clock looks at a timer; returns whether it asks for a ping.
    fn look(&mut self, key: Key) -> bool {
        let Some(timer) = self.timers.find(key) else { return false };
        timer.armed.set(u64::MAX);
        let expiry = timer.update(|idle| idle.expire(self.now, &self.policy));
        self.arm(key);
        if let Some(timer) = self.timers.find(key).filter(|_| expiry == Expiry::Ping) {
            timer.update(|idle| idle.received(self.now));
        }
        expiry == Expiry::Ping
    }

    fn arm(&mut self, key: Key) {
        let Some(timer) = self.timers.find(key) else { return };
        let deadline = timer.idle.get().deadline(&self.policy);
        if let Some(deadline) = deadline.filter(|&deadline| deadline < timer.armed.get()) {
            timer.armed.set(deadline);
            self.clock.insert(deadline, key);
        }
    }
}

impl IdleTimer {
    fn update<R>(&self, update: impl FnOnce(&mut Idle) -> R) -> R {
        let mut idle = self.idle.get();
        let result = update(&mut idle);
        self.idle.set(idle);
        result
    }
}
