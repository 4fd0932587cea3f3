//! Numbered places for things that JavaScript refers to: a key is a number that fits a JS `number` exactly, and a key
//! whose thing is gone never finds the thing that came after it.

/// A place and its generation: the index in the low 22 bits, the generation above, 53 bits in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64);

const INDEX_BITS: u32 = 22;
/// How many things can live at once: four million.
const MAX_PLACES: usize = 1 << INDEX_BITS;
const MAX_GENERATION: u32 = (1 << (53 - INDEX_BITS)) - 1;

impl Key {
    fn new(index: usize, generation: u32) -> Self {
        Self((u64::from(generation) << INDEX_BITS) | index as u64)
    }

    /// The place alone: unique among the living, reused after.
    pub(crate) fn index(self) -> usize {
        self.0 as usize & (MAX_PLACES - 1)
    }

    fn generation(self) -> u32 {
        (self.0 >> INDEX_BITS) as u32
    }

    /// The number JavaScript holds.
    pub(crate) fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// The key of a number from JavaScript; any number is harmless, a wrong one finds nothing.
    pub(crate) fn from_f64(number: f64) -> Self {
        Self(if number >= 0.0 { number as u64 } else { u64::MAX })
    }
}

/// See the module.
pub(crate) struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Stores what `make` builds from its own key; `None` when every place is taken.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Option<Key> {
        let index = match self.free.pop() {
            Some(index) => index as usize,
            None if self.entries.len() < MAX_PLACES => {
                self.entries.push(Entry { generation: 0, value: None });
                self.entries.len() - 1
            }
            None => return None,
        };
        let entry = &mut self.entries[index];
        let key = Key::new(index, entry.generation);
        entry.value = Some(make(key));
        Some(key)
    }

    pub(crate) fn find(&self, key: Key) -> Option<&T> {
        let entry = self.entries.get(key.index())?;
        if entry.generation == key.generation() { entry.value.as_ref() } else { None }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index())?;
        if entry.generation != key.generation() {
            return None;
        }
        let value = entry.value.take()?;
        // A place whose generations are used up is never reused.
        if entry.generation < MAX_GENERATION {
            entry.generation += 1;
            self.free.push(key.index() as u32);
        }
        Some(value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| entry.value.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_the_trip_through_a_javascript_number() {
        let key = Key::new(MAX_PLACES - 1, MAX_GENERATION);
        assert_eq!(Key::from_f64(key.as_f64()), key);
        assert!(key.as_f64() <= 9_007_199_254_740_991.0);
    }

    #[test]
    fn a_removed_key_does_not_find_its_successor() {
        let mut slots = Slots::new();
        let first = slots.insert_with(|_| 'a').unwrap();
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert_with(|_| 'b').unwrap();
        assert_eq!(first.index(), second.index());
        assert_eq!(slots.find(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.find(second), Some(&'b'));
    }

    #[test]
    fn a_number_that_never_was_a_key_finds_nothing() {
        let mut slots = Slots::new();
        slots.insert_with(|_| ()).unwrap();
        for number in [-1.0, 0.5e16, f64::NAN, f64::INFINITY, 1.0] {
            assert!(slots.find(Key::from_f64(number)).is_none(), "{number}");
        }
    }
}
