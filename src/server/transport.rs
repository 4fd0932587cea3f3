//! A connected stream socket: TCP or Unix. It reads and waits with the runtime's readiness, and it can send at any
//! moment from the JavaScript thread without asking the runtime.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// See the module. Only one task waits on it at a time.
pub(crate) struct Transport {
    stream: RefCell<Stream>,
    peer: Option<SocketAddr>,
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Transport {
    pub(crate) fn tcp(stream: TcpStream, peer: SocketAddr) -> Self {
        Self { stream: RefCell::new(Stream::Tcp(stream)), peer: Some(plain_v4(peer)) }
    }

    #[cfg(unix)]
    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self { stream: RefCell::new(Stream::Unix(stream)), peer: None }
    }

    /// The peer's address; an IPv4-mapped one as plain IPv4. `None` for Unix sockets.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Reads what there is; `Ok(0)` is the end of the stream. A short read leaves the stream known as drained, so that
    /// the next call waits without a system call.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        ready!(match &mut *self.stream.borrow_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(unix)]
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len() - before))
    }

    /// Looks whether the peer has ended its side without taking anything out of the stream: `Ready(Ok(false))` when it
    /// has, `Ready(Ok(true))` when there are bytes to read first, `Ready(Err)` when the connection is broken.
    pub(crate) fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let stream = self.stream.borrow();
            ready!(match &*stream {
                Stream::Tcp(stream) => stream.poll_read_ready(cx),
                #[cfg(unix)]
                Stream::Unix(stream) => stream.poll_read_ready(cx),
            })?;
            let mut byte = [std::mem::MaybeUninit::uninit()];
            let peeked = stream.try_io(Interest::READABLE, || stream.sock_ref().peek(&mut byte));
            match peeked {
                Ok(count) => return Poll::Ready(Ok(count > 0)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Waits until the kernel takes bytes again, then sends.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let stream = self.stream.borrow();
            ready!(match &*stream {
                Stream::Tcp(stream) => stream.poll_write_ready(cx),
                #[cfg(unix)]
                Stream::Unix(stream) => stream.poll_write_ready(cx),
            })?;
            match stream.try_io(Interest::WRITABLE, || stream.sock_ref().send_vectored(slices)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Sends what the kernel takes now; `WouldBlock` when that is nothing.
    pub(crate) fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let stream = self.stream.borrow();
        match slices {
            [one] => stream.sock_ref().send(one),
            many => stream.sock_ref().send_vectored(many),
        }
    }

    /// Whether the peer has ended its side and nothing is left to read.
    pub(crate) fn is_at_end(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        matches!(self.stream.borrow().sock_ref().peek(&mut byte), Ok(0))
    }

    /// Whether the peer's FIN or RST is known to have come, also behind bytes that have not been read.
    pub(crate) fn is_closed_by_peer(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let ready = match &*self.stream.borrow() {
            Stream::Tcp(stream) => pin!(stream.ready(Interest::READABLE)).poll(&mut cx),
            #[cfg(unix)]
            Stream::Unix(stream) => pin!(stream.ready(Interest::READABLE)).poll(&mut cx),
        };
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }

    /// Ends the connection with RST.
    pub(crate) fn reset(&self) {
        // The kernel sends RST when a socket that must not linger is closed. Where that cannot be asked for it is closed all the same.
        let _ = self.stream.borrow().sock_ref().set_linger(Some(std::time::Duration::ZERO));
    }

    /// Sends FIN behind everything sent so far. That the peer is gone already is no news here.
    pub(crate) fn finish(&self) {
        let _ = self.stream.borrow().sock_ref().shutdown(std::net::Shutdown::Write);
    }
}

impl Stream {
    fn sock_ref(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream),
        }
    }

    fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, io),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_io(interest, io),
        }
    }
}

fn plain_v4(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), address.port()),
            None => address,
        },
        IpAddr::V4(_) => address,
    }
}
