//! The address of a server, the files of Unix sockets, and abstract names.

use std::io::{self, Read};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process;
use tripoll::server::PythonSocket;

use support::server::*;
use tripoll::net::Address;
use tripoll::server::{
    DatagramExchange, Exchange, HandlerResult, Inline, Server, ServerConfig, TcpServer, Transport,
    UdpServer, UnixDatagramServer, UnixStreamServer,
};

fn say_hello(exchange: &mut Exchange) -> HandlerResult {
    Ok(exchange.request.sendall(b"hello")?)
}

#[test]
fn the_address_is_the_sockets() {
    let path = SocketPath::unused();
    same_address(&TcpServer::from_fn(ANY, say_hello).unwrap());
    same_address(&TcpServer::from_fn("localhost:0", say_hello).unwrap());
    same_address(&UnixStreamServer::from_fn(path.address(), say_hello).unwrap());
    same_address(&UdpServer::from_fn(ANY, |_: &mut DatagramExchange| Ok(())).unwrap());
}

fn same_address<T: Transport>(server: &Server<T, Inline>) {
    let bound = server.with_socket(|socket| {
        let address = socket2::SockRef::from(&socket).local_addr().unwrap();
        (address.as_socket().map(Address::Inet))
            .or_else(|| Some(Address::Unix(address.as_pathname()?.into())))
    });
    assert_eq!(bound.unwrap(), Some(server.server_address()));
}

#[test]
fn an_address_of_another_kind_is_refused_in_words() {
    let refused = UnixStreamServer::from_fn(ANY, say_hello).unwrap_err();
    assert_eq!(refused.to_string(), "127.0.0.1:0 is not an address of a Unix stream server");
    let refused = TcpServer::from_fn("/tmp/x", say_hello).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);

    let path = SocketPath::unused();
    let ignore = |_: &mut DatagramExchange| Ok(());
    let refused = UdpServer::from_fn(path.address(), ignore).unwrap_err();
    let text = format!("{} is not an address of a UDP server", path.address());
    assert_eq!(refused.to_string(), text);
    let refused = UnixDatagramServer::from_fn(ANY, ignore).unwrap_err();
    assert_eq!(refused.to_string(), "127.0.0.1:0 is not an address of a Unix datagram server");
}

#[test]
fn an_address_is_used_again_as_configured_and_never_for_datagrams() {
    fn is_reused<T: Transport>(server: &Server<T, Inline>) -> bool {
        let reuse =
            server.with_socket(|socket| socket2::SockRef::from(&socket).reuse_address().unwrap());
        reuse.unwrap()
    }
    for reuse in [true, false] {
        let config = ServerConfig::default().allow_reuse_address(reuse);
        let streams = TcpServer::builder(ANY).config(config.clone()).build_fn(say_hello).unwrap();
        assert_eq!(is_reused(&streams), reuse);
        let datagrams = UdpServer::builder(ANY).config(config);
        let datagrams = datagrams.build_fn(|_: &mut DatagramExchange| Ok(())).unwrap();
        assert!(!is_reused(&datagrams));
    }
}

#[test]
fn a_unix_socket_file_is_replaced_on_request_and_removed_if_it_is_still_its_own() {
    let path = SocketPath::unused();
    drop(std::os::unix::net::UnixListener::bind(&path.0).unwrap()); // a crash leaves its file
    let refused = UnixStreamServer::from_fn(path.address(), say_hello).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    let replacing = ServerConfig::default().replace_stale(true);
    let bind = |config: &ServerConfig| {
        UnixStreamServer::builder(path.address()).config(config.clone()).build_fn(say_hello)
    };
    let server = bind(&replacing).unwrap();
    assert_eq!(bind(&replacing).unwrap_err().kind(), io::ErrorKind::AddrInUse); // it lives
    server.server_close();
    assert!(!path.0.exists());

    let leaving = ServerConfig::default().unlink_on_close(false);
    bind(&leaving).unwrap().server_close();
    assert!(path.0.exists());

    let server = bind(&replacing).unwrap();
    std::fs::remove_file(&path.0).unwrap();
    std::fs::write(&path.0, "somebody else's").unwrap();
    server.server_close();
    assert!(Path::exists(&path.0));
}

#[test]
fn so_is_the_file_of_a_unix_socket_for_datagrams() {
    let path = SocketPath::unused();
    drop(UnixDatagram::bind(&path.0).unwrap());
    let bind = |replace_stale| {
        UnixDatagramServer::builder(path.address())
            .config(ServerConfig::default().replace_stale(replace_stale))
            .build_fn(|_: &mut DatagramExchange| Ok(()))
    };
    assert_eq!(bind(false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let server = bind(true).unwrap();
    assert_eq!(bind(true).unwrap_err().kind(), io::ErrorKind::AddrInUse); // it lives
    server.server_close();
    assert!(!path.0.exists());
}

#[test]
fn a_server_that_was_bound_and_never_active_leaves_no_file() {
    let path = SocketPath::unused();
    for unlink_on_close in [true, false] {
        let bind = || {
            let config = ServerConfig::default().unlink_on_close(unlink_on_close);
            let server = UnixStreamServer::builder(path.address())
                .config(config)
                .bind_and_activate(false)
                .build_fn(say_hello)
                .unwrap();
            server.server_bind().unwrap();
            assert!(path.0.exists());
            server
        };
        drop(bind());
        assert_eq!(path.0.exists(), !unlink_on_close);
        if unlink_on_close {
            bind().server_close();
            assert!(!path.0.exists());
        }
    }
}

#[test]
fn a_server_that_is_bound_and_not_yet_active_is_not_stale() {
    let path = SocketPath::unused();
    let config = ServerConfig::default().replace_stale(true);
    let builder = || UnixStreamServer::builder(path.address()).config(config.clone());
    let early = builder().bind_and_activate(false).build_fn(say_hello).unwrap();
    early.server_bind().unwrap();
    assert_eq!(builder().build_fn(say_hello).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    early.server_activate().unwrap();
    UnixStream::connect(&path.0).unwrap();
}

#[test]
fn the_file_of_a_unix_socket_has_the_mode_that_was_set() {
    use std::os::unix::fs::PermissionsExt;
    let path = SocketPath::unused();
    for mode in [0o600, 0o660, 0o777] {
        let config = || ServerConfig::default().socket_mode(Some(mode));
        let mode_of_file = || path.0.metadata().unwrap().permissions().mode() & 0o7777;
        let server = UnixStreamServer::builder(path.address()).config(config());
        let server = server.build_fn(say_hello).unwrap();
        assert_eq!(mode_of_file(), mode);
        drop(server);
        let server = UnixDatagramServer::builder(path.address()).config(config());
        let server = server.build_fn(|_: &mut DatagramExchange| Ok(())).unwrap();
        assert_eq!(mode_of_file(), mode);
        drop(server);
    }
}

#[test]
fn an_abstract_name_is_an_address() {
    let name = format!("@tripoll-kinds-{}", process::id());
    let server = UnixStreamServer::from_fn(name.as_str(), say_hello).unwrap();
    assert_eq!(server.server_address().to_string(), name);
    while_serving(&server, || {
        use std::os::linux::net::SocketAddrExt;
        let there = std::os::unix::net::SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let mut client = UnixStream::connect_addr(&there).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "hello");
    });
}
