//! The cases over TLS, on every backend and trigger. Only with the feature `tls`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::example::{Server, arguments, example, on_every_backend};
use support::{pattern, pem};
use tripoll::{Backend, Trigger};

use crate::cases::{LAST, cases, responses};
use crate::clients::run;
use crate::folder::{Folder, LARGE};

type Client = StreamOwned<ClientConnection, TcpStream>;

/// A certificate with its key in two files, and a client that trusts it.
struct Identity {
    folder: Folder,
    client: Arc<ClientConfig>,
}

impl Identity {
    fn new() -> Self {
        let folder = Folder::new();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = made.signing_key.serialize_der();
        fs::write(folder.0.join("cert.pem"), pem("CERTIFICATE", made.cert.der())).unwrap();
        fs::write(folder.0.join("key.pem"), pem("PRIVATE KEY", &key)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut client =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Identity { folder, client: Arc::new(client) }
    }

    fn command(&self, backend: Backend, trigger: Trigger) -> Command {
        let mut command = example("http");
        command.args(arguments("127.0.0.1:0", backend, trigger)).arg("--tls");
        command.arg(self.folder.0.join("cert.pem")).arg(self.folder.0.join("key.pem"));
        command
    }

    fn connect(&self, server: &Server) -> Client {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        StreamOwned::new(connection, server.connect())
    }
}

fn send(client: &mut Client, bytes: &[u8]) {
    client.write_all(bytes).unwrap();
    client.flush().unwrap();
}

fn end(client: &mut Client) {
    client.conn.send_close_notify();
    client.flush().unwrap();
}

#[test]
fn each_case_is_answered_over_tls() {
    let identity = Identity::new();
    on_every_backend(|backend, trigger| {
        let mut server = Server::start_with(&mut identity.command(backend, trigger));
        let silent = server.connect(); // its handshake never begins
        for case in cases() {
            let before = if case.more.is_empty() { 3 } else { 0 };
            run(identity.connect(&server), &case, before, send, end);
        }
        drop(silent);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_client_that_offers_http_1_0_alone_is_served_over_tls() {
    let mut identity = Identity::new();
    Arc::get_mut(&mut identity.client).unwrap().alpn_protocols = vec![b"http/1.0".to_vec()];
    on_every_backend(|backend, trigger| {
        let server = Server::start_with(&mut identity.command(backend, trigger));
        let mut client = identity.connect(&server);
        send(&mut client, b"GET /plaintext HTTP/1.0\r\n\r\n");
        let mut output = Vec::new();
        client.read_to_end(&mut output).unwrap();
        assert!(output.ends_with(b"Hello, World!"), "{}", output.escape_ascii());
        assert_eq!(client.conn.alpn_protocol(), Some(&b"http/1.0"[..]));
    });
}

#[test]
fn a_file_is_served_over_tls() {
    let identity = Identity::new();
    on_every_backend(|backend, trigger| {
        let mut command = identity.command(backend, trigger);
        let server = Server::start_with(command.arg("--root").arg(identity.folder.root()));
        let mut client = identity.connect(&server);
        let request = format!("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n{LAST}");
        send(&mut client, request.as_bytes());
        let mut output = Vec::new();
        client.read_to_end(&mut output).unwrap();
        assert_eq!(client.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answers = responses(&output, |_| false).unwrap();
        assert_eq!((answers.len(), answers[0].status), (2, 200));
        assert!(answers[0].body == pattern(LARGE), "{} bytes", answers[0].body.len());
    });
}

#[test]
fn a_client_without_tls_gets_an_alert() {
    let identity = Identity::new();
    on_every_backend(|backend, trigger| {
        let server = Server::start_with(&mut identity.command(backend, trigger));
        let mut client = server.connect();
        client.write_all(LAST.as_bytes()).unwrap();
        let mut alert = Vec::new();
        let _ = client.read_to_end(&mut alert);
        assert_eq!(alert.first(), Some(&21), "no alert: {}", alert.escape_ascii());
    });
}

#[test]
fn a_certificate_that_cannot_be_read_ends_it_with_1_and_its_name() {
    let identity = Identity::new();
    let key = identity.folder.0.join("key.pem");
    let key = key.to_str().unwrap();
    for certificate in ["/nowhere/cert.pem", key] {
        let arguments = ["--listen", "127.0.0.1:0", "--tls", certificate, key];
        let output = support::example::run("http", &arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(certificate) && said.lines().count() == 1, "{said}");
    }
}
