//! Fixed rate: messages fall due evenly in time and go round over the clients, whether or not earlier ones have come back. Reports how long
//! each took there and back.

use std::collections::VecDeque;
use std::num::NonZero;
use std::time::{Duration, Instant};

use rustix::thread::set_current_timer_slack;

use crate::Result;
use crate::connection::READ_BUFFER;
use crate::echo::EchoClient;
use crate::meter::{Meter, NAP, Watchdog};
use crate::options::Options;
use crate::poller::{Events, Poller};
use crate::process::Process;
use crate::report::{Percentiles, Report};

pub(crate) fn run(options: &Options) -> Result<Report> {
    let (poller, mut events) = (Poller::new()?, Events::new());
    let mut clients = EchoClient::open_all(options, &poller)?;
    let mut in_flight = vec![VecDeque::<Instant>::new(); clients.len()];
    let mut latencies =
        Vec::with_capacity((f64::from(options.rate) * options.measure.as_secs_f64() * 1.1) as usize);
    let mut lateness = Vec::with_capacity(latencies.capacity());
    let (mut meter, mut watchdog) = (Meter::new(options, Process::new(options.pid)?), Watchdog::new());
    let (mut buffer, mut messages) = (vec![0; READ_BUFFER], 0);
    // The kernel's own 50 µs of slack would be most of a message's time.
    let _ = set_current_timer_slack(Some(PACER_SLACK));
    let mut pacer = Pacer::new(options);

    loop {
        poller.wait(&mut events, pacer.pause().min(NAP))?;
        for index in events.iter() {
            let echoed = clients[index].receive(&mut buffer)?;
            clients[index].send(0)?;
            messages += echoed as u64;
            let now = Instant::now();
            for sent in in_flight[index].drain(..echoed) {
                if meter.is_measuring() {
                    latencies.push(now - sent);
                }
            }
        }
        while let Some((number, late)) = pacer.next_due() {
            let client = (number % clients.len() as u64) as usize;
            // Before the write: on a loopback the answer may be there when it returns.
            in_flight[client].push_back(Instant::now());
            clients[client].send(1)?;
            if meter.is_measuring() {
                lateness.push(late);
            }
        }
        if let Some(measured) = meter.advance(messages)? {
            let report = Report::new(options).with_throughput(&measured);
            return Ok(report
                .with_latency(&Percentiles::of(latencies))
                .with_lateness(&Percentiles::of(lateness)));
        }
        watchdog.check(messages)?;
    }
}

/// Says when to look and what is due: message `n` at the first tick that is not before `n / rate`.
struct Pacer {
    started: Instant,
    rate: u32,
    tick: Duration,
    next_tick: u32,
    sent: u64,
    due: u64,
    late: Duration,
}

impl Pacer {
    fn new(options: &Options) -> Self {
        let Options { rate, tick, .. } = *options;
        Self { started: Instant::now(), rate, tick, next_tick: 1, sent: 0, due: 0, late: Duration::ZERO }
    }

    /// Until the next tick.
    fn pause(&self) -> Duration {
        (self.tick * self.next_tick).saturating_sub(self.started.elapsed())
    }

    /// The number of the next message that is due, and how late its tick was noticed.
    fn next_due(&mut self) -> Option<(u64, Duration)> {
        if self.sent == self.due {
            self.look(self.started.elapsed());
        }
        if self.sent == self.due {
            return None;
        }
        self.sent += 1;
        Some((self.sent, self.late))
    }

    /// At the next tick: makes due what has come due. Ticks that were slept through are made up for by this one.
    fn look(&mut self, elapsed: Duration) {
        let Some(late) = elapsed.checked_sub(self.tick * self.next_tick) else { return };
        let tick = (elapsed.as_nanos() / self.tick.as_nanos()) as u32;
        let due = u128::from(self.rate) * (self.tick * tick).as_nanos() / 1_000_000_000;
        (self.late, self.due, self.next_tick) = (late, due as u64, tick + 1);
    }
}

/// In nanoseconds; the smallest the kernel takes.
const PACER_SLACK: NonZero<u64> = NonZero::<u64>::MIN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fall_due_at_ticks_and_missed_ticks_are_made_up_for() {
        let options = "rate --port 1 --pid 1 --rate 2500 --tick-us 1000".split(' ').map(String::from);
        let mut pacer = Pacer::new(&Options::parse(options).unwrap());
        let due = [900, 1_000, 1_900, 2_000, 10_500, 10_900].map(|micros| {
            pacer.look(Duration::from_micros(micros));
            pacer.due
        });
        assert_eq!(due, [0, 2, 2, 5, 25, 25]);
        // The tick of 3 ms was noticed at 10.5 ms; at 10.9 ms none had come.
        assert_eq!((pacer.late, pacer.next_tick), (Duration::from_micros(7_500), 11));
    }
}
