//! The measured window: warm-up, begin, end, and what was consumed between the two readings.

use std::time::{Duration, Instant};

use crate::Result;
use crate::options::Options;
use crate::process::{Process, own_cpu_time};

/// Takes a reading when the warm-up is over and another when the window is full.
pub(crate) struct Meter {
    server: Process,
    started: Instant,
    warm_up: Duration,
    measure: Duration,
    begin: Option<Reading>,
}

/// What was consumed between two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    pub(crate) messages: u64,
    pub(crate) server_cpu: Duration,
    pub(crate) own_cpu: Duration,
}

#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    messages: u64,
    server_cpu: Duration,
    own_cpu: Duration,
}

impl Meter {
    pub(crate) fn new(options: &Options, server: Process) -> Self {
        let Options { warm_up, measure, .. } = *options;
        Self { server, started: Instant::now(), warm_up, measure, begin: None }
    }

    /// A window that begins now, and that [`Meter::end`] ends.
    pub(crate) fn begin(server: Process) -> Result<Self> {
        let (warm_up, measure) = (Duration::ZERO, Duration::MAX);
        let mut meter = Self { server, started: Instant::now(), warm_up, measure, begin: None };
        meter.advance(0)?;
        Ok(meter)
    }

    /// What was consumed since the window began, in which there were so many messages.
    pub(crate) fn end(self, messages: u64) -> Result<Measured> {
        let begin = self.begin.ok_or("the window has not begun")?;
        Ok(self.read(begin.messages + messages)?.since(begin))
    }

    /// Whether the window has begun; always true again after that.
    pub(crate) fn is_measuring(&self) -> bool {
        self.begin.is_some()
    }

    /// Takes the reading that is due, if one is. `messages` counts from the start; the result comes with the second reading.
    pub(crate) fn advance(&mut self, messages: u64) -> Result<Option<Measured>> {
        match self.begin {
            None if self.started.elapsed() >= self.warm_up => {
                self.begin = Some(self.read(messages)?);
                Ok(None)
            }
            Some(begin) if begin.at.elapsed() >= self.measure => match self.read(messages)?.since(begin) {
                Measured { messages: 0, elapsed, .. } => Err(format!("no message within {elapsed:?}")),
                measured => Ok(Some(measured)),
            },
            _ => Ok(None),
        }
    }

    /// True when the reading that is due has been due for as long again: a scenario that prefers to read at its own boundaries then
    /// reads where it stands.
    pub(crate) fn is_overdue(&self) -> bool {
        match self.begin {
            None => self.started.elapsed() >= self.warm_up * 2,
            Some(begin) => begin.at.elapsed() >= self.measure * 2,
        }
    }

    fn read(&self, messages: u64) -> Result<Reading> {
        let (server_cpu, own_cpu) = (self.server.cpu_time()?, own_cpu_time());
        Ok(Reading { at: Instant::now(), messages, server_cpu, own_cpu })
    }
}

impl Reading {
    fn since(self, begin: Self) -> Measured {
        Measured {
            elapsed: self.at - begin.at,
            messages: self.messages - begin.messages,
            server_cpu: self.server_cpu - begin.server_cpu,
            own_cpu: self.own_cpu - begin.own_cpu,
        }
    }
}

/// Tells a server that stopped answering from one that is slow.
pub(crate) struct Watchdog {
    messages: u64,
    progress: Instant,
}

impl Watchdog {
    pub(crate) fn new() -> Self {
        Self { messages: 0, progress: Instant::now() }
    }

    /// Call it now and then; it fails once `messages` has stood still for [`STALL`].
    pub(crate) fn check(&mut self, messages: u64) -> Result<()> {
        if messages != self.messages {
            (self.messages, self.progress) = (messages, Instant::now());
        } else if self.progress.elapsed() >= STALL {
            return Err(format!("no message for {STALL:?} after {messages}"));
        }
        Ok(())
    }
}

/// Longer than any pause of a garbage collector on a busy machine.
const STALL: Duration = Duration::from_secs(10);

/// How long a scenario sleeps at most before it looks at the clock again.
pub(crate) const NAP: Duration = Duration::from_millis(20);
