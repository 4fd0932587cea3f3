//! The load generator of mantou's benchmarks: one thread, one epoll, precomputed frames.
//!
//! It runs one scenario against one server and prints one JSON line: throughput, the server's CPU time per message over exactly the
//! measured window (its `--pid`), and its own CPU time, so that a run in which the generator was the bottleneck shows itself.
//! It knows no server by name and talks to 127.0.0.1 only. `bench/README.md` explains the scenarios.
//!
//! The exit status is 0, 1 after a failure, and 3 if the server does not have what the scenario asks for; then standard error says what.

mod alone;
mod arrive;
mod certificate;
mod chat;
mod compressed;
mod connection;
mod echo;
mod expected;
mod fanout;
mod floor;
mod frame;
mod handshake;
mod http;
mod idle;
mod meter;
mod offer;
mod options;
mod poller;
mod process;
mod rate;
mod report;
mod stream;

use std::path::Path;
use std::process::ExitCode;

use options::{Options, Scenario};

/// Everything that ends a run early is told to whoever started it, as text.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    process::raise_descriptor_limit();
    let ended = match args[..] {
        ["floor"] => floor::serve().map(|()| ExitCode::SUCCESS),
        ["certificate", folder] => certificate::write(Path::new(folder)).map(|()| ExitCode::SUCCESS),
        _ => Options::parse(args.iter().map(|arg| (*arg).to_owned())).and_then(|options| run(&options)),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("load: {error}");
        ExitCode::FAILURE
    })
}

fn run(options: &Options) -> Result<ExitCode> {
    if let Some(missing) = offer::missing(options)? {
        eprintln!("{missing}");
        return Ok(ExitCode::from(NOT_OFFERED));
    }
    let report = match options.scenario {
        Scenario::Alone => alone::run(options),
        Scenario::Arrive => arrive::run(options),
        Scenario::Chat => chat::run(options),
        Scenario::Compressed => compressed::run(options),
        Scenario::Echo => echo::run(options),
        Scenario::Fanout => fanout::run(options),
        Scenario::Http => http::run(options),
        Scenario::Idle => idle::run(options),
        Scenario::Rate => rate::run(options),
    }?;
    println!("{report}");
    Ok(ExitCode::SUCCESS)
}

const NOT_OFFERED: u8 = 3;
