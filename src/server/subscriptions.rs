//! The topics of one socket in the order of subscription. Each has a number, by which it is found again: leaving one of a hundred thousand
//! topics costs about as much as leaving the only one.

use std::sync::Arc;

/// See the module.
#[derive(Default)]
pub(crate) struct Subscriptions {
    /// By ascending number. What is left keeps its place, empty, until more than half of the places are.
    places: Vec<(u64, Option<Arc<str>>)>,
    empty: usize,
}

impl Subscriptions {
    /// The number of the topic that is subscribed to next.
    pub(crate) fn next_number(&self) -> u64 {
        self.places.last().map_or(0, |(number, _)| number + 1)
    }

    /// Adds a topic; it has the number that `next_number` said.
    pub(crate) fn push(&mut self, topic: Arc<str>) {
        self.places.push((self.next_number(), Some(topic)));
    }

    /// Takes the topic of a number away.
    pub(crate) fn remove(&mut self, number: u64) {
        let Ok(place) = self.places.binary_search_by_key(&number, |&(number, _)| number) else { return };
        if self.places[place].1.take().is_none() {
            return;
        }
        self.empty += 1;
        if self.empty > self.places.len() / 2 {
            self.places.retain(|(_, topic)| topic.is_some());
            self.places.shrink_to(2 * self.places.len());
            self.empty = 0;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.places.iter().filter_map(|(_, topic)| topic.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stay_in_order_whatever_is_removed() {
        let mut subscriptions = Subscriptions::default();
        let mut model: Vec<(u64, Arc<str>)> = Vec::new();
        let mut random = 1_u32;
        for step in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if model.is_empty() || random >> 24 < 120 {
                let topic: Arc<str> = step.to_string().into();
                let number = subscriptions.next_number();
                assert!(model.iter().all(|&(other, _)| other < number), "no number is given twice");
                model.push((number, Arc::clone(&topic)));
                subscriptions.push(topic);
            } else {
                let (number, _) = model.remove((random >> 8) as usize % model.len());
                subscriptions.remove(number);
                subscriptions.remove(number);
            }
            assert!(subscriptions.iter().eq(model.iter().map(|(_, topic)| topic)));
            assert!(subscriptions.places.len() <= 2 * model.len());
        }
    }
}
