//! In how many ways it can be said where a server is to listen.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{env, io, process};
use tripoll::server::PythonSocket;

use support::server::*;
use tripoll::net::{Address, ToAddress};
use tripoll::server::{Exchange, TcpServer, UnixStreamServer};

fn tcp(address: impl ToAddress) -> io::Result<TcpServer> {
    TcpServer::from_fn(address, |exchange: &mut Exchange| Ok(exchange.request.sendall(b"hello")?))
}

fn assert_answers(address: impl ToAddress) -> SocketAddr {
    let server = tcp(address).unwrap();
    let Address::Inet(bound) = server.server_address() else { unreachable!() };
    let there = Address::Inet((Ipv4Addr::LOCALHOST, bound.port()).into());
    while_serving(&server, || assert_eq!(ask(&there, b""), b"hello"));
    bound
}

#[test]
fn a_host_and_a_port_are_an_address() {
    let text = String::from(ANY);
    let localhost = [
        assert_answers(ANY),
        assert_answers(&text),
        assert_answers(text),
        assert_answers(("127.0.0.1", 0)),
        assert_answers(("localhost", 0)),
        assert_answers("localhost:0"),
        assert_answers((String::from("localhost"), 0)),
        assert_answers(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        assert_answers(Address::Inet((Ipv4Addr::LOCALHOST, 0).into())),
    ];
    assert!(localhost.iter().all(|bound| bound.ip() == Ipv4Addr::LOCALHOST), "{localhost:?}");
}

#[test]
fn no_host_is_all_interfaces_as_in_python() {
    assert_eq!(assert_answers(("", 0)).ip(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(assert_answers(":0").ip(), Ipv4Addr::UNSPECIFIED);
}

#[test]
fn a_path_is_an_address() {
    let path = env::temp_dir().join(format!("tripoll-address-{}", process::id()));
    let text: &str = path.to_str().unwrap();
    let assert_there = |address: &dyn ToAddress| {
        let server = UnixStreamServer::from_fn(address, |_: &mut Exchange| Ok(())).unwrap();
        assert_eq!(server.server_address(), Address::Unix(path.clone()));
        assert!(path.exists());
    };
    assert_there(&text);
    assert_there(&path);
    assert_there(&path.as_path());
    // A file in the working directory needs no /: a path is a path.
    assert_eq!(Path::new("echo").to_address().unwrap(), Address::Unix("echo".into()));
    assert_eq!(PathBuf::from("a:1").to_address().unwrap(), Address::Unix("a:1".into()));
}

#[test]
fn the_error_names_a_host_that_cannot_be_resolved() {
    let name = "x".repeat(64); // no name has so long a part, so that nobody need be asked
    for refused in [tcp(format!("{name}:80")), tcp((name.as_str(), 80))] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with(&format!("cannot resolve {name:?}")), "{refused}");
    }
    for nonsense in ["localhost", "localhost:", "80", "localhost:http", "localhost:65536", ""] {
        let refused = tcp(nonsense).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("is not an address: "), "{refused}");
    }
}
