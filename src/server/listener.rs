//! Accepting connections. The bind is synchronous, so that `serve()` knows its port and throws what the system says.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

#[cfg(not(target_os = "linux"))]
use socket2::SockRef;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use super::alarm::Alarm;
use super::config::Listen;
use super::engine::Engine;
use super::instance::Server;
use super::transport::Transport;
use crate::http::connection as http;

/// A bound socket that accepts until it is dropped.
pub(crate) struct Listener {
    shared: Rc<Shared>,
    /// A Unix socket's file, removed at the end.
    #[cfg(unix)]
    path: Option<std::path::PathBuf>,
}

/// What a listener shares with the task that accepts for it.
struct Shared {
    /// Gone when the listener is: its port is free again at once.
    acceptor: RefCell<Option<Acceptor>>,
    waker: RefCell<Option<Waker>>,
}

enum Acceptor {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// Connections the kernel holds for us before they are accepted (Linux caps it at net.core.somaxconn).
const BACKLOG: i32 = 4096;
/// Connections accepted before other tasks get their turn.
const ACCEPTS_PER_POLL: usize = 64;
/// How long accepting rests when the process is out of descriptors, in milliseconds.
const REST: u64 = 100;

impl Listener {
    /// Binds to what `listen` says. Also returns the address, of TCP.
    pub(crate) fn bind(engine: &Engine, listen: &Listen) -> io::Result<(Self, Option<SocketAddr>)> {
        let _runtime = engine.runtime().enter();
        match listen {
            Listen::Tcp { hostname, port, reuse_port, ipv6_only } => {
                let socket = bind_tcp(hostname.as_deref(), *port, *reuse_port, *ipv6_only)?;
                let socket = TcpListener::from_std(socket.into())?;
                let address = socket.local_addr()?;
                Ok((Self::new(Acceptor::Tcp(socket), None), Some(address)))
            }
            #[cfg(unix)]
            Listen::Unix(path) => {
                use std::os::unix::ffi::OsStrExt;

                let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.bind(&SockAddr::unix(path)?)?;
                socket.set_nonblocking(true)?;
                socket.listen(BACKLOG)?;
                let is_abstract = path.as_os_str().as_bytes().first() == Some(&0);
                let file = (!is_abstract).then(|| path.to_owned());
                let socket = UnixListener::from_std(socket.into())?;
                Ok((Self::new(Acceptor::Unix(socket), file), None))
            }
        }
    }

    #[cfg_attr(not(unix), expect(unused_variables, reason = "only Unix sockets have a file"))]
    fn new(acceptor: Acceptor, path: Option<std::path::PathBuf>) -> Self {
        Self {
            shared: Rc::new(Shared { acceptor: RefCell::new(Some(acceptor)), waker: RefCell::default() }),
            #[cfg(unix)]
            path,
        }
    }

    /// Begins to accept for `server`.
    pub(crate) fn start(&self, server: &Rc<Server>) {
        server.engine.spawn(accept(Rc::clone(&self.shared), Rc::clone(server)));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.acceptor.take();
        if let Some(task) = self.shared.waker.take() {
            task.wake();
        }
        #[cfg(unix)]
        if let Some(path) = &self.path {
            // Someone may have removed it already.
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn accept(shared: Rc<Shared>, server: Rc<Server>) {
    let mut rest = None;
    poll_fn(|cx| {
        let mut acceptor = shared.acceptor.borrow_mut();
        let Some(acceptor) = &mut *acceptor else { return Poll::Ready(()) };
        *shared.waker.borrow_mut() = Some(cx.waker().clone());
        if rest.as_ref().is_some_and(|rest: &Alarm| !rest.has_rung()) {
            return Poll::Pending;
        }
        rest = None;
        for _ in 0..ACCEPTS_PER_POLL {
            match ready!(acceptor.poll_accept(cx)) {
                Ok(transport) => http::start(&server, server.secure(transport)),
                Err(error) if is_of_the_peer(&error) => {}
                // Out of descriptors or memory: the connection stays in the kernel's queue until there is room.
                Err(_) => {
                    rest = Some(Alarm::set(&server.engine, REST, cx.waker()));
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Acceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Transport>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(cx))?;
                // Elsewhere what is accepted does not have it of the listener. A connection that is gone by now is found out by reading.
                #[cfg(not(target_os = "linux"))]
                let _ = SockRef::from(&stream).set_tcp_nodelay(true);
                Poll::Ready(Ok(Transport::tcp(stream, peer)))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok(Transport::unix(stream)))
            }
        }
    }
}

/// Errors of accept(2) that say something about one connection only.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied | TimedOut)
}

fn bind_tcp(hostname: Option<&str>, port: u16, reuse_port: bool, ipv6_only: bool) -> io::Result<Socket> {
    let Some(hostname) = hostname else {
        // Every address: one dual-stack socket, or IPv4 alone where the machine has no IPv6.
        return bind_address((std::net::Ipv6Addr::UNSPECIFIED, port).into(), reuse_port, ipv6_only).or_else(
            |error| {
                if ipv6_only || !is_without_ipv6(&error) {
                    return Err(error);
                }
                bind_address((std::net::Ipv4Addr::UNSPECIFIED, port).into(), reuse_port, false)
            },
        );
    };
    let literal = hostname.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hostname);
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (literal, port).to_socket_addrs().map_err(|_| NotFound)? {
        match bind_address(address, reuse_port, ipv6_only) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_address(address: SocketAddr, reuse_port: bool, ipv6_only: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(ipv6_only)?;
    }
    // Elsewhere it would allow two listeners on one port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    #[cfg(not(unix))]
    if reuse_port {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // Small frames must not wait for acknowledgements.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable)
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// A name that does not resolve.
#[derive(Debug)]
pub(crate) struct NotFound;

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name does not resolve")
    }
}

impl std::error::Error for NotFound {}

impl From<NotFound> for io::Error {
    fn from(error: NotFound) -> Self {
        Self::other(error)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_is_accepted_has_no_delay_of_its_listener() {
        let listener: TcpListener =
            bind_address((Ipv4Addr::LOCALHOST, 0).into(), false, false).unwrap().into();
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
