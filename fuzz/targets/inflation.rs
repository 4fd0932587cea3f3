#![no_main]

use libfuzzer_sys::fuzz_target;
use mantou::fuzzing::{Inflation, Target};

fuzz_target!(|input: Inflation<'_>| input.play());
