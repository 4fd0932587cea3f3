//! The load generator of mantou's benchmarks: one thread, one epoll, precomputed frames.
//!
//! It runs one scenario against one server and prints one JSON line: throughput, the server's CPU time per message over exactly the
//! measured window (its `--pid`), and its own CPU time, so that a run in which the generator was the bottleneck shows itself.
//! It knows no server by name and talks to 127.0.0.1 only. `bench/README.md` explains the scenarios.

mod chat;
mod connection;
mod echo;
mod frame;
mod hello;
mod idle;
mod meter;
mod options;
mod poller;
mod process;
mod rate;
mod report;

use std::process::ExitCode;

use options::{Options, Scenario};
use report::Report;

/// Everything that ends a run early is told to whoever started it, as text.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    match run() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Report> {
    let options = Options::parse(std::env::args().skip(1))?;
    process::raise_descriptor_limit();
    match options.scenario {
        Scenario::Echo => echo::run(&options),
        Scenario::Rate => rate::run(&options),
        Scenario::Chat => chat::run(&options),
        Scenario::Idle => idle::run(&options),
        Scenario::Hello => hello::run(&options),
    }
}
