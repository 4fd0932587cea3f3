//! Compressed echo: JSON that goes through permessage-deflate (RFC 7692) both ways, every message by itself.
//!
//! The clients' frames are compressed before the run. Of each message the first reply is inflated and compared; a later one that is the
//! same to the byte says the same, and one that is not is inflated in its turn. So all replies are checked, and hardly any inflated.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::Result;
use crate::connection::{Connection, READ_BUFFER};
use crate::frame::{FrameReader, Kind, masking_key, write_client_frame};
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
    let mut clients: Vec<_> = (0..options.clients)
        .map(|index| CompressedClient::open(options, &connector, &poller, index))
        .collect::<Result<_>>()?;
    let (mut meter, mut watchdog) = (Meter::new(options, Process::new(options.pid)?), Watchdog::new());
    let (mut buffer, mut messages, mut reply_bytes) = (vec![0; READ_BUFFER], 0, 0);

    for client in &mut clients {
        client.send(options.inflight)?;
    }
    loop {
        poller.wait(&mut events, NAP)?;
        for index in events.iter() {
            let client = &mut clients[index];
            let (echoed, bytes) = client.receive(&mut buffer)?;
            client.send(echoed)?;
            messages += echoed as u64;
            reply_bytes += bytes as u64;
        }
        if let Some(measured) = meter.advance(messages)? {
            let report = Report::new(options).with_throughput(&measured);
            return Ok(report.with_compression(reply_bytes as f64 / messages.max(1) as f64));
        }
        watchdog.check(messages)?;
    }
}

struct CompressedClient {
    connection: Connection,
    index: usize,
    reader: FrameReader,
    exchanges: Vec<Exchange>,
    sent: usize,
    echoed: usize,
}

struct Exchange {
    text: Vec<u8>,
    frame_bytes: usize,
    /// What the server compressed `text` to last time.
    reply: Vec<u8>,
}

impl CompressedClient {
    fn open(options: &Options, connector: &Connector, poller: &Poller, index: usize) -> Result<Self> {
        let mut script = Vec::new();
        let exchanges = (0..DIFFERENT_MESSAGES).map(|number| {
            let text = document(options.size, index * DIFFERENT_MESSAGES + number);
            let before = script.len();
            write_client_frame(&mut script, Kind::DeflatedText, &deflate(&text), masking_key(number));
            Exchange { text, frame_bytes: script.len() - before, reply: Vec::new() }
        });
        let exchanges = exchanges.collect();
        let stream = open_websocket(connector, "/", Offer::Deflate)?;
        let connection = Connection::new(stream, script, poller, index)?;
        let reader = FrameReader::new(Kind::DeflatedText);
        Ok(Self { connection, index, reader, exchanges, sent: 0, echoed: 0 })
    }

    fn send(&mut self, messages: usize) -> Result<()> {
        let mut bytes = 0;
        for _ in 0..messages {
            bytes += self.exchanges[self.sent % DIFFERENT_MESSAGES].frame_bytes;
            self.sent += 1;
        }
        self.connection.send(bytes)
    }

    /// Reads what is there, checks it, and returns how many messages became complete, and their bytes.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, usize)> {
        let Self { connection, index, reader, exchanges, echoed, .. } = self;
        let (before, mut bytes) = (*echoed, 0);
        let read = |buffer: &mut [u8]| connection.read(buffer);
        reader.read_all(buffer, read, |reply| {
            exchanges[*echoed % DIFFERENT_MESSAGES]
                .check(reply)
                .map_err(|error| format!("client {index}: {error}"))?;
            *echoed += 1;
            bytes += reply.len();
            Ok(())
        })?;
        Ok((*echoed - before, bytes))
    }
}

impl Exchange {
    fn check(&mut self, reply: &[u8]) -> Result<()> {
        if reply == self.reply {
            return Ok(());
        }
        let text = inflate(reply, self.text.len())?;
        if text != self.text {
            let [text, wanted] = [&text, &self.text].map(|text| String::from_utf8_lossy(text));
            return Err(format!("not what was sent: {text} instead of {wanted}"));
        }
        self.reply = reply.into();
        Ok(())
    }
}

/// A JSON document of about `size` bytes, as servers send them: the same members over and over, values that differ.
fn document(size: usize, number: usize) -> Vec<u8> {
    let mut random = number as u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut text = format!("{{\"sequence\":{number},\"trades\":[");
    while text.len() < size {
        let (symbol, side) =
            (SYMBOLS[next(SYMBOLS.len() as u64) as usize], ["buy", "sell"][next(2) as usize]);
        let (id, price, cents, amount) = (next(1 << 30), next(500), next(100), next(10_000));
        text += &format!(
            "{{\"id\":{id},\"symbol\":\"{symbol}\",\"side\":\"{side}\",\"price\":{price}.{cents:02},\"amount\":{amount}}},"
        );
    }
    text.pop();
    text += "]}";
    text.into()
}

/// RFC 7692 §7.2.1: a block flushed, without the four bytes of its end.
fn deflate(text: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(text.len() + 64);
    Compress::new(Compression::default(), false)
        .compress_vec(text, &mut compressed, FlushCompress::Sync)
        .expect("a new stream takes anything");
    compressed.truncate(compressed.len() - TAIL.len());
    compressed
}

/// RFC 7692 §7.2.2. The result may be one byte longer than `expected`, so that too long a message shows.
fn inflate(compressed: &[u8], expected: usize) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(expected + 1);
    let input = [compressed, &TAIL].concat();
    let inflated = Decompress::new(false).decompress_vec(&input, &mut text, FlushDecompress::Sync);
    inflated.map_err(|error| format!("a reply that is not compressed: {error}"))?;
    Ok(text)
}

const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
const DIFFERENT_MESSAGES: usize = 16;
const SYMBOLS: [&str; 6] = ["ACME", "BUNS", "DOUGH", "FLOUR", "STEAM", "YEAST"];

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(text: &[u8]) -> Exchange {
        Exchange { text: text.into(), frame_bytes: 0, reply: Vec::new() }
    }

    #[test]
    fn documents_are_json_of_about_the_size_and_differ() {
        for number in 0..200 {
            let text = String::from_utf8(document(1024, number)).unwrap();
            assert!((1024..1200).contains(&text.len()), "{}", text.len());
            assert!(
                text.starts_with(&format!("{{\"sequence\":{number},\"trades\":[{{\"id\":"))
                    && text.ends_with("}]}")
            );
            assert!((300..650).contains(&deflate(text.as_bytes()).len()));
        }
    }

    #[test]
    fn a_reply_is_good_if_it_inflates_to_what_was_sent_however_it_is_compressed() {
        let text = document(1024, 7);
        let mut exchange = exchange(&text);
        // RFC 7692 §7.2.3.3: a block without compression is a way to send it, too.
        let stored = [
            &[0x00, text.len() as u8, (text.len() >> 8) as u8, !text.len() as u8, (!text.len() >> 8) as u8],
            &text[..],
            &[0],
        ]
        .concat();
        for reply in [deflate(&text), stored.clone(), stored, deflate(&text)] {
            exchange.check(&reply).unwrap();
            assert_eq!(exchange.reply, reply);
        }
    }

    #[test]
    fn a_reply_that_says_something_else_is_found_out() {
        let text = document(1024, 7);
        for (reply, complaint) in [
            (deflate(&document(1024, 8)), "not what was sent"),
            (deflate(&text[1..]), "not what was sent"),
            (deflate(&[&text[..], b"!"].concat()), "not what was sent"),
            (text.clone(), "not compressed"),
        ] {
            let error = exchange(&text).check(&reply).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }
}
