//! Idle connections: what one open WebSocket that does nothing costs the server in resident memory.

use std::thread::sleep;
use std::time::Duration;

use crate::Result;
use crate::connection::{get, open_websocket};
use crate::options::Options;
use crate::process::Process;
use crate::report::Report;

pub(crate) fn run(options: &Options) -> Result<Report> {
    let server = Process::new(options.pid)?;
    let open =
        |count: usize| (0..count).map(|_| open_websocket(options.port, "/")).collect::<Result<Vec<_>>>();

    // The first connections pay for compiled code and grown heaps; they stay open and are not counted.
    let first = open(options.clients / FIRST_SHARE)?;
    let before = settled_memory(options, server)?;
    let counted = open(options.clients)?;
    let after = settled_memory(options, server)?;
    let still_open = first.iter().chain(&counted).filter(|stream| is_open(stream)).count();
    if still_open != first.len() + counted.len() {
        return Err(format!(
            "only {still_open} of {} connections are still open",
            first.len() + counted.len()
        ));
    }
    Ok(Report::new(options).with_memory(before, after))
}

/// Resident memory after the server has collected its garbage (`/gc` of `bench/servers`) and had a moment to give pages back.
fn settled_memory(options: &Options, server: Process) -> Result<u64> {
    for _ in 0..2 {
        get(options.port, "/gc")?;
        sleep(SETTLE);
    }
    server.resident_bytes()
}

/// An idle connection has nothing to read; a closed one has an end or an error.
fn is_open(stream: &std::net::TcpStream) -> bool {
    stream.set_nonblocking(true).is_ok()
        && matches!(stream.peek(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// One in five on top: 2,000 for 10,000.
const FIRST_SHARE: usize = 5;

const SETTLE: Duration = Duration::from_millis(500);
