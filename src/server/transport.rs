//! A connected stream socket: TCP or Unix, with or without TLS. It reads and waits with the runtime's readiness, and it can send at any
//! moment from the JavaScript thread without asking the runtime.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use socket2::{SockRef, Socket};
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::tls::Session;

/// See the module. Only one task waits on it at a time.
pub(crate) struct Transport {
    stream: RefCell<Stream>,
    tls: Option<Box<RefCell<Session>>>,
    peer: Option<SocketAddr>,
    /// There may be bytes that the runtime has been made to forget: nobody wanted them when it told of them.
    has_unread: Cell<bool>,
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Transport {
    pub(crate) fn tcp(stream: TcpStream, peer: SocketAddr) -> Self {
        Self::new(Stream::Tcp(stream), Some(plain_v4(peer)))
    }

    #[cfg(unix)]
    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self::new(Stream::Unix(stream), None)
    }

    fn new(stream: Stream, peer: Option<SocketAddr>) -> Self {
        Self { stream: RefCell::new(stream), tls: None, peer, has_unread: Cell::new(false) }
    }

    /// The same connection, on which everything from now on is TLS.
    pub(crate) fn secured(self, session: Session) -> Self {
        Self { tls: Some(Box::new(RefCell::new(session))), ..self }
    }

    /// The peer's address; an IPv4-mapped one as plain IPv4. `None` for Unix sockets.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Completes the TLS handshake; at once where there is none.
    pub(crate) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(tls) = &self.tls else { return Poll::Ready(Ok(())) };
        let tls = &mut tls.borrow_mut();
        loop {
            ready!(self.poll_flush(cx, tls))?;
            if !tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if tls.is_at_end() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            ready!(self.poll_receive(cx, tls, &mut ReadBuf::new(&mut [])))?;
        }
    }

    /// Reads what there is; `Ok(0)` is the end of the stream. A short read leaves the stream known as drained, so that
    /// the next call waits without a system call.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        match &self.tls {
            None => ready!(self.poll_read_stream(cx, buffer))?,
            Some(tls) => ready!(self.poll_read_tls(cx, &mut tls.borrow_mut(), buffer))?,
        }
        Poll::Ready(Ok(buffer.filled().len() - before))
    }

    fn poll_read_tls(
        &self,
        cx: &mut Context<'_>,
        tls: &mut Session,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // What TLS itself has to say does not wait for somebody to send, but reading does not wait for it.
        let _ = self.poll_flush(cx, tls)?;
        if tls.is_over() {
            return self.poll_discard(cx, buffer);
        }
        let before = buffer.filled().len();
        loop {
            tls.take_plaintext(buffer);
            if buffer.filled().len() > before || tls.is_at_end() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_receive(cx, tls, buffer))?;
        }
    }

    /// Reads for somebody who waits for nothing but the end of the stream.
    fn poll_discard(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.poll_read_stream(cx, buffer))?;
        if buffer.filled().len() == before {
            return Poll::Ready(Ok(()));
        }
        buffer.set_filled(before);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits until the peer has ended its side, and takes nothing out of the stream but what TLS needs to see. `Ready(Ok(false))` when there
    /// are bytes to read before that end, `Ready(Err)` when the connection is broken, whatever there is to read.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut has_plaintext = false;
        if let Some(tls) = &self.tls {
            let tls = &mut tls.borrow_mut();
            while !tls.has_plaintext() && !tls.is_at_end() {
                ready!(self.poll_receive(cx, tls, &mut ReadBuf::new(&mut [])))?;
            }
            has_plaintext = tls.has_plaintext();
            if !has_plaintext {
                return Poll::Ready(Ok(true));
            }
        }
        loop {
            ready!(self.stream.borrow().poll_read_ready(cx))?;
            if self.is_closed_by_peer() {
                break;
            }
            // Elsewhere the runtime would tell of the same bytes again, at once: there the end is not waited for.
            if !cfg!(unix) {
                return Poll::Pending;
            }
            self.has_unread.set(true);
            let _ = self
                .stream
                .borrow()
                .try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
        let stream = self.stream.borrow();
        if let Some(error) = stream.sock_ref().take_error()? {
            return Poll::Ready(Err(error));
        }
        let mut byte = [std::mem::MaybeUninit::uninit()];
        Poll::Ready(stream.sock_ref().peek(&mut byte).map(|count| count == 0 && !has_plaintext))
    }

    /// Whether there may be bytes of which nobody is told any more who waits for some: `poll_end` has come upon them.
    pub(crate) fn has_unread(&self) -> bool {
        self.has_unread.get()
            || !cfg!(unix)
            || self.tls.as_ref().is_some_and(|tls| tls.borrow().has_plaintext())
    }

    /// Waits until the kernel takes bytes again, then sends.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.stream.borrow().poll_write(cx, || self.send(slices))
    }

    /// Sends what the kernel takes now; `WouldBlock` when that is nothing. With TLS, bytes that were refused must come again, first
    /// and unchanged, until they are taken: some may be encrypted already. `forget_unsent` ends that.
    pub(crate) fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let stream = self.stream.borrow();
        match (&self.tls, slices) {
            (None, [one]) => stream.sock_ref().send(one),
            (None, many) => stream.sock_ref().send_vectored(many),
            (Some(tls), slices) => tls.borrow_mut().send(slices, |bytes| stream.sock_ref().send(bytes)),
        }
    }

    /// The descriptor that bytes can be sent to as they are: without TLS.
    #[cfg(target_os = "linux")]
    pub(crate) fn plain_descriptor(&self) -> Option<std::os::fd::RawFd> {
        use std::os::fd::AsRawFd;
        self.tls.is_none().then(|| self.stream.borrow().sock_ref().as_raw_fd())
    }

    /// What was refused so far will not come again.
    pub(crate) fn forget_unsent(&self) {
        if let Some(tls) = &self.tls {
            tls.borrow_mut().forget();
        }
    }

    /// Whether the peer has ended its side and nothing is left to read.
    pub(crate) fn is_at_end(&self) -> bool {
        let stream = self.stream.borrow();
        let Some(tls) = &self.tls else {
            let mut byte = [std::mem::MaybeUninit::uninit()];
            return matches!(stream.sock_ref().peek(&mut byte), Ok(0));
        };
        let tls = &mut tls.borrow_mut();
        if !tls.has_plaintext() && !tls.is_at_end() {
            // Errors are found again by whoever reads.
            let _ =
                tls.poll_receive(|buffer| read_now(&stream.sock_ref(), buffer), &mut ReadBuf::new(&mut []));
        }
        tls.is_at_end() && !tls.has_plaintext()
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

    /// Sends FIN behind everything sent so far, and TLS's own goodbye before it. That the peer is gone already is no news here.
    pub(crate) fn finish(&self) {
        match &self.tls {
            None => self.stream.borrow().shut_down(),
            Some(tls) => {
                let tls = &mut tls.borrow_mut();
                tls.finish();
                // What the kernel refuses now is flushed by whoever waits for the peer's FIN, or never.
                let _ = self.flush(tls);
            }
        }
    }

    /// Reads from the stream itself, first of all what the runtime has forgotten.
    fn poll_read_stream(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_unread.get() {
            let before = buffer.filled().len();
            let read = read_now(&self.stream.borrow().sock_ref(), buffer);
            self.has_unread.set(buffer.remaining() == 0 && buffer.filled().len() > before);
            if read.is_ready() {
                return read;
            }
        }
        self.stream.borrow_mut().poll_read(cx, buffer)
    }

    /// Reads and decrypts once. Plaintext that `out` has no room for stays in the session.
    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        tls: &mut Session,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let received = tls.poll_receive(|buffer| self.poll_read_stream(cx, buffer), out);
        let flushed = self.flush(tls);
        ready!(received)?;
        match flushed {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Sends the ciphertext that waits, if the kernel takes it, and FIN when that was all.
    fn flush(&self, tls: &mut Session) -> io::Result<()> {
        let stream = self.stream.borrow();
        tls.flush(|bytes| stream.sock_ref().send(bytes))?;
        if tls.is_finished() {
            stream.shut_down();
        }
        Ok(())
    }

    /// Waits until the kernel has all of the ciphertext that waits.
    fn poll_flush(&self, cx: &mut Context<'_>, tls: &mut Session) -> Poll<io::Result<()>> {
        if !tls.has_ciphertext() {
            return Poll::Ready(Ok(()));
        }
        self.stream.borrow().poll_write(cx, || self.flush(tls))
    }
}

impl Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Runs `write` whenever the kernel may take bytes, until it does not answer `WouldBlock`.
    fn poll_write<R>(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            ready!(match self {
                Self::Tcp(stream) => stream.poll_write_ready(cx),
                #[cfg(unix)]
                Self::Unix(stream) => stream.poll_write_ready(cx),
            })?;
            match self.try_io(Interest::WRITABLE, &mut write) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

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

    /// Sends FIN.
    fn shut_down(&self) {
        let _ = self.sock_ref().shutdown(std::net::Shutdown::Write);
    }
}

/// Reads without asking the runtime.
fn read_now(mut socket: &Socket, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    match socket.read(buffer.initialize_unfilled()) {
        Ok(count) => {
            buffer.advance(count);
            Poll::Ready(Ok(()))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
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
