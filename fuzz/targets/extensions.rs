#![no_main]

use libfuzzer_sys::fuzz_target;
use mantou::fuzzing::{Extensions, Target};

fuzz_target!(|input: Extensions<'_>| input.play());
