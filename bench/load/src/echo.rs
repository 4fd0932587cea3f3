//! Echo: every client keeps a number of messages in flight; each comes back to the byte.

use crate::Result;
use crate::connection::{Connection, READ_BUFFER};
use crate::frame::{hex, masking_key, write_client_frame, write_server_frame};
use crate::meter::{Meter, NAP, Watchdog};
use crate::options::Options;
use crate::poller::{Events, Poller};
use crate::process::Process;
use crate::report::Report;

pub(crate) fn run(options: &Options) -> Result<Report> {
    let (poller, mut events) = (Poller::new()?, Events::new());
    let mut clients = EchoClient::open_all(options, &poller)?;
    let (mut meter, mut watchdog) = (Meter::new(options, Process::new(options.pid)?), Watchdog::new());
    let (mut buffer, mut messages) = (vec![0; READ_BUFFER], 0);

    for client in &mut clients {
        client.send(options.inflight)?;
    }
    loop {
        poller.wait(&mut events, NAP)?;
        for index in events.iter() {
            let client = &mut clients[index];
            let echoed = client.receive(&mut buffer)?;
            client.send(echoed)?;
            messages += echoed as u64;
        }
        if let Some(measured) = meter.advance(messages)? {
            return Ok(Report::new(options).with_throughput(&measured));
        }
        watchdog.check(messages)?;
    }
}

/// A client that knows every byte it will receive, so that checking an echo is one comparison.
pub(crate) struct EchoClient {
    connection: Connection,
    index: usize,
    /// The server's frames in order, over and over; stored twice so that every stretch of up to one period is contiguous.
    expected: Vec<u8>,
    received: u64,
    sent_frame: usize,
    echoed_frame: usize,
}

impl EchoClient {
    pub(crate) fn open_all(options: &Options, poller: &Poller) -> Result<Vec<Self>> {
        (0..options.clients).map(|index| Self::open(options, poller, index)).collect()
    }

    fn open(options: &Options, poller: &Poller, index: usize) -> Result<Self> {
        let different = options.inflight.max(DIFFERENT_MESSAGES);
        let (mut script, mut expected) = (Vec::new(), Vec::new());
        for number in 0..different {
            let payload = payload(options.size, index, number);
            write_client_frame(&mut script, &payload, masking_key(index * different + number));
            write_server_frame(&mut expected, &payload);
        }
        let connection = Connection::open(options.port, "/", &script, poller, index)?;
        let (sent_frame, echoed_frame) = (script.len() / different, expected.len() / different);
        Ok(Self { connection, index, expected: expected.repeat(2), received: 0, sent_frame, echoed_frame })
    }

    /// Sends the next `messages` and whatever had no room before.
    pub(crate) fn send(&mut self, messages: usize) -> Result<()> {
        self.connection.send(messages * self.sent_frame)
    }

    /// Reads what is there, checks it, and returns how many messages became complete.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let before = self.received / self.echoed_frame as u64;
        loop {
            let length = self.connection.read(buffer)?;
            self.check(&buffer[..length])?;
            if length < buffer.len() {
                return Ok((self.received / self.echoed_frame as u64 - before) as usize);
            }
        }
    }

    fn check(&mut self, mut bytes: &[u8]) -> Result<()> {
        let period = self.expected.len() / 2;
        while !bytes.is_empty() {
            let start = (self.received % period as u64) as usize;
            let (now, later) = bytes.split_at(bytes.len().min(period));
            let expected = &self.expected[start..start + now.len()];
            if now != expected {
                let Self { index, received, .. } = self;
                let (got, wanted) = (hex(now), hex(expected));
                return Err(format!(
                    "client {index}, byte {received}: not what was sent: {got}instead of {wanted}"
                ));
            }
            self.received += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }
}

/// A message of exactly `size` bytes that no other client sends, and this client not again soon.
fn payload(size: usize, client: usize, number: usize) -> Vec<u8> {
    let alphabet = ('a'..='z').cycle();
    format!("{number:03} of {client:04} ").chars().chain(alphabet).take(size).map(|char| char as u8).collect()
}

/// Enough that a lost, repeated or swapped message shows, few enough that all clients' stay in the cache.
const DIFFERENT_MESSAGES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_the_size_and_differ() {
        assert_eq!(payload(20, 5, 7), b"007 of 0005 abcdefgh");
        assert_eq!(payload(3, 5, 7).len(), 3);
        assert_ne!(payload(20, 5, 7), payload(20, 5, 8));
        assert_ne!(payload(20, 5, 7), payload(20, 6, 7));
    }
}
