//! Deadlines of many things at little cost: a thing has one entry, which is looked at when its time comes and put back
//! when the thing has moved its deadline on meanwhile. Hearing from a socket therefore costs one store and no entry.
//!
//! Time is milliseconds since the engine began; who calls says what time it is.

use std::collections::BTreeMap;

/// Deadlines are rounded up to this many milliseconds, so that thousands of sockets share a few entries of the tree.
const GRAIN: u64 = 32;

/// See the module.
pub(crate) struct Clock<T> {
    entries: BTreeMap<u64, Vec<T>>,
}

impl<T> Clock<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// Asks for `thing` at `deadline`, or up to one grain later.
    pub(crate) fn insert(&mut self, deadline: u64, thing: T) {
        self.entries.entry(deadline.div_ceil(GRAIN) * GRAIN).or_default().push(thing);
    }

    /// When `take_due` has something to give next.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.entries.first_key_value().map(|(&deadline, _)| deadline)
    }

    /// All things whose time has come by `now`, earliest first.
    pub(crate) fn take_due(&mut self, now: u64) -> Vec<T> {
        let mut due = Vec::new();
        while let Some(entry) = self.entries.first_entry().filter(|entry| *entry.key() <= now) {
            due.append(&mut entry.remove());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_out_in_the_order_of_their_deadlines_and_never_early() {
        let mut clock = Clock::new();
        for deadline in [500, 100, 300, 100] {
            clock.insert(deadline, deadline);
        }
        assert!(clock.take_due(99).is_empty());
        assert_eq!(clock.next_deadline(), Some(128));
        assert_eq!(clock.take_due(128), [100, 100]);
        assert_eq!(clock.take_due(1000), [300, 500]);
        assert_eq!(clock.next_deadline(), None);
    }

    #[test]
    fn a_thing_is_at_most_one_grain_late() {
        for deadline in 0..200 {
            let mut clock = Clock::new();
            clock.insert(deadline, ());
            let due = clock.next_deadline().unwrap();
            assert!((deadline..deadline + GRAIN).contains(&due), "{deadline} {due}");
        }
    }
}
