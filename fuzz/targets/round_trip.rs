#![no_main]

use libfuzzer_sys::fuzz_target;
use mantou::fuzzing::{RoundTrip, Target};

fuzz_target!(|input: RoundTrip<'_>| input.play());
