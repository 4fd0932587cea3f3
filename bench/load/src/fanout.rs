//! Fan-out: one client publishes, all others subscribe; the next message goes out when everybody has the last.
//!
//! Counted are the messages that subscribers receive. The window begins and ends with a message that all have, as a chat's with a round.

use std::rc::Rc;

use crate::Result;
use crate::connection::{Connection, READ_BUFFER};
use crate::echo::payload;
use crate::expected::Expected;
use crate::frame::{Kind, masking_key, write_client_frame, write_server_frame};
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
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    for number in 0..DIFFERENT_MESSAGES {
        let payload = payload(options.size, 0, number);
        write_client_frame(&mut said, Kind::Text, &payload, masking_key(number));
        write_server_frame(&mut heard, Kind::Text, &payload);
    }
    let (said_frame, heard_frame) = (said.len() / DIFFERENT_MESSAGES, heard.len() / DIFFERENT_MESSAGES);

    let heard: Rc<[u8]> = heard.into();
    let mut subscribers: Vec<_> = (0..options.clients)
        .map(|index| Subscriber::open(&connector, &poller, index, &heard))
        .collect::<Result<_>>()?;
    let stream = open_websocket(&connector, "/publish", Offer::Nothing)?;
    let mut publisher = Connection::new(stream, said, &poller, options.clients)?;

    let (mut meter, mut watchdog) = (Meter::new(options, Process::new(options.pid)?), Watchdog::new());
    let (mut buffer, mut messages) = (vec![0; READ_BUFFER], 0);
    let (mut round, mut still_receiving) = (0, 0);
    loop {
        if still_receiving == 0 {
            if let Some(measured) = meter.advance(messages)? {
                return Ok(Report::new(options).with_throughput(&measured));
            }
            publisher.send(said_frame)?;
            round += heard_frame as u64;
            still_receiving = subscribers.len();
        }
        poller.wait(&mut events, NAP)?;
        for index in events.iter() {
            let Some(subscriber) = subscribers.get_mut(index) else {
                publisher.flush()?;
                continue;
            };
            let had = subscriber.expected.received();
            subscriber.receive(&mut buffer)?;
            let has = subscriber.expected.received();
            if has > round {
                return Err(format!("subscriber {index} has {} bytes too many", has - round));
            }
            if has == round && has > had {
                still_receiving -= 1;
                messages += 1;
            }
        }
        watchdog.check(messages)?;
    }
}

struct Subscriber {
    connection: Connection,
    index: usize,
    expected: Expected,
}

impl Subscriber {
    fn open(connector: &Connector, poller: &Poller, index: usize, heard: &Rc<[u8]>) -> Result<Self> {
        let stream = open_websocket(connector, "/subscribe", Offer::Nothing)?;
        let connection = Connection::new(stream, Vec::new(), poller, index)?;
        Ok(Self { connection, index, expected: Expected::new(Rc::clone(heard)) })
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        let length = self.connection.read(buffer)?;
        let checked = self.expected.check(&buffer[..length]);
        checked.map_err(|error| format!("subscriber {}: not what was published: {error}", self.index))
    }
}

const DIFFERENT_MESSAGES: usize = 16;
