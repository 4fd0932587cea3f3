//! HTTP: keep-alive connections, one request in flight on each, a small text as the answer.

use crate::Result;
use crate::connection::{Connection, READ_BUFFER};
use crate::meter::{Meter, NAP, Watchdog};
use crate::options::Options;
use crate::poller::{Events, Poller};
use crate::process::Process;
use crate::report::Report;

pub(crate) fn run(options: &Options) -> Result<Report> {
    let (poller, mut events) = (Poller::new()?, Events::new());
    let mut clients = Vec::with_capacity(options.clients);
    for index in 0..options.clients {
        clients.push(HttpClient::open(options, &poller, index)?);
    }
    let (mut meter, mut watchdog) = (Meter::new(options, Process::new(options.pid)?), Watchdog::new());
    let (mut buffer, mut responses) = (vec![0; READ_BUFFER], 0);

    for client in &mut clients {
        client.request()?;
    }
    loop {
        poller.wait(&mut events, NAP)?;
        for index in events.iter() {
            let client = &mut clients[index];
            if client.receive(&mut buffer)? {
                client.request()?;
                responses += 1;
            }
        }
        if let Some(measured) = meter.advance(responses)? {
            return Ok(Report::new(options).with_throughput(&measured));
        }
        watchdog.check(responses)?;
    }
}

struct HttpClient {
    connection: Connection,
    request_bytes: usize,
    /// The front of a response whose rest is still to come; empty nearly always.
    unfinished: Vec<u8>,
}

impl HttpClient {
    fn open(options: &Options, poller: &Poller, index: usize) -> Result<Self> {
        let request =
            format!("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAccept: */*\r\n\r\n", options.port);
        let connection = Connection::connect(options.port, request.as_bytes(), poller, index)?;
        Ok(Self { connection, request_bytes: request.len(), unfinished: Vec::new() })
    }

    fn request(&mut self) -> Result<()> {
        self.connection.send(self.request_bytes)
    }

    /// Reads what is there and returns whether the response is whole.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let length = self.connection.read(buffer)?;
        if self.unfinished.is_empty() && is_whole(&buffer[..length])? {
            return Ok(true);
        }
        self.unfinished.extend_from_slice(&buffer[..length]);
        let whole = is_whole(&self.unfinished)?;
        if whole {
            self.unfinished.clear();
        }
        Ok(whole)
    }
}

/// Whether these bytes are the whole response; one that is not the expected is an error.
fn is_whole(response: &[u8]) -> Result<bool> {
    let Some(head) = response.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let body = &response[head + 4..];
    if !response.starts_with(b"HTTP/1.1 200") || !HELLO.starts_with(body) {
        return Err(format!("not the expected response: {:?}", String::from_utf8_lossy(response)));
    }
    Ok(body.len() == HELLO.len())
}

/// What `bench/servers` answer, with a Content-Length.
const HELLO: &[u8] = b"Hello, world!";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_with_its_last_byte() {
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, world!";
        for length in 0..response.len() {
            assert_eq!(is_whole(&response[..length]), Ok(false), "{length}");
        }
        assert_eq!(is_whole(response), Ok(true));
        assert!(is_whole(b"HTTP/1.1 404 Not Found\r\n\r\n").is_err());
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\nHello, moon!").is_err());
    }
}
