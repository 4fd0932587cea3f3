//! The command line of a scenario, parsed once: `mantou-load <scenario> --port 1234 --pid 5678 [--clients 64] …`.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::frame::Kind;
use crate::http::Exchange;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Alone,
    Arrive,
    Chat,
    Compressed,
    Echo,
    Fanout,
    Http,
    Idle,
    Rate,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) scenario: Scenario,
    pub(crate) port: u16,
    /// The server, whose CPU time and memory are read.
    pub(crate) pid: u32,
    pub(crate) clients: usize,
    /// Payload bytes of a message (not in a chat).
    pub(crate) size: usize,
    /// Of the messages of an echo.
    pub(crate) kind: Kind,
    /// Messages in flight per client (echo and compressed).
    pub(crate) inflight: usize,
    /// Messages per second of all clients together (rate).
    pub(crate) rate: u32,
    /// How often the pacer looks what is due (rate); by default so often that every message goes alone.
    pub(crate) tick: Duration,
    /// Messages each client sends per round (chat).
    pub(crate) burst: usize,
    /// What is asked for (http).
    pub(crate) exchange: Exchange,
    /// Speak TLS, and trust this certificate, a PEM file.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let scenario = choice("a scenario", &args.next().unwrap_or_default(), SCENARIOS)?;
        let mut options = Self {
            scenario,
            port: 0,
            pid: 0,
            clients: 64,
            size: 20,
            kind: Kind::Text,
            inflight: 1,
            rate: 5_000,
            tick: Duration::ZERO,
            burst: 32,
            exchange: Exchange::Hello,
            certificate: None,
            warm_up: Duration::from_secs(1),
            measure: Duration::from_secs(3),
        };
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            match name.as_str() {
                "--port" => options.port = number(&name, &value)?,
                "--pid" => options.pid = number(&name, &value)?,
                "--clients" => options.clients = number(&name, &value)?,
                "--size" => options.size = number(&name, &value)?,
                "--kind" => options.kind = choice(&name, &value, KINDS)?,
                "--inflight" => options.inflight = number(&name, &value)?,
                "--rate" => options.rate = number(&name, &value)?,
                "--tick-us" => options.tick = Duration::from_micros(number(&name, &value)?),
                "--burst" => options.burst = number(&name, &value)?,
                "--exchange" => options.exchange = choice(&name, &value, EXCHANGES)?,
                "--certificate" => options.certificate = Some(value.into()),
                "--warm-up" => options.warm_up = seconds(&name, &value)?,
                "--seconds" => options.measure = seconds(&name, &value)?,
                _ => return Err(format!("unknown option {name}\n{USAGE}")),
            }
        }
        let needed = [
            options.port.into(),
            options.pid as usize,
            options.clients,
            options.size,
            options.inflight,
            options.burst,
        ];
        if needed.contains(&0) || options.rate == 0 {
            return Err(format!("--port and --pid are required, and no number may be 0\n{USAGE}"));
        }
        if options.tick.is_zero() {
            options.tick = (Duration::from_secs(1) / options.rate).max(SHORTEST_TICK);
        }
        Ok(options)
    }

    /// The name of the scenario on the command line.
    pub(crate) fn scenario_name(&self) -> &'static str {
        SCENARIOS.iter().find(|(_, scenario)| *scenario == self.scenario).map_or("", |(name, _)| name)
    }
}

fn choice<T: Copy>(option: &str, value: &str, choices: &[(&str, T)]) -> Result<T> {
    let found = choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice);
    found.ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("{option} is one of {}, not {value:?}\n{USAGE}", names.join(", "))
    })
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| format!("{name} takes a number, not {value:?}"))
}

fn seconds(name: &str, value: &str) -> Result<Duration> {
    Duration::try_from_secs_f64(number(name, value)?).map_err(|error| format!("{name}: {error}"))
}

const SCENARIOS: &[(&str, Scenario)] = &[
    ("alone", Scenario::Alone),
    ("arrive", Scenario::Arrive),
    ("chat", Scenario::Chat),
    ("compressed", Scenario::Compressed),
    ("echo", Scenario::Echo),
    ("fanout", Scenario::Fanout),
    ("http", Scenario::Http),
    ("idle", Scenario::Idle),
    ("rate", Scenario::Rate),
];

const KINDS: &[(&str, Kind)] = &[("text", Kind::Text), ("binary", Kind::Binary)];

const EXCHANGES: &[(&str, Exchange)] = &[
    ("hello", Exchange::Hello),
    ("host", Exchange::Host),
    ("json", Exchange::Json),
    ("static", Exchange::Static),
    ("download", Exchange::Download),
];

/// Below this a pacer only spins.
const SHORTEST_TICK: Duration = Duration::from_micros(20);

const USAGE: &str = "\
usage: mantou-load <scenario> --port PORT --pid PID [--clients 64] [--size 20] [--kind text|binary] [--inflight 1] [--rate 5000]
                   [--tick-us 1000000/RATE] [--burst 32] [--exchange hello|host|json|static|download] [--certificate FILE]
                   [--warm-up 1] [--seconds 3]
       mantou-load floor                 a server that does nothing but send
       mantou-load certificate FOLDER    writes cert.pem and key.pem for 127.0.0.1";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn a_scenario_takes_its_options_and_defaults() {
        let options = parse("echo --port 80 --pid 7 --inflight 16 --seconds 0.5 --kind binary").unwrap();
        assert_eq!((options.scenario, options.scenario_name()), (Scenario::Echo, "echo"));
        assert_eq!((options.port, options.pid, options.clients, options.inflight), (80, 7, 64, 16));
        assert_eq!((options.kind, options.certificate), (Kind::Binary, None));
        assert_eq!(options.measure, Duration::from_millis(500));
    }

    #[test]
    fn what_is_missing_or_unknown_is_refused() {
        for line in [
            "",
            "nap",
            "echo",
            "echo --port 80",
            "echo --port 80 --pid 7 --clients 0",
            "echo --port 80 --pid 7 --kind number",
            "http --port 80 --pid 7 --exchange words",
            "echo --pid x",
            "echo --x 1",
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
