//! What `bench/core` measures of the server that is otherwise nobody's business; built with the feature `internals` only, and without
//! promises.

use std::cell::{Cell, RefCell, RefMut};

use crate::server::outbox::{Outbox, Spares};
use crate::server::publication::Publication;
use crate::server::slots::{Key, Slots};
use crate::server::subscriptions::Subscriptions;
use crate::server::topics::Topics;
use crate::websocket::deflate::Deflater;
use crate::websocket::frame::Opcode;

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
