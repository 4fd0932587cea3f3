//! What time it is, as the kernel has it at hand: it was so up to 10 ms ago, and costs a fifth of the exact time.

use std::time::Duration;

/// The time since whenever. It ticks every 1 to 10 ms.
pub(crate) fn monotonic() -> Duration {
    kept::monotonic()
}

/// The time since 1970; none before that.
pub(crate) fn since_epoch() -> Duration {
    kept::since_epoch()
}

#[cfg(target_os = "linux")]
mod kept {
    use std::time::Duration;

    pub(super) fn monotonic() -> Duration {
        read(libc::CLOCK_MONOTONIC_COARSE)
    }

    pub(super) fn since_epoch() -> Duration {
        read(libc::CLOCK_REALTIME_COARSE)
    }

    fn read(clock: libc::clockid_t) -> Duration {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the out pointer is valid. Both clocks are as old as Linux 2.6.32; without them it is 0.
        unsafe { libc::clock_gettime(clock, &mut now) };
        // Nanoseconds are never negative, and fewer than a second.
        u64::try_from(now.tv_sec).map_or(Duration::ZERO, |seconds| Duration::new(seconds, now.tv_nsec as u32))
    }
}

#[cfg(not(target_os = "linux"))]
mod kept {
    use std::sync::LazyLock;
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    /// Milliseconds from one tick to the next.
    const TICK: u64 = 4;

    pub(super) fn monotonic() -> Duration {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        Duration::from_millis(BEGAN.elapsed().as_millis() as u64 / TICK * TICK)
    }

    pub(super) fn since_epoch() -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    /// More than a tick, and than a busy machine takes between two lines.
    const SLACK: Duration = Duration::from_secs(1);

    #[test]
    fn it_runs_as_the_exact_clocks_do() {
        let (exact, kept) = (Instant::now(), monotonic());
        std::thread::sleep(Duration::from_millis(50));
        let (exact, kept) = (exact.elapsed(), monotonic() - kept);
        assert!(kept > Duration::ZERO && kept.abs_diff(exact) < SLACK, "{kept:?} of {exact:?}");
        let exact = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(since_epoch().abs_diff(exact) < SLACK, "{:?} at {exact:?}", since_epoch());
    }
}
