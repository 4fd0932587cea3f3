#![no_main]

use libfuzzer_sys::fuzz_target;
use mantou::fuzzing::{Session, Target};

fuzz_target!(
    // SAFETY: nothing else is said about this signal, and nothing runs yet. The host of an addon ignores it too: that a peer has gone is
    // an error of `write`, not the end of the process.
    init: unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN); },
    |input: Session<'_>| input.play()
);
