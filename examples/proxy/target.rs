//! The text of `--to`.

use std::io;

use tripoll::net::Address;

/// One of the addresses of `--to`.
#[derive(Debug, Clone)]
pub enum Target {
    Address(Address),
    /// `HOST:PORT`, which is resolved for each client.
    Name(String),
}

/// Parses an address of `--to`.
pub fn target(text: &str) -> Result<Target, String> {
    text.parse().map(Target::Address).or_else(|error: io::Error| {
        let is_name = text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains(['[', ']', ':']) && port.parse::<u16>().is_ok()
        });
        if is_name { Ok(Target::Name(text.into())) } else { Err(error.to_string()) }
    })
}
