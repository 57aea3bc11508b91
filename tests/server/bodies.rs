//! The methods of the base class that handlers call themselves, and what they change at once.

use std::io::{Read, Write};
use std::sync::{Mutex, mpsc};

use support::server::*;
use support::*;
use tripoll::server::{Exchange, HandlerResult, PythonSocket, ThreadingTcpServer};

#[test]
fn a_request_that_its_handler_has_closed_is_no_connection_any_more() {
    let handle = |exchange: &mut Exchange| -> HandlerResult {
        let Exchange { request, server, .. } = exchange;
        let word = request.recv(100)?;
        let before = server.connections().len();
        match &word[..] {
            b"close" => server.close_request(request),
            _ => server.shutdown_request(request),
        }
        assert_eq!((before, server.connections().len()), (1, 0));
        if word == b"close" {
            request.sendall(b"still open")?;
        }
        Ok(())
    };
    let server = ThreadingTcpServer::from_fn(ANY, handle).unwrap();
    while_serving(&server, || {
        for (word, answer) in [(&b"close"[..], &b"still open"[..]), (b"shut down", b"")] {
            let mut client = connect(&server.server_address());
            client.write_all(word).unwrap();
            let mut said = Vec::new();
            client.read_to_end(&mut said).unwrap();
            assert_eq!(said, answer);
            await_that("the handler has ended", || server.connections().is_empty());
        }
    });
}

#[test]
fn a_client_sees_the_end_when_its_handler_closes_the_connection_and_runs_on() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let handle = move |exchange: &mut Exchange| -> HandlerResult {
        exchange.request.sendall(b"bye")?;
        exchange.request.close();
        exchange.request.close(); // does nothing
        assert_eq!(exchange.request.recv(1)?, b"");
        let _ = wait.lock().unwrap().recv();
        Ok(())
    };
    let server = ThreadingTcpServer::from_fn(ANY, handle).unwrap();
    while_serving(&server, || {
        let mut client = connect(&server.server_address());
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap();
        assert_eq!(said, "bye");
        drop(go);
    });
}
