//! The idle timeout and its pings, each at its time, with the clock that looks at them.

use super::Target;
use crate::server::clock::Clock;
use crate::websocket::{Expiry, Idle, IdlePolicy};
use arbitrary::Arbitrary;

/// What happens to a connection with an idle timeout, and when.
#[derive(Arbitrary, Debug)]
pub struct Silence {
    /// `idleTimeout`, in seconds.
    timeout: u8,
    send_pings: bool,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Operation {
    /// Nothing happens for so many hundredths of a second.
    Wait(u16),
    Receive,
    Send,
    Pause,
    Resume,
}

impl<'a> Target<'a> for Silence {
    fn play(self) {
        let mut game = Game::new(self.timeout, self.send_pings);
        for operation in self.operations {
            match operation {
                Operation::Wait(hundredths) => game.wait(u64::from(hundredths) * 10),
                Operation::Receive => {
                    game.idle.received(game.now);
                    game.hear();
                }
                Operation::Send => {
                    game.idle.sent(game.now, &game.policy);
                    if !game.policy.send_pings {
                        game.hear();
                    }
                }
                Operation::Pause => {
                    game.idle.pause();
                    game.is_paused = true;
                }
                Operation::Resume => {
                    game.idle.resume(game.now);
                    if std::mem::take(&mut game.is_paused) {
                        game.hear();
                    }
                }
            }
            game.arm();
            if game.is_over {
                return;
            }
        }
    }
}

struct Game {
    policy: IdlePolicy,
    idle: Idle,
    clock: Clock<()>,
    /// When the clock looks at `idle` next.
    armed: u64,
    now: u64,
    /// What is known: the last sign of life, the ping since then, and whether time counts.
    heard: u64,
    pinged: Option<u64>,
    is_paused: bool,
    is_over: bool,
}

impl Game {
    fn new(timeout: u8, send_pings: bool) -> Self {
        let mut game = Self {
            policy: IdlePolicy::from_seconds(timeout.into(), send_pings),
            idle: Idle::new(START),
            clock: Clock::new(),
            armed: u64::MAX,
            now: START,
            heard: START,
            pinged: None,
            is_paused: false,
            is_over: false,
        };
        game.arm();
        game
    }

    fn hear(&mut self) {
        self.heard = self.now;
        self.pinged = None;
    }

    /// When something is due, and what.
    fn due(&self) -> Option<(u64, Expiry)> {
        let timeout = self.policy.timeout.filter(|_| !self.is_paused)?.as_millis() as u64;
        let margin = match timeout {
            32_000.. => 16_000,
            16_000.. => 8_000,
            8_000.. => 4_000,
            _ => timeout / 2,
        };
        Some(match self.pinged {
            _ if !self.policy.send_pings => (self.heard + timeout, Expiry::TimedOut),
            None => (self.heard + timeout - margin, Expiry::Ping),
            Some(pinged) => (pinged + margin, Expiry::TimedOut),
        })
    }

    /// Has the clock look at the deadline, as a socket does.
    fn arm(&mut self) {
        if let Some(deadline) = self.idle.deadline(&self.policy).filter(|&deadline| deadline < self.armed) {
            self.armed = deadline;
            self.clock.insert(deadline, ());
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while let Some(next) = self.clock.next_deadline().filter(|&next| next <= end && !self.is_over) {
            self.now = self.now.max(next);
            for () in self.clock.take_due(self.now) {
                self.look();
            }
        }
        self.now = end;
        assert!(
            self.is_over || self.due().is_none_or(|(due, _)| end < due + LATE),
            "{:?} was due",
            self.due()
        );
    }

    fn look(&mut self) {
        if self.armed > self.now || self.is_over {
            return;
        }
        self.armed = u64::MAX;
        let due = self.due().filter(|&(due, _)| due <= self.now);
        assert!(due.is_none_or(|(due, _)| self.now < due + LATE), "{due:?} at {}", self.now);
        let expiry = self.idle.expire(self.now, &self.policy);
        assert_eq!(expiry, due.map_or(Expiry::None, |(_, expiry)| expiry));
        match expiry {
            Expiry::None => {}
            Expiry::Ping => self.pinged = Some(self.now),
            Expiry::TimedOut => self.is_over = true,
        }
        self.arm();
    }
}

/// The clock has run for a while.
const START: u64 = 1_000;

/// The clock is less than so many milliseconds late.
const LATE: u64 = 32;
