//! How long an HTTP connection waits for its peer (§8.5, §1.2). Time is milliseconds since whenever; who calls says what time it is.
//!
//! The timer runs while the peer is waited for, and while a handler is: a request without content that is not answered in time ends.
//! It stands still once content has come and no more is waited for, because then it is the handler that is slow, and a handler
//! with content in its hands may take its time. (A MiB of content is waited for without being asked for: `ahead`.) But it must not work for a peer that has gone: where the system does not tell of that
//! behind bytes that nobody reads, somebody has to look from time to time.

/// See the module. A new one waits for the first head.
#[derive(Debug)]
pub(crate) struct Idle {
    /// How long from one sign of life to the next.
    timeout: u64,
    state: State,
    /// Bytes of content since the last time they counted as a sign of life.
    received: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Running {
        deadline: u64,
    },
    Stopped {
        left: u64,
        /// When to look whether the peer is still there.
        look: u64,
    },
}

/// What a deadline that has come asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Nothing: it has moved on.
    None,
    /// To look whether the peer is still there.
    Look,
    /// To end the connection.
    TimedOut,
}

/// How long the first head of a connection may take, whatever `idleTimeout` says: its peer has shown nothing yet.
const FIRST_HEAD: u64 = 10_000;
/// A peer that sends content more slowly than this, in bytes for each second of the timeout, shows no life.
pub(super) const LEAST_PER_SECOND: u64 = 16 * 1024;
/// Longer than a timer of the host can wait, in seconds: for ever.
const MAX_SECONDS: u64 = (1 << 31) / 1000;

/// A timeout in milliseconds from one in seconds; 0 seconds, as any negative number, are for ever.
pub(crate) fn timeout_of(seconds: f64) -> u64 {
    match seconds as u64 {
        0 | MAX_SECONDS.. => u64::MAX,
        seconds => seconds * 1000,
    }
}

impl Idle {
    pub(crate) const fn new(now: u64) -> Self {
        Self { timeout: FIRST_HEAD, state: State::Running { deadline: now + FIRST_HEAD }, received: 0 }
    }

    /// When `expire` has something to say unless something happens before; `u64::MAX` for never.
    pub(crate) fn deadline(&self) -> u64 {
        match self.state {
            State::Running { deadline } => deadline,
            State::Stopped { look, .. } => look,
        }
    }

    /// Says what is to be done now.
    pub(crate) fn expire(&mut self, now: u64) -> Expiry {
        match &mut self.state {
            State::Running { deadline } if *deadline <= now => Expiry::TimedOut,
            State::Stopped { look, .. } if *look <= now => {
                *look = now.saturating_add(self.timeout);
                Expiry::Look
            }
            State::Running { .. } | State::Stopped { .. } => Expiry::None,
        }
    }

    /// From now on so much time may pass between two signs of life.
    pub(crate) fn set(&mut self, now: u64, timeout: u64) {
        self.timeout = timeout;
        self.restart(now);
    }

    /// A sign of life: the peer took bytes of an answer.
    pub(crate) fn restart(&mut self, now: u64) {
        self.state = State::Running { deadline: now.saturating_add(self.timeout) };
        self.received = 0;
    }

    /// The same, but it does not start a time that stands still.
    pub(crate) fn prolong(&mut self, now: u64) {
        if let State::Running { .. } = self.state {
            self.restart(now);
        }
    }

    /// The handler has what it needs: it is not the peer who is waited for.
    pub(crate) fn stop(&mut self, now: u64) {
        if let State::Running { deadline } = self.state {
            let left = if deadline == u64::MAX { u64::MAX } else { deadline.saturating_sub(now) };
            self.state = State::Stopped { left, look: now.saturating_add(self.timeout) };
        }
    }

    /// Content has come. It starts the time anew only when there was enough of it.
    pub(crate) fn receive(&mut self, now: u64, count: usize) {
        self.received += count as u64;
        if u128::from(self.received) * 1000 >= u128::from(LEAST_PER_SECOND) * u128::from(self.timeout) {
            self.restart(now);
        }
    }

    /// More content is waited for.
    pub(crate) fn resume(&mut self, now: u64) {
        if let State::Stopped { left, .. } = self.state {
            self.state = State::Running { deadline: now.saturating_add(left) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: u64 = u64::MAX;

    #[test]
    fn the_first_head_has_ten_seconds() {
        assert_eq!(Idle::new(500).deadline(), 10_500);
    }

    #[test]
    fn a_timeout_counts_from_the_last_sign_of_life() {
        let mut idle = Idle::new(0);
        idle.set(1000, timeout_of(4.0));
        assert_eq!(idle.deadline(), 5000);
        idle.restart(3000);
        assert_eq!(idle.deadline(), 7000);
        idle.set(4000, timeout_of(20.0));
        assert_eq!(idle.deadline(), 24_000);
    }

    #[test]
    fn no_timeout_is_none() {
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e12] {
            let mut idle = Idle::new(0);
            idle.set(1000, timeout_of(seconds));
            idle.stop(2000);
            idle.resume(3000);
            idle.receive(4000, usize::MAX);
            idle.resume(5000);
            assert_eq!(idle.deadline(), NEVER, "{seconds}");
        }
        assert_eq!(timeout_of(1.9), 1000);
        assert_eq!(timeout_of(300.0), 300_000);
    }

    #[test]
    fn nobody_is_waited_for_while_content_is_at_hand() {
        let mut idle = Idle::new(0);
        idle.set(0, 4000);
        idle.receive(1000, 100);
        idle.stop(1000);
        assert_eq!(idle.expire(4000), Expiry::None);
        idle.resume(60_000);
        assert_eq!(idle.deadline(), 63_000, "three seconds were left");
        idle.resume(61_000);
        assert_eq!(idle.deadline(), 63_000);
        idle.restart(62_000);
        assert_eq!(idle.deadline(), 66_000);
        assert_eq!((idle.expire(65_999), idle.expire(66_000)), (Expiry::None, Expiry::TimedOut));
    }

    #[test]
    fn an_earlier_answer_that_is_taken_does_not_start_a_time_that_stands_still() {
        let mut idle = Idle::new(0);
        idle.set(0, 4000);
        idle.prolong(1000);
        assert_eq!(idle.deadline(), 5000);
        idle.stop(2000);
        idle.prolong(3000);
        assert_eq!(idle.expire(5000), Expiry::None);
        idle.resume(10_000);
        assert_eq!(idle.deadline(), 13_000);
    }

    #[test]
    fn somebody_looks_for_the_peer_while_nobody_waits_for_it() {
        let mut idle = Idle::new(0);
        idle.set(0, 4000);
        idle.stop(1000);
        assert_eq!(idle.deadline(), 5000);
        assert_eq!(
            (idle.expire(4999), idle.expire(5000), idle.expire(5000)),
            (Expiry::None, Expiry::Look, Expiry::None)
        );
        assert_eq!(idle.deadline(), 9000);
    }

    #[test]
    fn content_that_trickles_is_no_sign_of_life() {
        let mut idle = Idle::new(0);
        idle.set(0, 4000);
        for second in 1..4 {
            idle.receive(second * 1000, 1024);
            assert_eq!(idle.deadline(), 4000);
        }
        let enough = 4 * LEAST_PER_SECOND as usize - 3 * 1024;
        idle.receive(3500, enough - 1);
        assert_eq!(idle.deadline(), 4000);
        idle.receive(3500, 1);
        assert_eq!(idle.deadline(), 7500);
    }
}
