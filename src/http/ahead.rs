//! What has come of a request's content before anybody asked for it. It is read so that a client that leaves behind it is noticed: its FIN
//! stands at the end. So much is kept for one request, and so much for all of them, that memory is none of a client's to fill.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;

/// See the module.
pub(super) struct Ahead {
    content: Vec<u8>,
    /// The memory that all of them hold, in bytes.
    total: Rc<Cell<usize>>,
}

/// Bytes of one request's content beyond which no more is read ahead.
const MOST: usize = 1024 * 1024;
/// The same of all requests together.
const MOST_OF_ALL: usize = 64 * 1024 * 1024;

impl Ahead {
    pub(super) fn new(total: &Rc<Cell<usize>>) -> Self {
        Self { content: Vec::new(), total: Rc::clone(total) }
    }

    /// In bytes.
    pub(super) fn size(&self) -> usize {
        self.content.len()
    }

    /// Whether more may be read ahead.
    pub(super) fn has_room(&self) -> bool {
        self.content.len() < MOST && self.total.get() < MOST_OF_ALL
    }

    pub(super) fn add(&mut self, piece: &[u8]) {
        let before = self.content.capacity();
        self.content.extend_from_slice(piece);
        self.total.set(self.total.get() + self.content.capacity() - before);
    }

    /// Takes all there is.
    pub(super) fn take(&mut self) -> Bytes {
        self.total.set(self.total.get() - self.content.capacity());
        std::mem::take(&mut self.content).into()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_has_so_much_room() {
        let mut ahead = Ahead::new(&Rc::default());
        ahead.add(&vec![1; MOST - 1]);
        assert!(ahead.has_room());
        ahead.add(&[2]);
        assert!(!ahead.has_room());
        assert_eq!(ahead.take().len(), MOST);
        assert!(ahead.size() == 0 && ahead.has_room());
    }

    #[test]
    fn all_requests_share_what_there_is_and_give_it_back() {
        let total = Rc::default();
        let full: Vec<Ahead> = (0..MOST_OF_ALL / MOST)
            .map(|_| {
                let mut ahead = Ahead::new(&total);
                assert!(ahead.has_room());
                ahead.add(&vec![0; MOST]);
                ahead
            })
            .collect();
        let another = Ahead::new(&total);
        assert!(!another.has_room());
        drop(full);
        assert!(another.has_room());
        assert_eq!(total.get(), 0);
    }
}
