//! Chat, in the shape of Bun's own WebSocket benchmark: everybody is in one room; in a round every client sends its messages, the server
//! publishes each to all, prefixed with the sender's name; the next round begins when everybody has received everything.
//!
//! Counted are the messages that clients receive. A round's messages come in no fixed order, so each client's are checked by their number
//! and by a sum of fingerprints. The window begins and ends with a round, so that no half-done round tilts it.

use crate::Result;
use crate::connection::{Connection, READ_BUFFER};
use crate::frame::{masking_key, parse_server_frames, write_client_frame};
use crate::meter::{Meter, NAP, Watchdog};
use crate::options::Options;
use crate::poller::{Events, Poller};
use crate::process::Process;
use crate::report::Report;

pub(crate) fn run(options: &Options) -> Result<Report> {
    let (poller, mut events) = (Poller::new()?, Events::new());
    let mut guests = Guest::open_all(options, &poller)?;
    let (mut meter, mut watchdog) = (Meter::new(options, Process::new(options.pid)?), Watchdog::new());
    let (mut buffer, mut messages) = (vec![0; READ_BUFFER], 0);
    let round = Tally::of_a_round(options);
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
            still_receiving = guests.len();
        }
        poller.wait(&mut events, NAP)?;
        for index in events.iter() {
            let guest = &mut guests[index];
            let before = guest.tally.messages;
            guest.receive(&mut buffer)?;
            messages += guest.tally.messages - before;
            if guest.tally.messages >= round.messages && guest.tally.messages > before {
                guest.check(round)?;
                still_receiving -= 1;
            }
        }
        watchdog.check(messages)?;
    }
}

/// One client in the room.
struct Guest {
    connection: Connection,
    index: usize,
    burst_bytes: usize,
    tally: Tally,
    /// The front of a frame whose rest is still to come.
    unfinished: Vec<u8>,
}

/// What was received in a round, without its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    messages: u64,
    bytes: u64,
    fingerprints: u64,
}

impl Guest {
    fn open_all(options: &Options, poller: &Poller) -> Result<Vec<Self>> {
        (0..options.clients).map(|index| Self::open(options, poller, index)).collect()
    }

    fn open(options: &Options, poller: &Poller, index: usize) -> Result<Self> {
        let mut burst = Vec::new();
        for number in 0..options.burst {
            write_client_frame(
                &mut burst,
                said(number).as_bytes(),
                masking_key(index * options.burst + number),
            );
        }
        let path = format!("/chat?name={}", name(index));
        let connection = Connection::open(options.port, &path, &burst, poller, index)?;
        Ok(Self {
            connection,
            index,
            burst_bytes: burst.len(),
            tally: Tally::default(),
            unfinished: Vec::new(),
        })
    }

    fn start_round(&mut self) -> Result<()> {
        self.tally = Tally::default();
        self.connection.send(self.burst_bytes)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.connection.flush()?;
        loop {
            // The unfinished frame goes before what is read, so that frames are always parsed from one piece.
            let kept = self.unfinished.len();
            buffer[..kept].copy_from_slice(&self.unfinished);
            let length = kept + self.connection.read(&mut buffer[kept..])?;
            let consumed = parse_server_frames(&buffer[..length], |payload| self.tally.add(payload))?;
            self.unfinished.clear();
            self.unfinished.extend_from_slice(&buffer[consumed..length]);
            if length < buffer.len() {
                return Ok(());
            }
        }
    }

    fn check(&self, round: Tally) -> Result<()> {
        if self.tally == round && self.unfinished.is_empty() {
            return Ok(());
        }
        let Self { index, tally, unfinished, .. } = self;
        Err(format!("client {index} received {tally:?} and {} bytes instead of {round:?}", unfinished.len()))
    }
}

impl Tally {
    /// What every client must have received at the end of a round.
    fn of_a_round(options: &Options) -> Self {
        let mut tally = Self::default();
        for (client, number) in
            (0..options.clients).flat_map(|client| (0..options.burst).map(move |number| (client, number)))
        {
            tally.add(format!("{}: {}", name(client), said(number)).as_bytes());
        }
        tally
    }

    fn add(&mut self, payload: &[u8]) {
        self.messages += 1;
        self.bytes += payload.len() as u64;
        self.fingerprints = self.fingerprints.wrapping_add(fingerprint(payload));
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

    fn tally(messages: &[&str]) -> Tally {
        let mut tally = Tally::default();
        messages.iter().for_each(|message| tally.add(message.as_bytes()));
        tally
    }

    #[test]
    fn a_tally_ignores_order_and_notices_everything_else() {
        let round = tally(&["Agnes0: tea", "Boris0: tea", "Agnes0: see you"]);
        assert_eq!(round, tally(&["Agnes0: see you", "Boris0: tea", "Agnes0: tea"]));
        assert_ne!(round, tally(&["Agnes0: tea", "Agnes0: tea", "Agnes0: see you"]));
        assert_ne!(round, tally(&["Agnes0: tea", "Boris0: see you", "Agnes0: tea"]));
        assert_ne!(round, tally(&["Agnes0: tea", "Boris0: tea"]));
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::HashSet<_> = (0..1000).map(name).collect();
        assert_eq!(names.len(), 1000);
    }
}
