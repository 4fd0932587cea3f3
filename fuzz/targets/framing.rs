#![no_main]

use libfuzzer_sys::fuzz_target;
use mantou::fuzzing::{Requests, Target};

fuzz_target!(|input: Requests<'_>| input.play());
