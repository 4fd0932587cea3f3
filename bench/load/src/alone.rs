//! One client, one message at a time: how long each takes there and back when nothing else is going on.

use std::time::Instant;

use crate::Result;
use crate::connection::READ_BUFFER;
use crate::echo::EchoClient;
use crate::meter::{Meter, NAP, Watchdog};
use crate::options::Options;
use crate::poller::{Events, Poller};
use crate::process::Process;
use crate::report::{Percentiles, Report};

pub(crate) fn run(options: &Options) -> Result<Report> {
    let (poller, mut events) = (Poller::new()?, Events::new());
    let options = Options { clients: 1, ..options.clone() };
    let mut clients = EchoClient::open_all(&options, &poller)?;
    let client = &mut clients[0];
    let (mut meter, mut watchdog) = (Meter::new(&options, Process::new(options.pid)?), Watchdog::new());
    let (mut buffer, mut latencies, mut messages) = (vec![0; READ_BUFFER], Vec::new(), 0);

    loop {
        let sent = Instant::now();
        client.send(1)?;
        loop {
            poller.wait(&mut events, NAP)?;
            client.send(0)?;
            if client.receive(&mut buffer)? > 0 {
                break;
            }
            watchdog.check(messages)?;
        }
        messages += 1;
        if meter.is_measuring() {
            latencies.push(sent.elapsed());
        }
        if let Some(measured) = meter.advance(messages)? {
            let report = Report::new(&options).with_throughput(&measured);
            return Ok(report.with_latency(&Percentiles::of(latencies)));
        }
    }
}
