#![no_main]

use libfuzzer_sys::fuzz_target;
use mantou::fuzzing::{Subscriptions, Target};

fuzz_target!(|input: Subscriptions| input.play());
