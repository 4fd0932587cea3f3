//! The wait of a finished connection for the peer's FIN. Until that comes, what the peer sends is read and discarded: unread bytes would
//! make the kernel send RST, which may overtake the last bytes.

use std::rc::Rc;
use std::task::Waker;

use super::alarm::Alarm;
use super::engine::Engine;

/// See the module. It ends when the peer's FIN comes, or when this says so.
pub(crate) struct Lingering {
    engine: Rc<Engine>,
    end: Alarm,
    is_counted: bool,
}

/// How many wait at once for peers that nobody has asked to wait for.
const MAX: usize = 4096;

impl Lingering {
    /// Begins to wait, for `milliseconds` at most; `task` is woken then. `None` when too many wait already, unless this one `is_asked_for`.
    pub(crate) fn begin(
        engine: &Rc<Engine>,
        milliseconds: u64,
        is_asked_for: bool,
        task: &Waker,
    ) -> Option<Self> {
        let count = engine.lingering.get();
        if !is_asked_for {
            if count >= MAX {
                return None;
            }
            engine.lingering.set(count + 1);
        }
        let end = Alarm::set(engine, milliseconds, task);
        Some(Self { engine: Rc::clone(engine), end, is_counted: !is_asked_for })
    }

    /// Whether it has been long enough.
    pub(crate) fn is_over(&self) -> bool {
        self.end.has_rung()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if self.is_counted {
            self.engine.lingering.set(self.engine.lingering.get() - 1);
        }
    }
}
