//! TLS for connections, by the crate `rustls`. Only with the feature `tls`.
//!
//! [`TlsFilter`] stands between a stream and an unchanged protocol: see
//! [`Connection::over`](super::Connection::over). The configuration is that of [`rustls`], which this
//! module exports again. It has no cryptography of its own: enable a provider of `rustls`, such as its
//! feature `ring`.
//!
//! ```no_run
//! use std::io;
//! use std::sync::Arc;
//! use tripoll::net::tls::{TlsFilter, rustls};
//! use tripoll::net::{Connection, Listener, Protocol, Wire};
//! use tripoll::{Context, Reactor};
//!
//! struct Echo;
//!
//! impl Protocol for Echo {
//!     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
//!         wire.write(data);
//!         Ok(data.len())
//!     }
//! }
//!
//! fn serve(config: Arc<rustls::ServerConfig>) -> io::Result<()> {
//!     let mut reactor = Reactor::new()?;
//!     let listener = Listener::bind("127.0.0.1:4433")?;
//!     listener.serve(&mut reactor.context(), move |stream, cx| {
//!         let tls = TlsFilter::server(Arc::clone(&config))?;
//!         Connection::new(Echo).over(tls).serve(stream, cx)?;
//!         Ok(())
//!     })?;
//!     reactor.run()
//! }
//! ```

use std::io::{self, Read, Write};
use std::sync::Arc;

pub use rustls;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use super::filter::Filter;

/// TLS between a stream and its protocol.
///
/// The handshake runs in the loop, after the connection was accepted, and has a
/// [time limit](super::Connection::handshake_timeout). A peer that ends the stream without a
/// `close_notify` closes the connection with an error of kind `UnexpectedEof`: somebody else may have cut
/// the data off. Some peers never send one.
///
/// The [guide](crate::guide::tls) has a server and a client with a certificate.
///
/// ```
/// use std::sync::Arc;
/// use tripoll::net::tls::{TlsFilter, rustls};
///
/// let roots = rustls::RootCertStore::empty(); // trusts no server: add certificates
/// let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
/// let name = "example.org".try_into().map_err(std::io::Error::other)?;
/// let tls = TlsFilter::client(Arc::new(config), name)?;
/// assert!(tls.connection().is_handshaking());
/// // let connection = Connection::new(protocol).over(tls);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct TlsFilter {
    connection: rustls::Connection,
    has_peer_closed: bool,
}

impl TlsFilter {
    /// Returns the server's side.
    ///
    /// # Errors
    ///
    /// Fails when the configuration is not valid for a connection.
    pub fn server(config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(TlsFilter::of(connection.into()))
    }

    /// Returns the side of a client that connects to the server `name`, whose certificate must be valid
    /// for that name.
    ///
    /// # Errors
    ///
    /// Fails when the configuration is not valid for a connection.
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(TlsFilter::of(connection.into()))
    }

    fn of(mut connection: rustls::Connection) -> Self {
        // The write buffer of the `Connection` has limits. What it passes on is encrypted at once.
        connection.set_buffer_limit(None);
        TlsFilter { connection, has_peer_closed: false }
    }

    /// Returns the state of the connection: its protocol version, the certificates of the peer, the
    /// protocol that was chosen by ALPN.
    ///
    /// A protocol reaches it with [`Wire::filter`](super::Wire::filter).
    pub fn connection(&self) -> &rustls::Connection {
        &self.connection
    }

    /// Appends what TLS has to send.
    fn write_records(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(out)?;
        }
        Ok(())
    }

    /// Reads all records in `data` up to the one that ends the peer's side. Of what follows, rustls reads
    /// nothing.
    fn read_records(&mut self, mut data: &[u8], plain: &mut Vec<u8>) -> io::Result<()> {
        while !data.is_empty() && !self.has_peer_closed {
            self.connection.read_tls(&mut data)?;
            let state = self
                .connection
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.has_peer_closed |= state.peer_has_closed();
            let from = plain.len();
            plain.resize(from + state.plaintext_bytes_to_read(), 0);
            self.connection.reader().read_exact(&mut plain[from..])?;
        }
        Ok(())
    }
}

impl Filter for TlsFilter {
    fn start(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.write_records(out)
    }

    fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    fn received(&mut self, data: &[u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()> {
        if self.has_peer_closed {
            return Ok(()); // nothing counts after it
        }
        let read = self.read_records(data, plain);
        self.write_records(out)?; // an alert, too
        read
    }

    fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.connection.writer().write_all(plain)?;
        self.write_records(out)
    }

    fn close(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.connection.send_close_notify();
        self.write_records(out)
    }

    fn has_peer_closed(&self) -> bool {
        self.has_peer_closed
    }

    fn ended(&mut self) -> io::Result<()> {
        if self.has_peer_closed {
            return Ok(());
        }
        let message = "the peer has ended the connection without a TLS close_notify";
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, message))
    }
}
