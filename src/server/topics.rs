//! Who hears what: the topics of one server and their subscribers.
//!
//! Only the server's own thread subscribes and publishes; any thread may ask whether a topic has subscribers here, which is
//! what a publisher on another thread needs to know before it crosses.

use std::sync::Arc;

use dashmap::DashMap;
use indexmap::IndexMap;
use indexmap::map::Entry;

use super::slots::Key;

/// See the module. A guard of the map is never held while JavaScript runs.
#[derive(Default)]
pub(crate) struct Topics {
    /// With the number that each subscriber has for the topic.
    subscribers: DashMap<Arc<str>, IndexMap<Key, u64>>,
}

impl Topics {
    /// `number` is what `socket` calls the topic. Returns the shared name when it was not subscribed before.
    pub(crate) fn subscribe(&self, topic: &str, socket: Key, number: u64) -> Option<Arc<str>> {
        if let Some(mut subscribers) = self.subscribers.get_mut(topic) {
            let Entry::Vacant(place) = subscribers.entry(socket) else { return None };
            place.insert(number);
            return Some(Arc::clone(subscribers.key()));
        }
        let name: Arc<str> = topic.into();
        self.subscribers.insert(Arc::clone(&name), IndexMap::from([(socket, number)]));
        Some(name)
    }

    /// Returns the number that `socket` had for the topic, if it was subscribed. A topic without subscribers is forgotten.
    pub(crate) fn unsubscribe(&self, topic: &str, socket: Key) -> Option<u64> {
        let mut subscribers = self.subscribers.get_mut(topic)?;
        let number = subscribers.swap_remove(&socket);
        let is_last = subscribers.is_empty();
        drop(subscribers);
        if is_last {
            self.subscribers.remove(topic);
        }
        number
    }

    pub(crate) fn is_subscribed(&self, topic: &str, socket: Key) -> bool {
        self.subscribers.get(topic).is_some_and(|subscribers| subscribers.contains_key(&socket))
    }

    pub(crate) fn subscriber_count(&self, topic: &str) -> usize {
        self.subscribers.get(topic).map_or(0, |subscribers| subscribers.len())
    }

    /// Calls `visit` for every subscriber of `topic`.
    pub(crate) fn for_each(&self, topic: &str, visit: impl FnMut(Key)) {
        if let Some(subscribers) = self.subscribers.get(topic) {
            subscribers.keys().copied().for_each(visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::slots::Slots;
    use super::*;

    #[test]
    fn it_behaves_like_a_map_of_sets_under_any_sequence_of_calls() {
        let mut slots = Slots::new();
        let keys: Vec<Key> = (0..8).map(|_| slots.insert_with(|_| ()).unwrap()).collect();
        let topics = Topics::default();
        let mut model: BTreeMap<String, BTreeMap<usize, u64>> = BTreeMap::new();
        let mut random = 1_u32;
        for number in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (index, name) = ((random >> 8) as usize % 8, format!("t{}", (random >> 16) % 5));
            if random >> 31 == 0 {
                let is_new = !model.get(&name).is_some_and(|map| map.contains_key(&index));
                assert_eq!(topics.subscribe(&name, keys[index], number).is_some(), is_new);
                model.entry(name.clone()).or_default().entry(index).or_insert(number);
            } else {
                let was = model.get_mut(&name).and_then(|map| map.remove(&index));
                assert_eq!(topics.unsubscribe(&name, keys[index]), was);
            }
            let expected = model.get(&name).map_or(0, BTreeMap::len);
            assert_eq!(topics.subscriber_count(&name), expected);
            let mut seen = 0;
            topics.for_each(&name, |key| {
                assert!(model[&name].contains_key(&key.index()));
                seen += 1;
            });
            assert_eq!(seen, expected);
        }
        assert_eq!(topics.subscribers.len(), model.values().filter(|map| !map.is_empty()).count());
    }
}
