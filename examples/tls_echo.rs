//! Sends back over TLS what it receives.
//!
//! Run: `cargo run --features tls --example tls_echo -- --listen 127.0.0.1:4433`, then
//! `openssl s_client -connect 127.0.0.1:4433 -quiet`.
//!
//! The protocol is that of an echo without TLS. `Connection::over` puts TLS under it. The handshake
//! runs in the loop, beside the other clients, and has ten seconds. Without `--cert` and `--key` the
//! certificate is made at the start, for `localhost`, and signed by itself: no client trusts it.
//!
//! Try: a client that connects and says nothing, and one that is cut off.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use common::Options;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tripoll::Context;
use tripoll::net::tls::{TlsFilter, rustls};
use tripoll::net::{Closed, Connection, Listener, Protocol, Wire};

/// The command line.
#[derive(Debug, Parser)]
struct TlsOptions {
    #[command(flatten)]
    options: Options,
    /// The server's certificates, a PEM file. Default: a new one for localhost
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of the first certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

fn main() -> Result<(), common::Failure> {
    let what = "Sends back over TLS what it receives";
    let TlsOptions { options, cert, key } = common::read(what, common::ANYWHERE);
    options.begin()?;
    let (certificates, key) = match (cert, key) {
        (Some(cert), Some(key)) => load(cert, key)?,
        _ => self_signed()?,
    };
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(io::Error::other)?;
    let config = Arc::new(config);

    let mut reactor = options.reactor().build()?;
    let listener = Listener::bind(&options.listen)?;
    let address = listener.local_address().clone();
    listener.serve(&mut reactor.context(), move |stream, cx| {
        let tls = TlsFilter::server(Arc::clone(&config))?;
        Connection::new(Echo).over(tls).idle_timeout(Duration::from_secs(300)).serve(stream, cx)?;
        Ok(())
    })?;
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// The certificates and the private key in two files.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn load(cert: PathBuf, key: PathBuf) -> io::Result<Identity> {
    let failed = |path: &PathBuf, error: &dyn std::fmt::Display| {
        io::Error::other(format!("cannot read {}: {error}", path.display()))
    };
    let open = |path: &PathBuf| File::open(path).map(BufReader::new);
    let certificates = CertificateDer::pem_reader_iter(open(&cert).map_err(|e| failed(&cert, &e))?)
        .collect::<Result<_, _>>()
        .map_err(|error| failed(&cert, &error))?;
    let private = PrivateKeyDer::from_pem_reader(open(&key).map_err(|e| failed(&key, &e))?)
        .map_err(|error| failed(&key, &error))?;
    Ok((certificates, private))
}

fn self_signed() -> io::Result<Identity> {
    let names = vec!["localhost".into()];
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
    Ok((vec![made.cert.der().clone()], key))
}

/// An echo, that knows nothing of TLS.
struct Echo;

impl Protocol for Echo {
    fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        wire.write(data);
        Ok(data.len())
    }

    fn closed(&mut self, closed: &Closed, _: &mut Context) {
        if let Some(error) = &closed.reason.to_error() {
            log::info!("closed: {error}");
        }
    }
}
