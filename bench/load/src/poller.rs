//! Edge-triggered epoll over numbered sockets: an event says that there may be something to read or room to write, and is not repeated.
//! It saves the kernel a second look at every socket per message.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

use crate::Result;

pub(crate) struct Poller {
    epoll: OwnedFd,
}

/// The room for what one wait brings, owned by the loop that waits.
pub(crate) struct Events(Vec<epoll::Event>);

impl Poller {
    pub(crate) fn new() -> Result<Self> {
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| format!("epoll_create1: {error}"))?;
        Ok(Self { epoll })
    }

    /// Watches `socket`; its events carry `index`.
    pub(crate) fn add(&self, socket: impl AsFd, index: usize) -> Result<()> {
        let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&self.epoll, socket, epoll::EventData::new_u64(index as u64), interest)
            .map_err(|error| format!("epoll_ctl: {error}"))
    }

    /// Waits at most `timeout` and replaces `events` by what happened, which is nothing if it passed.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Duration) -> Result<()> {
        let timeout = Timespec::try_from(timeout).map_err(|error| format!("timeout: {error}"))?;
        events.0.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events.0), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(format!("epoll_wait: {error}")),
        }
    }
}

impl Events {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(MAX_EVENTS))
    }

    /// The numbers of the sockets on which something happened.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|event| event.data.u64() as usize)
    }
}

/// Per call; every scenario has fewer busy sockets, and epoll keeps what is beyond it for the next call.
const MAX_EVENTS: usize = 512;
