//! `tls_echo`: a client of TLS is answered, on every backend and trigger. Only with the feature `tls`.

use std::fs;
use std::io::{Read, Write};
use std::sync::Arc;

use rustix::process::Signal;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::example::{Server, arguments, example, on_every_backend};
use support::{known_bytes, pem};

#[test]
fn a_client_that_trusts_its_certificate_is_answered() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let directory = std::env::temp_dir().join(format!("tripoll-tls-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    fs::write(&cert, pem("CERTIFICATE", made.cert.der())).unwrap();
    fs::write(&key, pem("PRIVATE KEY", &made.signing_key.serialize_der())).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let config = Arc::new(config);
    on_every_backend(|backend, trigger| {
        let mut command = example("tls_echo");
        command.args(arguments("127.0.0.1:0", backend, trigger));
        command.arg("--cert").arg(&cert).arg("--key").arg(&key);
        let mut server = Server::start_with(&mut command);
        let silent = server.connect(); // its handshake never begins
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut client = StreamOwned::new(connection, server.connect());
        let data = known_bytes(1, 50_000);
        client.write_all(&data).unwrap();
        let mut answer = vec![0; data.len()];
        client.read_exact(&mut answer).unwrap();
        assert!(answer == data, "other bytes");
        client.conn.send_close_notify();
        client.flush().unwrap();
        assert_eq!(client.read(&mut answer).unwrap(), 0);
        drop(silent);
        server.stop(Signal::TERM).assert_graceful();
    });
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn without_files_it_makes_a_certificate_of_its_own() {
    on_every_backend(|backend, trigger| {
        let mut server = Server::start("tls_echo", backend, trigger);
        let mut client = server.connect();
        client.write_all(b"no TLS at all").unwrap();
        let mut alert = Vec::new();
        let _ = client.read_to_end(&mut alert);
        assert_eq!(alert[0], 21, "no alert: {alert:?}");
        server.stop(Signal::TERM).assert_graceful();
    });
}
