#![no_main]

use libfuzzer_sys::fuzz_target;
use mantou::fuzzing::{Receive, Target};

fuzz_target!(|input: Receive<'_>| input.play());
