//! Everything of `tripoll::server` may be imported at once: none of its traits hides a method of a
//! stream, a socket or a server. (That this file compiles is the test.)

#[allow(clippy::wildcard_imports)]
use tripoll::server::*;

use std::net::Shutdown;
use std::sync::Arc;

use support::server::{ANY, ask, while_serving};

fn talk(exchange: &mut Exchange) -> HandlerResult {
    let request = &exchange.request;
    assert_eq!(*request.peer(), exchange.client_address);
    assert_eq!(Arc::downgrade(request).strong_count(), Arc::strong_count(request));
    request.set_nodelay(true)?;
    let data = request.recv(100)?;
    request.sendall(&data)?;
    request.shutdown(Shutdown::Write)?;
    assert!(request.recv(100)?.is_empty());
    exchange.server.request_shutdown();
    Ok(())
}

#[test]
fn a_handler_uses_the_methods_of_its_stream() {
    let server = ThreadingTcpServer::from_fn(ANY, talk).unwrap();
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b"hello"), b"hello"));
    assert_eq!(server.config().request_queue_size, ServerConfig::default().request_queue_size);
}

fn answer(exchange: &mut Exchange<Datagram>) -> HandlerResult {
    let Datagram { data, socket, .. } = &exchange.request;
    socket.sendto(data, &exchange.client_address)?;
    socket.send_to(data, &exchange.client_address)?;
    Ok(())
}

#[test]
fn a_handler_uses_the_methods_of_its_datagram_socket() {
    use std::net::UdpSocket;

    let server = UdpServer::from_fn(ANY, answer).unwrap();
    let client = UdpSocket::bind(ANY).unwrap();
    client.set_read_timeout(Some(support::LONG)).unwrap();
    while_serving(&server, || {
        client.send_to(b"hello", server.server_address().to_string()).unwrap();
        for _ in 0..2 {
            let mut buffer = [0; 10];
            assert_eq!(client.recv(&mut buffer).unwrap(), 5);
        }
    });
}
