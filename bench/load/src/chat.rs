//! Chat, in the shape of Bun's own WebSocket benchmark: everybody is in one room; in a round every client sends its messages, the server
//! publishes each to all, prefixed with the sender's name; the next round begins when everybody has received everything.
//!
//! Counted are the messages that clients receive. The first client checks each of its messages to the byte, and that those of one sender
//! come in the order in which they were sent; the others must have received the same sequence, which they compare by a running
//! fingerprint. The window begins and ends with a round, so that no half-done round tilts it.

use std::collections::HashMap;

use crate::Result;
use crate::connection::{Connection, READ_BUFFER};
use crate::frame::{FrameReader, Kind, hex, masking_key, write_client_frame};
use crate::handshake::{Offer, open_websocket};
use crate::meter::{Meter, NAP, Watchdog};
use crate::options::Options;
use crate::poller::{Events, Poller};
use crate::process::Process;
use crate::report::Report;
use crate::stream::Connector;

pub(crate) fn run(options: &Options) -> Result<Report> {
    let (poller, mut events) = (Poller::new()?, Events::new());
    let connector = Connector::new(options)?;
    let mut guests: Vec<_> = (0..options.clients)
        .map(|index| Guest::open(options, &connector, &poller, index))
        .collect::<Result<_>>()?;
    let (mut meter, mut watchdog) = (Meter::new(options, Process::new(options.pid)?), Watchdog::new());
    let (mut buffer, mut messages) = (vec![0; READ_BUFFER], 0);
    let mut minutes = Minutes::new(options.clients);
    let of_a_round = options.clients * options.burst;
    let mut still_receiving = 0;

    loop {
        if (still_receiving == 0 || meter.is_overdue())
            && let Some(measured) = meter.advance(messages)?
        {
            return Ok(Report::new(options).with_throughput(&measured));
        }
        if still_receiving == 0 {
            for guest in &mut guests {
                guest.start_round()?;
            }
            minutes.clear();
            still_receiving = guests.len();
        }
        poller.wait(&mut events, NAP)?;
        for index in events.iter() {
            let guest = &mut guests[index];
            let before = guest.heard.messages;
            guest.receive(&mut buffer, (index == 0).then_some(&mut minutes))?;
            messages += (guest.heard.messages - before) as u64;
            if guest.heard.messages > of_a_round {
                return Err(format!(
                    "client {index} received {} messages too many",
                    guest.heard.messages - of_a_round
                ));
            }
            if guest.heard.messages == of_a_round && before < of_a_round {
                still_receiving -= 1;
            }
        }
        if still_receiving == 0 {
            check(&guests)?;
        }
        watchdog.check(messages)?;
    }
}

/// At the end of a round: everybody has received the same.
fn check(guests: &[Guest]) -> Result<()> {
    let is_right = |guest: &Guest| guest.heard == guests[0].heard && guest.reader.is_at_end();
    match guests.iter().position(|guest| !is_right(guest)) {
        None => Ok(()),
        Some(index) => {
            Err(format!("client {index} did not receive the same messages in the same order as client 0"))
        }
    }
}

/// One client in the room.
struct Guest {
    connection: Connection,
    index: usize,
    burst_bytes: usize,
    heard: Heard,
    reader: FrameReader,
}

impl Guest {
    fn open(options: &Options, connector: &Connector, poller: &Poller, index: usize) -> Result<Self> {
        let mut burst = Vec::new();
        for number in 0..options.burst {
            let key = masking_key(index * options.burst + number);
            write_client_frame(&mut burst, Kind::Text, said(number).as_bytes(), key);
        }
        let burst_bytes = burst.len();
        let stream = open_websocket(connector, &format!("/chat?name={}", name(index)), Offer::Nothing)?;
        let connection = Connection::new(stream, burst, poller, index)?;
        let (heard, reader) = (Heard::default(), FrameReader::new(Kind::Text));
        Ok(Self { connection, index, burst_bytes, heard, reader })
    }

    fn start_round(&mut self) -> Result<()> {
        self.heard = Heard::default();
        self.connection.send(self.burst_bytes)
    }

    /// Reads what is there; with `minutes`, in which it is written down, all of it is checked.
    fn receive(&mut self, buffer: &mut [u8], mut minutes: Option<&mut Minutes>) -> Result<()> {
        let Self { connection, index, heard, reader, .. } = self;
        connection.flush()?;
        let read = |buffer: &mut [u8]| connection.read(buffer);
        let each = |message: &[u8]| {
            heard.add(message);
            minutes.as_mut().map_or(Ok(()), |minutes| minutes.add(message))
        };
        reader.read_all(buffer, read, each).map_err(|error| format!("client {index}: {error}"))
    }
}

/// What a client received in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Heard {
    messages: usize,
    sequence: u64,
}

impl Heard {
    fn add(&mut self, message: &[u8]) {
        self.messages += 1;
        self.sequence =
            (self.sequence.rotate_left(5) ^ fingerprint(message)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// How often each client has been heard in a round.
struct Minutes(HashMap<Vec<u8>, usize>);

impl Minutes {
    fn new(clients: usize) -> Self {
        Self((0..clients).map(|client| (name(client).into_bytes(), 0)).collect())
    }

    fn clear(&mut self) {
        self.0.values_mut().for_each(|heard| *heard = 0);
    }

    /// A message must be what its sender said next.
    fn add(&mut self, message: &[u8]) -> Result<()> {
        let unexpected = || format!("not what was said next: {}", hex(message));
        let colon = message.iter().position(|byte| *byte == b':').ok_or_else(unexpected)?;
        let heard = self.0.get_mut(&message[..colon]).ok_or_else(unexpected)?;
        if message[colon + 1..].strip_prefix(b" ") != Some(said(*heard).as_bytes()) {
            return Err(unexpected());
        }
        *heard += 1;
        Ok(())
    }
}

/// Of the first and last eight bytes (which overlap in a short message): all of what differs between two messages here.
fn fingerprint(payload: &[u8]) -> u64 {
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let (first, last) = (word(payload.first_chunk()), word(payload.last_chunk()));
    let mixed = (first ^ payload.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ last.rotate_left(23);
    mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

fn name(client: usize) -> String {
    format!("{}{}", NAMES[client % NAMES.len()], client / NAMES.len())
}

fn said(number: usize) -> &'static str {
    PHRASES[number % PHRASES.len()]
}

const NAMES: [&str; 8] = ["Agnes", "Boris", "Chen", "Dara", "Emil", "Farah", "Goran", "Hana"];

/// 3 to 28 bytes, 13 on average, as in Bun's benchmark.
const PHRASES: [&str; 16] = [
    "hello, everybody",
    "hello again",
    "is anyone here?",
    "so what shall we eat today?",
    "tea",
    "noodles",
    "dumplings",
    "a steamed bun",
    "where is the nearest kitchen",
    "soup",
    "rice",
    "I was here first",
    "and I second",
    "who ate the last one?",
    "not me",
    "see you",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(messages: &[&str]) -> Heard {
        let mut heard = Heard::default();
        messages.iter().for_each(|message| heard.add(message.as_bytes()));
        heard
    }

    #[test]
    fn two_clients_have_heard_the_same_if_it_was_the_same_sequence() {
        let first = heard(&["Agnes0: tea", "Boris0: tea", "Agnes0: see you"]);
        assert_eq!(first, heard(&["Agnes0: tea", "Boris0: tea", "Agnes0: see you"]));
        for other in [
            &["Agnes0: see you", "Boris0: tea", "Agnes0: tea"][..],
            &["Agnes0: tea", "Agnes0: tea", "Agnes0: see you"],
            &["Agnes0: tea", "Boris0: see you", "Agnes0: tea"],
            &["Agnes0: tea", "Boris0: tea"],
        ] {
            assert_ne!(first, heard(other));
        }
    }

    #[test]
    fn of_each_sender_the_messages_must_come_in_order_and_none_may_be_missing() {
        let (hello, again) = (said(0), said(1));
        let kept = |lines: &[String]| {
            let mut minutes = Minutes::new(2);
            lines.iter().try_for_each(|line| minutes.add(line.as_bytes()))
        };
        let line = |client, text: &str| format!("{}: {text}", name(client));
        assert_eq!(kept(&[line(0, hello), line(1, hello), line(1, again), line(0, again)]), Ok(()));
        for lines in [
            vec![line(0, again)],
            vec![line(0, hello), line(0, hello)],
            vec![line(2, hello)],
            vec![hello.to_owned()],
            vec![format!("{} {hello}", name(0))],
        ] {
            assert!(kept(&lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::HashSet<_> = (0..1000).map(name).collect();
        assert_eq!(names.len(), 1000);
    }
}
