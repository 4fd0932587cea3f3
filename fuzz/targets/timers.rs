#![no_main]

use libfuzzer_sys::fuzz_target;
use mantou::fuzzing::{Silence, Target};

fuzz_target!(|input: Silence| input.play());
