//! What `bench/core` measures of the server that is otherwise nobody's business; built with the feature `internals` only, and without
//! promises.

use std::cell::RefCell;

use crate::server::outbox::{Outbox, Spares};
use crate::server::publication::Publication;
use crate::server::slots::{Key, Slots};
use crate::server::topics::Topics;
use crate::websocket::deflate::Deflater;
use crate::websocket::frame::Opcode;

/// Subscribers without sockets: topics, publications and outboxes, put together as a server does.
pub struct Audience {
    topics: Topics,
    outboxes: Slots<RefCell<Outbox>>,
    keys: Vec<Key>,
    spares: Spares,
    deflater: Deflater,
}

impl Audience {
    /// So many of them, subscribed to nothing.
    pub fn new(count: usize) -> Self {
        let mut outboxes = Slots::new();
        let keys = (0..count).filter_map(|_| outboxes.insert_with(|_| RefCell::default())).collect();
        Self {
            topics: Topics::default(),
            outboxes,
            keys,
            spares: Spares::default(),
            deflater: Deflater::default(),
        }
    }

    /// Returns whether the `subscriber`, counted from 0, was not subscribed before.
    pub fn subscribe(&self, subscriber: usize, topic: &str) -> bool {
        self.topics.subscribe(topic, self.keys[subscriber]).is_some()
    }

    /// Returns whether the `subscriber` was subscribed.
    pub fn unsubscribe(&self, subscriber: usize, topic: &str) -> bool {
        self.topics.unsubscribe(topic, self.keys[subscriber])
    }

    /// Puts a message into the outbox of every subscriber and returns how many there are; compressed if there are `window_bits`.
    pub fn publish(&mut self, topic: &str, payload: &[u8], window_bits: Option<u8>) -> usize {
        let Self { topics, outboxes, spares, deflater, .. } = self;
        let mut publication = Publication::new(Opcode::Text, payload, window_bits.is_some());
        let mut receivers = 0;
        topics.for_each(topic, |key| {
            let Some(outbox) = outboxes.find(key) else { return };
            let frame = match window_bits {
                None => publication.plain(spares),
                Some(bits) => publication.compressed(spares, deflater, bits),
            };
            outbox.borrow_mut().push(spares, frame);
            receivers += 1;
        });
        publication.recycle(spares);
        receivers
    }

    /// Empties all outboxes, as into sockets that take everything at once, and returns how many bytes were in them.
    pub fn flush(&mut self) -> usize {
        let Self { outboxes, spares, .. } = self;
        let take_all = |slices: &[std::io::IoSlice<'_>]| Ok(slices.iter().map(|slice| slice.len()).sum());
        let flush = |outbox: &RefCell<Outbox>| outbox.borrow_mut().flush(spares, take_all);
        outboxes.iter().map(flush).map(|flushed| flushed.unwrap_or_default()).sum()
    }
}
