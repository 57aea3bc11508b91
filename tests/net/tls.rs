//! TLS between a stream and its protocol. On every backend and trigger.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, LazyLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use support::net::{Call, Scripted, Server, Why, echo};
use support::{known_bytes, on_every_pair};
use tripoll::Context;
use tripoll::net::tls::{TlsFilter, rustls};
use tripoll::net::{Connection, Listener, Stream, Wire};

/// The configurations of a server and of a client that trusts it.
fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"echo/1".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![b"other".to_vec(), b"echo/1".to_vec()];
    (Arc::new(server), Arc::new(client))
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// A server in a loop of its own thread.
fn serve(pair: support::Pair) -> (std::net::SocketAddr, Server) {
    let set_up = |connection: Connection<Scripted<_>>| {
        connection.over(TlsFilter::server(Arc::clone(&CONFIGS.0)).unwrap())
    };
    let script = |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
        if *call == Call::Opened {
            let tls = wire.filter::<TlsFilter>().unwrap().connection();
            assert_eq!(tls.alpn_protocol(), Some(&b"echo/1"[..]));
        }
        echo(call, wire, cx)
    };
    let server = Server::with(pair, Listener::builder(), set_up, script);
    (server.port(), server)
}

static CONFIGS: LazyLock<(Arc<ServerConfig>, Arc<ClientConfig>)> = LazyLock::new(configs);

fn connect(
    address: std::net::SocketAddr,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(support::LONG)).unwrap();
    let connection = ClientConnection::new(Arc::clone(config), localhost()).unwrap();
    StreamOwned::new(connection, stream)
}

#[test]
fn a_server_answers_over_tls_and_knows_an_end_from_a_cut() {
    let client_config = &CONFIGS.1;
    on_every_pair(|pair| {
        let (address, server) = serve(pair);

        let mut client = connect(address, client_config);
        client.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
        let data = known_bytes(1, 1 << 20);
        for piece in data.chunks(50_000) {
            client.write_all(piece).unwrap();
            let mut answer = vec![0; piece.len()];
            client.read_exact(&mut answer).unwrap();
            assert!(answer == piece, "other bytes");
        }
        client.conn.send_close_notify();
        client.flush().unwrap();
        assert_eq!(client.read(&mut answer).unwrap(), 0); // with its close_notify: else an error
        assert_eq!(server.until_closed().pop(), Some(Call::Closed(Why::Finished)));

        let mut client = connect(address, client_config);
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut answer).unwrap();
        client.sock.shutdown(Shutdown::Write).unwrap();
        let cut = Call::Closed(Why::Failed(io::ErrorKind::UnexpectedEof));
        assert_eq!(server.until_closed().pop(), Some(cut));

        let mut plain = TcpStream::connect(address).unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let no_tls = Call::Closed(Why::Failed(io::ErrorKind::InvalidData));
        assert_eq!(server.until_closed(), [no_tls]);
        let mut alert = Vec::new();
        plain.read_to_end(&mut alert).unwrap();
        assert_eq!(alert[0], 21, "no alert: {alert:?}");
    });
}

/// Nothing counts after the message that ends the peer's side, however much it is.
#[test]
fn what_a_peer_sends_after_its_end_is_ignored() {
    on_every_pair(|pair| {
        let (address, server) = serve(pair);
        let mut client = connect(address, &CONFIGS.1);
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        client.conn.send_close_notify();
        let mut end = Vec::new();
        client.conn.write_tls(&mut end).unwrap();
        end.resize(20_000, 23);
        client.sock.write_all(&end).unwrap();
        assert_eq!(client.read(&mut [0; 5]).unwrap(), 0);
        drop(client);
        assert_eq!(server.until_closed().pop(), Some(Call::Closed(Why::Finished)));
    });
}

#[test]
fn a_client_in_the_loop_speaks_tls_and_does_not_trust_everybody() {
    let (_, stranger) = configs();
    on_every_pair(|pair| {
        let (address, server) = serve(pair);
        for (config, is_trusted) in [(&CONFIGS.1, true), (&stranger, false)] {
            let stream = Stream::from(TcpStream::connect(address).unwrap());
            let mut reactor = pair.reactor(());
            let (send, calls) = std::sync::mpsc::channel();
            let script = |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
                match call {
                    Call::Opened => _ = wire.write(b"hello"),
                    Call::Received(data) => {
                        assert_eq!(data, b"hello");
                        wire.close();
                        return Ok(data.len());
                    }
                    _ => {}
                }
                let _ = cx;
                Ok(0)
            };
            let tls = TlsFilter::client(Arc::clone(config), localhost()).unwrap();
            let client = Connection::new(Scripted::new(script, send)).over(tls);
            client.serve(stream, &mut reactor.context()).unwrap();
            let mut last = None;
            while !matches!(last, Some(Call::Closed(_))) {
                reactor.turn(tripoll::Deadline::after(support::LONG)).unwrap();
                last = calls.try_iter().last().or(last);
            }
            let why =
                if is_trusted { Why::Finished } else { Why::Failed(io::ErrorKind::InvalidData) };
            assert_eq!(last, Some(Call::Closed(why)));
            server.until_closed();
        }
    });
}
