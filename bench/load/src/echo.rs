//! Echo: every client keeps a number of messages in flight; each comes back to the byte.

use crate::Result;
use crate::connection::{Connection, READ_BUFFER};
use crate::expected::Expected;
use crate::frame::{masking_key, write_client_frame, write_server_frame};
use crate::handshake::{Offer, open_websocket};
use crate::meter::{Meter, NAP, Watchdog};
use crate::options::Options;
use crate::poller::{Events, Poller};
use crate::process::Process;
use crate::report::Report;
use crate::stream::Connector;

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

/// A client that knows every byte it will receive.
pub(crate) struct EchoClient {
    connection: Connection,
    index: usize,
    /// The server's frames, in order.
    expected: Expected,
    sent_frame: usize,
    echoed_frame: usize,
}

impl EchoClient {
    pub(crate) fn open_all(options: &Options, poller: &Poller) -> Result<Vec<Self>> {
        let connector = Connector::new(options)?;
        (0..options.clients).map(|index| Self::open(options, &connector, poller, index)).collect()
    }

    fn open(options: &Options, connector: &Connector, poller: &Poller, index: usize) -> Result<Self> {
        let different = different_messages(options.size, options.inflight);
        let (mut script, mut expected) = (Vec::new(), Vec::new());
        for number in 0..different {
            let payload = payload(options.size, index, number);
            write_client_frame(&mut script, options.kind, &payload, masking_key(index * different + number));
            write_server_frame(&mut expected, options.kind, &payload);
        }
        let (sent_frame, echoed_frame) = (script.len() / different, expected.len() / different);
        let stream = open_websocket(connector, "/", Offer::Nothing)?;
        let connection = Connection::new(stream, script, poller, index)?;
        Ok(Self { connection, index, expected: Expected::new(expected), sent_frame, echoed_frame })
    }

    /// Sends the next `messages` and whatever had no room before.
    pub(crate) fn send(&mut self, messages: usize) -> Result<()> {
        self.connection.send(messages * self.sent_frame)
    }

    /// Reads what is there, checks it, and returns how many messages became complete.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let before = self.echoed();
        loop {
            let length = self.connection.read(buffer)?;
            let checked = self.expected.check(&buffer[..length]);
            checked.map_err(|error| format!("client {}: not what was sent: {error}", self.index))?;
            if length < buffer.len() {
                return Ok((self.echoed() - before) as usize);
            }
        }
    }

    fn echoed(&self) -> u64 {
        self.expected.received() / self.echoed_frame as u64
    }
}

/// A message of exactly `size` bytes that no other client sends, and this client not again soon.
pub(crate) fn payload(size: usize, client: usize, number: usize) -> Vec<u8> {
    let alphabet = ('a'..='z').cycle();
    format!("{number:03} of {client:04} ").chars().chain(alphabet).take(size).map(|char| char as u8).collect()
}

/// Enough that a lost, repeated or swapped message shows, few enough that all clients' stay in the cache.
fn different_messages(size: usize, inflight: usize) -> usize {
    (128 * 1024 / size).clamp(2, inflight.max(16))
}

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

    #[test]
    fn there_are_always_different_messages_and_more_than_are_in_flight_if_they_are_small() {
        let different = |size| different_messages(size, 1);
        assert_eq!([1, 20, 16_384, 65_536, 1 << 24].map(different), [16, 16, 8, 2, 2]);
        assert_eq!(different_messages(20, 128), 128);
    }
}
