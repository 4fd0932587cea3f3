//! Idle connections: what one open WebSocket that does nothing costs the server in resident memory.

use std::io::ErrorKind;
use std::thread::sleep;
use std::time::Duration;

use crate::Result;
use crate::handshake::{Offer, get_request, open_websocket, status_of};
use crate::options::Options;
use crate::process::Process;
use crate::report::Report;
use crate::stream::{Connector, Stream};

pub(crate) fn run(options: &Options) -> Result<Report> {
    let server = Process::new(options.pid)?;
    let connector = Connector::new(options)?;
    let open = |count: usize| {
        (0..count).map(|_| open_websocket(&connector, "/", Offer::Nothing)).collect::<Result<Vec<_>>>()
    };

    // The first connections pay for compiled code and grown heaps; they stay open and are not counted.
    let first = open(options.clients / FIRST_SHARE)?;
    let before = settled_memory(&connector, server)?;
    let counted = open(options.clients)?;
    let after = settled_memory(&connector, server)?;
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
fn settled_memory(connector: &Connector, server: Process) -> Result<u64> {
    for _ in 0..2 {
        let status = status_of(connector, &get_request(connector.port(), "/gc"))?;
        if status != 200 {
            return Err(format!("GET /gc: {status}"));
        }
        sleep(SETTLE);
    }
    server.resident_bytes()
}

/// An idle connection has nothing to read; a closed one has an end or an error.
fn is_open(stream: &Stream) -> bool {
    stream.set_nonblocking().is_ok()
        && matches!(stream.socket().peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// One in five on top: 2,000 for 10,000.
const FIRST_SHARE: usize = 5;

const SETTLE: Duration = Duration::from_millis(500);
