//! The core's work without sockets, for counting its instructions: `core <case> <times>` does the work of a case so many times and nothing
//! else; `core` lists the cases, each with the number of operations it does at a time. `bench/gate.mjs` runs it under callgrind.

mod cases;

use std::process::ExitCode;

use cases::CASES;

#[expect(clippy::print_stdout, reason = "the list is what it is called for")]
fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // `cargo bench` adds an argument that means nothing here.
        [] | ["--bench"] => CASES.iter().for_each(|case| println!("{} {}", case.name, case.operations)),
        [name, times] => {
            let case = CASES.iter().find(|case| case.name == name);
            let (Some(case), Ok(times)) = (case, times.parse()) else { return ExitCode::FAILURE };
            (case.work)(times);
        }
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}
