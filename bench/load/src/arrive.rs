//! Arrival: many clients connect at the same moment, as after a restart, and the time is taken until every handshake is answered.
//!
//! Nothing waits for anything: all connections are begun before the first answer is looked for, so a server whose backlog is too short
//! makes the kernel drop some, and try again a second later. A message is a handshake here.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use crate::Result;
use crate::handshake::{Offer, check_upgrade, is_whole, open_websocket, upgrade_request};
use crate::meter::{Meter, NAP, Watchdog};
use crate::options::Options;
use crate::poller::{Events, Poller};
use crate::process::Process;
use crate::report::{Percentiles, Report};
use crate::stream::Connector;

pub(crate) fn run(options: &Options) -> Result<Report> {
    let connector = Connector::new(options)?;
    // The first connections pay for compiled code and grown heaps; they stay open and are not counted.
    let _first = (0..options.clients / FIRST_SHARE)
        .map(|_| open_websocket(&connector, "/", Offer::Nothing))
        .collect::<Result<Vec<_>>>()?;

    let (poller, mut events) = (Poller::new()?, Events::new());
    let request = upgrade_request(options.port, "/", Offer::Nothing);
    let mut watchdog = Watchdog::new();
    let meter = Meter::begin(Process::new(options.pid)?)?;
    let started = Instant::now();
    let mut arrivals = (0..options.clients)
        .map(|index| Arrival::begin(options.port, &poller, index))
        .collect::<Result<Vec<_>>>()?;
    let mut waits = Vec::with_capacity(arrivals.len());
    while waits.len() < arrivals.len() {
        poller.wait(&mut events, NAP)?;
        for index in events.iter() {
            if arrivals[index].go_on(&request).map_err(|error| format!("client {index}: {error}"))? {
                waits.push(started.elapsed());
            }
        }
        watchdog.check(waits.len() as u64)?;
    }
    let measured = meter.end(waits.len() as u64)?;
    Ok(Report::new(options).with_throughput(&measured).with_latency(&Percentiles::of(waits)))
}

/// A connection on its way to be a WebSocket.
struct Arrival {
    stream: TcpStream,
    state: State,
    head: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Asked,
    Open,
}

impl Arrival {
    fn begin(port: u16, poller: &Poller, index: usize) -> Result<Self> {
        let told = |error: rustix::io::Errno| format!("client {index}: {error}");
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket: OwnedFd =
            socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).map_err(told)?;
        match connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(told(error)),
        }
        poller.add(&socket, index)?;
        Ok(Self { stream: socket.into(), state: State::Connecting, head: Vec::new() })
    }

    /// Does what can be done; returns whether the WebSocket has just opened.
    fn go_on(&mut self, request: &[u8]) -> Result<bool> {
        if self.state == State::Connecting {
            match self.stream.write(request) {
                Ok(length) if length == request.len() => self.state = State::Asked,
                Ok(_) => return Err("no room for a request".into()),
                Err(error) if is_not_yet(&error) => return Ok(false),
                Err(error) => return Err(format!("connecting: {error}")),
            }
        }
        let mut buffer = [0; 512];
        while self.state == State::Asked {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the connection ended before a response".into()),
                Ok(length) => self.head.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(format!("response: {error}")),
            }
            if is_whole(&self.head) {
                check_upgrade(&self.head, Offer::Nothing)?;
                (self.state, self.head) = (State::Open, Vec::new());
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A socket that is still connecting takes nothing.
fn is_not_yet(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

/// One in five on top: 2,000 for 10,000.
const FIRST_SHARE: usize = 5;
