//! A time at which a task is woken, unless the task has given the alarm up by then. An alarm that is given up keeps nothing of its task.

use std::rc::Rc;
use std::task::Waker;

use super::engine::Engine;
use super::slots::Key;

/// See the module.
pub(crate) struct Alarm {
    engine: Rc<Engine>,
    time: u64,
    /// Of the waker. Without a place for it the time has come at once, and the task is woken to see it.
    key: Option<Key>,
}

impl Alarm {
    /// Wakes `task` after `milliseconds`.
    pub(crate) fn set(engine: &Rc<Engine>, milliseconds: u64, task: &Waker) -> Self {
        let time = engine.now() + milliseconds;
        let key = engine.alarms.borrow_mut().insert_with(|_| task.clone());
        match key {
            Some(key) => engine.watch_alarm(time, key),
            None => task.wake_by_ref(),
        }
        Self { engine: Rc::clone(engine), time, key }
    }

    /// Whether the time has come.
    pub(crate) fn has_rung(&self) -> bool {
        self.key.is_none() || self.engine.now() >= self.time
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.engine.alarms.borrow_mut().remove(key);
        }
    }
}
