//! Deadlines of many things at little cost: a thing has one entry, which is looked at when its time comes and put back
//! when the thing has moved its deadline on meanwhile. Hearing from a socket therefore costs one store and no entry.
//!
//! Time is milliseconds since the engine began; who calls says what time it is.

use std::collections::BTreeMap;

/// Deadlines are rounded up to this many milliseconds, so that thousands of sockets share a few entries of the tree.
const GRAIN: u64 = 32;

/// So many entries are kept before it is asked which of them are of any use.
const FEW: usize = 1024;

/// See the module.
pub(crate) struct Clock<T> {
    entries: BTreeMap<u64, Vec<T>>,
    count: usize,
    /// With so many entries it is time to drop those of things that have ended.
    crowd: usize,
}

impl<T> Clock<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: BTreeMap::new(), count: 0, crowd: FEW }
    }

    /// Asks for `thing` at `deadline`, or up to one grain later.
    pub(crate) fn insert(&mut self, deadline: u64, thing: T) {
        self.entries.entry(deadline.div_ceil(GRAIN) * GRAIN).or_default().push(thing);
        self.count += 1;
    }

    /// Drops the entries of things that have ended, once there are twice as many entries as the last time left: things that come and go
    /// faster than their deadlines leave no more behind than there are, and each pays for two looks at most.
    pub(crate) fn sweep_when_crowded(&mut self, is_alive: impl Fn(&T) -> bool) {
        if self.count < self.crowd {
            return;
        }
        self.entries.retain(|_, things| {
            things.retain(&is_alive);
            things.shrink_to_fit();
            !things.is_empty()
        });
        self.count = self.entries.values().map(Vec::len).sum();
        self.crowd = FEW.max(2 * self.count);
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
        self.count -= due.len();
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

    #[test]
    fn entries_of_things_that_have_ended_are_no_more_than_those_of_the_living() {
        const LIVING: u64 = 5000;
        let mut clock = Clock::new();
        let mut most = 0;
        for thing in 0..100_000 {
            clock.sweep_when_crowded(|&other| thing - other < LIVING);
            clock.insert(120_000 + thing, thing);
            most = most.max(clock.count);
        }
        assert!(most <= 2 * LIVING as usize, "{most}");
        let alive = clock.take_due(u64::MAX);
        assert!(
            alive.ends_with(&(100_000 - LIVING..100_000).collect::<Vec<_>>()),
            "the living are all there"
        );
        assert_eq!(clock.count, 0);
    }
}
