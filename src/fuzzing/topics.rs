//! Who hears what, whoever comes, subscribes and goes.

use super::Target;
use crate::server::slots::{Key, Slots};
use crate::server::subscriptions;
use crate::server::topics::Topics;
use arbitrary::Arbitrary;
use std::collections::{BTreeMap, BTreeSet};

/// Sockets that come, subscribe, unsubscribe and go.
#[derive(Arbitrary, Debug)]
pub struct Subscriptions {
    operations: Vec<Operation>,
}

/// Sockets are named by when they came, topics by a number.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Operation {
    Come,
    Go(u8),
    Subscribe(u8, u8),
    Unsubscribe(u8, u8),
}

impl<'a> Target<'a> for Subscriptions {
    fn play(self) {
        let mut game = Game::new();
        for operation in self.operations {
            game.play(operation);
            game.check();
        }
    }
}

struct Game {
    slots: Slots<()>,
    topics: Topics,
    /// All there ever were.
    sockets: Vec<Socket>,
    /// Which of them have subscribed to what.
    model: BTreeMap<String, BTreeSet<usize>>,
}

struct Socket {
    key: Key,
    is_gone: bool,
    /// As a socket keeps them.
    subscriptions: subscriptions::Subscriptions,
    /// What it has subscribed to, in that order.
    names: Vec<String>,
}

impl Game {
    fn new() -> Self {
        Self { slots: Slots::new(), topics: Topics::default(), sockets: Vec::new(), model: BTreeMap::new() }
    }

    fn play(&mut self, operation: Operation) {
        match operation {
            Operation::Come => {
                let key = self.slots.insert_with(|_| ()).expect("there is room");
                self.sockets.push(Socket {
                    key,
                    is_gone: false,
                    subscriptions: subscriptions::Subscriptions::default(),
                    names: Vec::new(),
                });
            }
            Operation::Go(socket) => {
                if let Some(index) = self.here(socket) {
                    let socket = &mut self.sockets[index];
                    for name in socket.subscriptions.iter() {
                        assert!(self.topics.unsubscribe(name, socket.key).is_some(), "{name}");
                        self.model.get_mut(&**name).expect("a topic with a subscriber").remove(&index);
                    }
                    socket.names.clear();
                    socket.subscriptions = subscriptions::Subscriptions::default();
                    socket.is_gone = true;
                    assert_eq!(self.slots.remove(socket.key), Some(()));
                }
            }
            Operation::Subscribe(socket, topic) => {
                if let Some(index) = self.here(socket) {
                    let topic = name(topic);
                    let socket = &mut self.sockets[index];
                    let number = socket.subscriptions.next_number();
                    let subscribed = self.topics.subscribe(&topic, socket.key, number);
                    assert!(subscribed.as_deref().is_none_or(|name| name == topic));
                    let is_new = self.model.entry(topic.clone()).or_default().insert(index);
                    assert_eq!(subscribed.is_some(), is_new);
                    if let Some(name) = subscribed {
                        socket.subscriptions.push(name);
                        socket.names.push(topic);
                    }
                }
            }
            Operation::Unsubscribe(socket, topic) => {
                if let Some(index) = self.here(socket) {
                    let topic = name(topic);
                    let socket = &mut self.sockets[index];
                    let was = self.model.get_mut(&topic).is_some_and(|sockets| sockets.remove(&index));
                    let number = self.topics.unsubscribe(&topic, socket.key);
                    assert_eq!(number.is_some(), was);
                    if let Some(number) = number {
                        socket.subscriptions.remove(number);
                        socket.names.retain(|name| *name != topic);
                    }
                }
            }
        }
    }

    fn here(&self, socket: u8) -> Option<usize> {
        let index = usize::from(socket) % self.sockets.len().max(1);
        self.sockets.get(index).filter(|socket| !socket.is_gone).map(|_| index)
    }

    fn check(&self) {
        for topic in (0..TOPICS).map(name) {
            let expected = self.model.get(&topic).cloned().unwrap_or_default();
            assert_eq!(self.topics.subscriber_count(&topic), expected.len());
            let mut heard = Vec::new();
            self.topics.for_each(&topic, |key| heard.push(key));
            let count = heard.len();
            let indexes = (0..self.sockets.len()).filter(|&index| heard.contains(&self.sockets[index].key));
            assert_eq!(indexes.collect::<BTreeSet<_>>(), expected);
            assert_eq!(count, expected.len(), "nobody hears twice, or after going");
            for (index, socket) in self.sockets.iter().enumerate() {
                assert_eq!(self.topics.is_subscribed(&topic, socket.key), expected.contains(&index));
            }
        }
        for socket in &self.sockets {
            assert_eq!(self.slots.find(socket.key).is_none(), socket.is_gone);
            assert!(
                socket.subscriptions.iter().map(|name| &**name).eq(socket.names.iter().map(|name| &**name))
            );
        }
    }
}

fn name(topic: u8) -> String {
    format!("topic {}", topic % TOPICS)
}

const TOPICS: u8 = 4;
