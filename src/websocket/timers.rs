//! The idle timeout and the automatic pings that come before it. The caller has the clock: every time is milliseconds
//! since an epoch of its choice.

use std::time::Duration;

/// `idleTimeout` and `sendPings`, shared by all sockets of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdlePolicy {
    /// How long a connection may be idle; `None` for ever, which also means no pings.
    pub timeout: Option<Duration>,
    /// Whether to ping an idle client a [margin](Self::ping_margin) before the timeout.
    ///
    /// With pings only received bytes count as activity, so that a dead peer in a busy room is found out; without them
    /// what is sent counts too.
    pub send_pings: bool,
}

impl IdlePolicy {
    /// The policy for an `idleTimeout` of so many seconds, 0 for none.
    pub const fn from_seconds(idle_timeout: u32, send_pings: bool) -> Self {
        let timeout = match idle_timeout {
            0 => None,
            seconds => Some(Duration::from_secs(seconds as u64)),
        };
        Self { timeout, send_pings }
    }

    /// How long before `timeout` the ping goes out, which is how long the peer has to answer it.
    pub fn ping_margin(timeout: Duration) -> Duration {
        match timeout.as_secs() {
            32.. => Duration::from_secs(16),
            16.. => Duration::from_secs(8),
            8.. => Duration::from_secs(4),
            _ => timeout / 2,
        }
    }
}

/// What an idle timer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Nothing; look again at the next deadline.
    None,
    /// An empty ping, once per silence.
    Ping,
    /// The end of the connection, without a close frame.
    TimedOut,
}

/// The idle timer of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// When the connection was last active.
    active_ms: u64,
    /// Whether this silence has had its ping.
    pinged: bool,
    /// Whether reading is paused, so that silence says nothing about the peer.
    paused: bool,
}

impl Idle {
    /// A timer that starts now.
    pub const fn new(now_ms: u64) -> Self {
        Self { active_ms: now_ms, pinged: false, paused: false }
    }

    /// Notes that bytes came in, of whatever kind.
    #[inline]
    pub const fn received(&mut self, now_ms: u64) {
        self.active_ms = now_ms;
        self.pinged = false;
    }

    /// Notes that bytes were sent, other than the ping [`expire`](Self::expire) asked for.
    #[inline]
    pub const fn sent(&mut self, now_ms: u64, policy: &IdlePolicy) {
        if !policy.send_pings {
            self.active_ms = now_ms;
        }
    }

    /// When to call [`expire`](Self::expire); `None` while there is nothing to wait for.
    ///
    /// Activity only moves it later: a timer set for an earlier deadline may fire, get [`Expiry::None`] and be set anew.
    pub fn deadline(&self, policy: &IdlePolicy) -> Option<u64> {
        let timeout = policy.timeout.filter(|_| !self.paused)?;
        Some(self.active_ms.saturating_add(millis(self.patience(timeout, policy))))
    }

    /// Says what is due. The caller does it: sends the ping, or ends the connection.
    ///
    /// Read the socket before asking, when both are due: the answer may be there already. A ping that goes out late
    /// (the thread was busy) moves the timeout with it, so that the peer has the whole margin to answer.
    pub fn expire(&mut self, now_ms: u64, policy: &IdlePolicy) -> Expiry {
        let Some(deadline) = self.deadline(policy) else { return Expiry::None };
        if now_ms < deadline {
            Expiry::None
        } else if !policy.send_pings || self.pinged {
            Expiry::TimedOut
        } else {
            self.active_ms += now_ms - deadline;
            self.pinged = true;
            Expiry::Ping
        }
    }

    /// Stops the timer while reading is paused.
    pub const fn pause(&mut self) {
        self.paused = true;
    }

    /// Starts a paused timer from the beginning.
    pub const fn resume(&mut self, now_ms: u64) {
        if self.paused {
            *self = Self::new(now_ms);
        }
    }

    /// How much silence there may be before the next thing happens.
    fn patience(&self, timeout: Duration, policy: &IdlePolicy) -> Duration {
        if policy.send_pings && !self.pinged { timeout - IdlePolicy::ping_margin(timeout) } else { timeout }
    }
}

/// Whole milliseconds; a timeout too long for them is as good as none.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the connection was born, on a clock that has run for a while.
    const T0: u64 = 5_000_000;

    fn seconds(s: f64) -> u64 {
        T0 + (s * 1000.0) as u64
    }

    /// Runs the timer by its own deadlines until the timeout: what happened when, in seconds since `T0`.
    fn silence(idle: &mut Idle, policy: &IdlePolicy) -> Vec<(f64, Expiry)> {
        let mut seen = Vec::new();
        while let Some(deadline) = idle.deadline(policy) {
            assert_eq!(idle.expire(deadline - 1, policy), Expiry::None);
            let expiry = idle.expire(deadline, policy);
            seen.push(((deadline - T0) as f64 / 1000.0, expiry));
            if expiry == Expiry::TimedOut {
                break;
            }
        }
        seen
    }

    #[test]
    fn a_silent_client_is_pinged_a_margin_before_the_timeout_and_then_timed_out() {
        let table = [
            (1, 0.5),
            (2, 1.0),
            (7, 3.5),
            (8, 4.0),
            (15, 11.0),
            (16, 8.0),
            (31, 23.0),
            (32, 16.0),
            (120, 104.0),
            (960, 944.0),
        ];
        for (timeout, ping) in table {
            let policy = IdlePolicy::from_seconds(timeout, true);
            let expected = vec![(ping, Expiry::Ping), (f64::from(timeout), Expiry::TimedOut)];
            assert_eq!(silence(&mut Idle::new(T0), &policy), expected);
        }
    }

    #[test]
    fn without_pings_the_timeout_comes_alone() {
        let policy = IdlePolicy::from_seconds(8, false);
        assert_eq!(silence(&mut Idle::new(T0), &policy), [(8.0, Expiry::TimedOut)]);
    }

    #[test]
    fn a_timeout_of_zero_means_never_and_no_pings() {
        let mut idle = Idle::new(T0);
        for policy in [IdlePolicy::from_seconds(0, true), IdlePolicy::from_seconds(0, false)] {
            assert_eq!(idle.deadline(&policy), None);
            assert_eq!(idle.expire(u64::MAX, &policy), Expiry::None);
        }
    }

    #[test]
    fn a_client_that_answers_is_pinged_again_and_again() {
        let policy = IdlePolicy::from_seconds(8, true);
        let mut idle = Idle::new(T0);
        for round in 1..100 {
            let now = seconds(f64::from(round) * 4.0);
            assert_eq!(idle.deadline(&policy), Some(now));
            assert_eq!(idle.expire(now, &policy), Expiry::Ping);
            idle.received(now); // the pong, in the same millisecond
        }
    }

    #[test]
    fn a_received_byte_starts_the_silence_anew() {
        for send_pings in [true, false] {
            let policy = IdlePolicy::from_seconds(2, send_pings);
            let mut idle = Idle::new(T0);
            idle.received(seconds(1.9));
            assert_eq!(silence(&mut idle, &policy).last(), Some(&(3.9, Expiry::TimedOut)));
        }
    }

    #[test]
    fn sending_counts_as_activity_only_without_pings() {
        let with_pings = IdlePolicy::from_seconds(8, true);
        let mut idle = Idle::new(T0);
        idle.sent(seconds(3.0), &with_pings);
        assert_eq!(silence(&mut idle, &with_pings), [(4.0, Expiry::Ping), (8.0, Expiry::TimedOut)]);

        let without = IdlePolicy::from_seconds(8, false);
        let mut idle = Idle::new(T0);
        idle.sent(seconds(3.0), &without);
        assert_eq!(silence(&mut idle, &without), [(11.0, Expiry::TimedOut)]);
    }

    #[test]
    fn sending_to_a_pinged_client_does_not_save_it() {
        let policy = IdlePolicy::from_seconds(8, true);
        let mut idle = Idle::new(T0);
        assert_eq!(idle.expire(seconds(4.0), &policy), Expiry::Ping);
        idle.sent(seconds(7.9), &policy);
        assert_eq!(idle.expire(seconds(8.0), &policy), Expiry::TimedOut);
    }

    #[test]
    fn a_late_ping_leaves_the_whole_margin_to_answer() {
        let policy = IdlePolicy::from_seconds(8, true);
        let mut idle = Idle::new(T0);
        assert_eq!(idle.expire(seconds(30.0), &policy), Expiry::Ping);
        assert_eq!(idle.expire(seconds(33.9), &policy), Expiry::None);
        assert_eq!(idle.expire(seconds(34.0), &policy), Expiry::TimedOut);
    }

    #[test]
    fn a_paused_timer_does_not_run_and_a_resumed_one_starts_from_the_beginning() {
        let policy = IdlePolicy::from_seconds(8, true);
        let mut idle = Idle::new(T0);
        assert_eq!(idle.expire(seconds(4.0), &policy), Expiry::Ping);
        idle.pause();
        assert_eq!(idle.deadline(&policy), None);
        assert_eq!(idle.expire(seconds(60.0), &policy), Expiry::None);
        idle.received(seconds(60.0)); // read before the pause took effect
        assert_eq!(idle.deadline(&policy), None);
        idle.resume(seconds(100.0));
        assert_eq!(silence(&mut idle, &policy), [(104.0, Expiry::Ping), (108.0, Expiry::TimedOut)]);
    }

    #[test]
    fn resuming_what_is_not_paused_changes_nothing() {
        let policy = IdlePolicy::from_seconds(8, false);
        let mut idle = Idle::new(T0);
        idle.resume(seconds(7.0));
        assert_eq!(idle.deadline(&policy), Some(seconds(8.0)));
    }

    #[test]
    fn a_reloaded_policy_applies_to_the_silence_that_is_running() {
        let mut idle = Idle::new(T0);
        assert_eq!(idle.expire(seconds(8.0), &IdlePolicy::from_seconds(120, true)), Expiry::None);
        assert_eq!(idle.expire(seconds(8.0), &IdlePolicy::from_seconds(8, false)), Expiry::TimedOut);
    }

    #[test]
    fn it_is_small_and_an_absurd_timeout_does_not_overflow() {
        assert!(size_of::<Idle>() <= 16);
        let policy = IdlePolicy { timeout: Some(Duration::MAX), send_pings: false };
        assert_eq!(Idle::new(T0).deadline(&policy), Some(u64::MAX));
    }
}
