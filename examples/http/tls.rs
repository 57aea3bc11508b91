//! HTTPS: TLS under the same protocol.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tripoll::net::tls::TlsFilter;
use tripoll::net::tls::rustls::ServerConfig;
use tripoll::net::tls::rustls::pki_types::pem::PemObject;
use tripoll::net::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::connection::Layer;

/// Returns TLS with the certificates and the private key of two PEM files.
pub fn layer(files: &[PathBuf]) -> io::Result<Layer> {
    let [certificates, key] = files else { return Err(io::ErrorKind::InvalidInput.into()) };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(|chain| chain.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unreadable(certificates, &error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.map_err(|error| unreadable(certificates, &error))?;
    // A client that offers others alone is refused.
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    let config = Arc::new(config);
    Ok(Box::new(move |connection| Ok(connection.over(TlsFilter::server(Arc::clone(&config))?))))
}

fn unreadable(path: &Path, error: &dyn Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
