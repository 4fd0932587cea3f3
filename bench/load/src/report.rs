//! The result of a run: one line of JSON.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::meter::Measured;
use crate::options::Options;

/// A flat JSON object, in the order in which its members were added; every value is a number or a name without quotes in it.
pub(crate) struct Report {
    clients: usize,
    members: Vec<(&'static str, String)>,
}

/// Of a set of times.
pub(crate) struct Percentiles {
    sorted: Vec<Duration>,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        let report = Self { clients: options.clients, members: Vec::new() };
        report.with("load", format!("\"{}\"", options.scenario_name())).with("clients", options.clients)
    }

    /// Messages, and CPU time of both sides: per message in µs, and as a share of one core.
    pub(crate) fn with_throughput(self, measured: &Measured) -> Self {
        let Measured { elapsed, messages, server_cpu, own_cpu } = *measured;
        let (seconds, count) = (elapsed.as_secs_f64(), messages as f64);
        self.with("seconds", decimal(seconds))
            .with("messages", messages)
            .with("per_second", decimal(messages as f64 / seconds))
            .with("server_cpu_us", decimal(micros(server_cpu) / count))
            .with("server_cpu_share", decimal(server_cpu.as_secs_f64() / seconds))
            .with("load_cpu_us", decimal(micros(own_cpu) / count))
            .with("load_cpu_share", decimal(own_cpu.as_secs_f64() / seconds))
    }

    /// How long messages took there and back.
    pub(crate) fn with_latency(self, latency: &Percentiles) -> Self {
        self.with("p50_us", decimal(latency.at(0.5)))
            .with("p90_us", decimal(latency.at(0.9)))
            .with("p99_us", decimal(latency.at(0.99)))
            .with("p999_us", decimal(latency.at(0.999)))
            .with("max_us", decimal(latency.at(1.0)))
    }

    /// How late the pacer sent, which is the generator's or the machine's doing, not the server's.
    pub(crate) fn with_lateness(self, lateness: &Percentiles) -> Self {
        self.with("pacer_late_p99_us", decimal(lateness.at(0.99)))
    }

    /// Bytes of a reply.
    pub(crate) fn with_compression(self, reply_bytes: f64) -> Self {
        self.with("reply_bytes", decimal(reply_bytes))
    }

    pub(crate) fn with_memory(self, before: u64, after: u64) -> Self {
        let per_connection = (after as f64 - before as f64) / self.clients as f64 / 1024.0;
        self.with("rss_before_kib", before / 1024)
            .with("rss_after_kib", after / 1024)
            .with("kib_per_connection", decimal(per_connection))
    }

    fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.members.push((name, value.to_string()));
        self
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let members: Vec<_> =
            self.members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        write!(out, "{{{}}}", members.join(","))
    }
}

impl Percentiles {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { sorted: times }
    }

    /// In µs; 0 where nothing was recorded.
    fn at(&self, share: f64) -> f64 {
        let rank = (self.sorted.len() as f64 * share).ceil() as usize;
        self.sorted.get(rank.saturating_sub(1)).map_or(0.0, |time| micros(*time))
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn decimal(value: f64) -> String {
    // Five places: a message of a chat costs hundredths of a microsecond.
    format!("{value:.5}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let times = Percentiles::of((1..=100).rev().map(Duration::from_micros).collect());
        assert_eq!((times.at(0.5), times.at(0.99), times.at(1.0)), (50.0, 99.0, 100.0));
        assert_eq!(Percentiles::of(Vec::new()).at(0.5), 0.0);
    }
}
