//! The core's work without sockets, for counting its instructions: `core <case> <times>` does the work of a case so many times and nothing
//! else; `core` lists the cases, each with the number of operations it does at a time. `bench/gate.mjs` runs it under callgrind.
//!
//! `core curves` measures how costs grow: a line for each size, `name<tab>size<tab>nanoseconds`. `bench/curves.mjs` draws them.

mod cases;
mod curves;

use std::process::ExitCode;

use cases::CASES;
use curves::CURVES;

#[expect(clippy::print_stdout, reason = "what is printed is what it is called for")]
fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // `cargo bench` adds an argument that means nothing here.
        [] | ["--bench"] => CASES.iter().for_each(|case| println!("{} {}", case.name, case.operations)),
        ["curves"] => {
            for curve in CURVES {
                curve.measure().for_each(|(size, cost)| println!("{}\t{size}\t{cost:.1}", curve.name));
            }
        }
        [name, times] => {
            let case = CASES.iter().find(|case| case.name == name);
            let (Some(case), Ok(times)) = (case, times.parse()) else { return ExitCode::FAILURE };
            (case.work)(times);
        }
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}
