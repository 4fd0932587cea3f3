//! What carries the bytes of a client: TCP to 127.0.0.1, with or without TLS over it. Edge-triggered reading needs to know when a socket
//! is drained, which rustls' own streams do not tell; so the records are moved here.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, IpAddr, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::Result;
use crate::options::Options;

pub(crate) enum Stream {
    Plain(TcpStream),
    Secure(Box<Secure>),
}

/// TLS over a socket.
pub(crate) struct Secure {
    socket: TcpStream,
    session: ClientConnection,
    /// Records as they come out of the socket.
    records: [u8; RECORDS],
}

/// Connects clients to the server of a run.
pub(crate) struct Connector {
    port: u16,
    tls: Option<Arc<ClientConfig>>,
}

impl Connector {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        match &options.certificate {
            Some(path) => Self::secure(options.port, path),
            None => Ok(Self::plain(options.port)),
        }
    }

    pub(crate) fn plain(port: u16) -> Self {
        Self { port, tls: None }
    }

    /// With TLS, to a server that has the certificate in this PEM file.
    fn secure(port: u16, path: &Path) -> Result<Self> {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let certificate = CertificateDer::from_pem_file(path).map_err(|error| told(&error))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|error| told(&error))?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| told(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { port, tls: Some(Arc::new(config)) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A connected stream, blocking, with a limit to its patience.
    pub(crate) fn connect(&self) -> Result<Stream> {
        let told = |error: io::Error| format!("connecting to 127.0.0.1:{}: {error}", self.port);
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).map_err(told)?;
        socket.set_nodelay(true).map_err(told)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(told)?;
        let Some(config) = &self.tls else { return Ok(Stream::Plain(socket)) };
        let name = ServerName::IpAddress(IpAddr::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST)));
        let mut session =
            ClientConnection::new(Arc::clone(config), name).map_err(|error| format!("TLS: {error}"))?;
        while session.is_handshaking() {
            session.complete_io(&mut socket).map_err(told)?;
        }
        Ok(Stream::Secure(Box::new(Secure { socket, session, records: [0; RECORDS] })))
    }
}

impl Stream {
    pub(crate) fn set_nonblocking(&self) -> Result<()> {
        self.socket().set_nonblocking(true).map_err(|error| format!("socket: {error}"))
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(secure) => &secure.socket,
        }
    }

    /// Reads once, or until the socket is drained or `buffer` full: less than the buffer means drained.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Secure(secure) => secure.read(buffer),
        }
    }

    /// Sends the front of two slices, as far as the kernel takes it.
    pub(crate) fn write(&mut self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) if second.is_empty() => socket.write(first),
            Self::Plain(socket) => socket.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]),
            Self::Secure(secure) => secure.write(first),
        }
    }

    /// Sends all of it, on a blocking stream.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = &bytes[self.write(bytes, &[])?..];
        }
        self.flush()
    }

    /// Sends what was taken and not sent.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Secure(secure) => secure.flush(),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl Secure {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut filled, mut is_drained) = (0, false);
        loop {
            filled += match self.session.reader().read(&mut buffer[filled..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                result => result?,
            };
            // Records without content, like a session's tickets, are no answer to give.
            if filled == buffer.len() || (is_drained && filled > 0) {
                return Ok(filled);
            }
            match self.socket.read(&mut self.records) {
                Ok(0) => return Ok(filled),
                Ok(length) => {
                    is_drained = length < RECORDS;
                    let mut records = &self.records[..length];
                    while !records.is_empty() {
                        self.session.read_tls(&mut records)?;
                        self.session.process_new_packets().map_err(io::Error::other)?;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && filled > 0 => return Ok(filled),
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let taken = self.session.writer().write(bytes)?;
        match self.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

/// No more than rustls takes before it wants to be emptied.
const RECORDS: usize = 16 * 1024;

/// For a handshake: the server may be collecting garbage.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::net::TcpListener;

    /// A server of one connection that sends everything back, and who connects to it.
    fn echo() -> Connector {
        let folder = std::env::temp_dir().join(format!("mantou-load-{}", std::process::id()));
        certificate::write(&folder).unwrap();
        let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                stream.write_all(&buffer[..length]).unwrap();
            }
        });
        let connector = Connector::secure(port, &folder.join("cert.pem")).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        connector
    }

    #[test]
    fn over_tls_everything_comes_back_blocking_or_not() {
        let mut stream = echo().connect().unwrap();
        stream.write_all(b"first").unwrap();
        let mut buffer = [0; 1000];
        let length = stream.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"first");

        stream.set_nonblocking().unwrap();
        let nothing = stream.read(&mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        let message: Vec<u8> = (0..300_000_u32).map(|index| (index % 251) as u8).collect();
        let (mut sent, mut received) = (0, Vec::new());
        while received.len() < message.len() {
            match stream.write(&message[sent..], &[]) {
                Ok(written) => sent += written,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            match stream.read(&mut buffer) {
                Ok(length) => received.extend_from_slice(&buffer[..length]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert_eq!(received, message);
    }
}
