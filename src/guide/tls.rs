//! TLS: an unchanged protocol over an encrypted stream.
//!
//! The problem: a protocol that knows nothing of TLS must be spoken over it, by a server or by a client.
//!
//! [`Connection::over`] puts a [`Filter`] under the protocol. The feature `tls` has one for the crate
//! `rustls`: `TlsFilter`, in [`net::tls`]. The handshake runs in the loop, beside the other
//! connections. `opened` is called after it.
//!
#![cfg_attr(feature = "tls", doc = "```")]
#![cfg_attr(not(feature = "tls"), doc = "```ignore")]
//! use std::io;
//! use std::sync::Arc;
//! use rustls::pki_types::PrivateKeyDer;
//! use rustls::{ClientConfig, RootCertStore, ServerConfig};
//! use tripoll::net::tls::{TlsFilter, rustls};
//! use tripoll::net::{CloseReason, Closed, Connection, Protocol, Stream, Wire};
//! use tripoll::{Context, Reactor};
//!
//! type Cx<'a> = Context<'a, Vec<Vec<u8>>>;
//!
//! /// Sends its word, and keeps what it receives.
//! struct Say(&'static [u8]);
//!
//! impl Protocol<Vec<Vec<u8>>> for Say {
//!     fn opened(&mut self, wire: &mut Wire, _: &mut Cx) -> io::Result<()> {
//!         let tls = wire.filter::<TlsFilter>().expect("it is over TLS").connection();
//!         println!("{:?} with {}", tls.protocol_version(), wire.peer());
//!         wire.write(self.0);
//!         wire.finish();
//!         Ok(())
//!     }
//!
//!     fn received(&mut self, _: &mut Wire, data: &[u8], cx: &mut Cx) -> io::Result<usize> {
//!         cx.state.push(data.to_vec());
//!         Ok(data.len())
//!     }
//!
//!     fn closed(&mut self, closed: &Closed, cx: &mut Cx) {
//!         assert!(matches!(closed.reason, CloseReason::Finished), "{closed}");
//!         if cx.len() == 0 {
//!             cx.stop(); // both ends are closed
//!         }
//!     }
//! }
//!
//! # let made = rcgen::generate_simple_self_signed(["localhost".into()]).map_err(io::Error::other)?;
//! # let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
//! # let mut trusted = RootCertStore::empty();
//! # trusted.add(made.cert.der().clone()).map_err(io::Error::other)?;
//! # let server = ServerConfig::builder()
//! #     .with_no_client_auth()
//! #     .with_single_cert(vec![made.cert.der().clone()], key)
//! #     .map_err(io::Error::other)?;
//! # let client = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
//! let mut reactor = Reactor::builder().build_with(Vec::new())?;
//! let (here, there) = Stream::pair()?;
//! // `server` is a `ServerConfig`, `client` a `ClientConfig`. Here both are for a certificate of this test.
//! let tls = TlsFilter::server(Arc::new(server))?;
//! Connection::new(Say(b"welcome")).over(tls).serve(here, &mut reactor.context())?;
//! let tls = TlsFilter::client(Arc::new(client), "localhost".try_into().map_err(io::Error::other)?)?;
//! Connection::new(Say(b"hello")).over(tls).serve(there, &mut reactor.context())?;
//! reactor.run()?;
//! let mut words = std::mem::take(reactor.state_mut());
//! words.sort();
//! assert_eq!(words, [&b"hello"[..], b"welcome"]);
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * The library chooses no cryptography. Enable a provider of `rustls`, such as its feature `ring`.
//! * Make the configuration once, and share it in an `Arc`. It holds the keys and the session cache.
//! * A peer that ends the stream without a `close_notify` closes the connection with an error: data may
//!   have been cut off. Some peers never send one.
//! * A handshake that takes longer than [`Connection::handshake_timeout`], 10 s by default, is closed.
//! * [`Wire::detach`](crate::net::Wire::detach) is not possible over a filter. Upgrade a plain stream to
//!   TLS (STARTTLS) by a detach *before* it, and a new connection over the filter.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `ssl=` of `create_server`, `loop.start_tls` |
//! | Netty | `SslHandler` in the pipeline |
//! | libevent | `bufferevent_openssl_socket_new`, `bufferevent_filter_new` |
//! | tokio | the crates `tokio-rustls` and `tokio-native-tls` |
//!
//! [`Connection::over`]: crate::net::Connection::over
//! [`Connection::handshake_timeout`]: crate::net::Connection::handshake_timeout
//! [`Filter`]: crate::net::Filter
#![cfg_attr(feature = "tls", doc = "[`net::tls`]: crate::net::tls")]
#![cfg_attr(not(feature = "tls"), doc = "[`net::tls`]: crate#features-and-platform")]
#![doc(alias = "ssl")]
#![doc(alias = "SslHandler")]
#![doc(alias = "start_tls")]
#![doc(alias = "STARTTLS")]
#![doc(alias = "https")]
