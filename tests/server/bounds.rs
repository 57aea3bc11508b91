//! What a client can cost: every bound has a default, and Python's defaults have a name.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Datagram, Exchange, Forking, HandlerError, HandlerResult, Hooks, InReactor,
    LoopExchange, Parked, Pooled, PythonDatagramSocket, ReactorTcpServer, ServerConfig, Threading,
    ThreadingUdpServer,
};
use tripoll::{Backend, Trigger};

#[test]
fn every_bound_has_a_default_and_pythons_defaults_have_a_name() {
    let config = ServerConfig::default();
    assert_eq!(config.idle_timeout, Some(Duration::from_secs(60)));
    assert_eq!((config.request_queue_size, config.max_packet_size), (1_024, 8_192));
    assert_eq!(Threading::default().max_threads, Some(1_024));
    assert_eq!(Forking::default().max_children, 40);
    assert_eq!((Pooled::default().workers, Pooled::default().queue), (8, 64));
    assert_eq!(InReactor::default().max_connections, Some(10_000));
    assert_eq!(InReactor::default().max_buffered, Some(256 << 20));

    let python = ServerConfig::python();
    assert_eq!((python.read_timeout, python.idle_timeout), (None, None));
    assert_eq!((python.request_queue_size, python.max_packet_size), (5, 8_192));
    assert_eq!(Threading::python().max_threads, None);
}

#[test]
fn each_setter_sets_its_field_and_no_other() {
    let config = ServerConfig::default().request_queue_size(7);
    let mut expected = config.clone();
    (expected.backend, expected.trigger) = (Backend::Select, Trigger::Edge);
    assert_eq!(config.clone().backend(Backend::Select).trigger(Trigger::Edge), expected);
    assert_eq!(config.trigger(Trigger::Edge).backend(Backend::Select), expected);

    let threads = Threading::python().daemon_threads(true).block_on_close(false);
    let expected = (true, false, None);
    assert_eq!((threads.daemon_threads, threads.block_on_close, threads.max_threads), expected);
    let forking = Forking::default().max_children(7).block_on_close(false);
    assert_eq!((forking.max_children, forking.block_on_close), (7, false));
    let forking = Forking::default().block_on_close(false).max_children(7);
    assert_eq!((forking.max_children, forking.block_on_close), (7, false));
    for parked in [
        Parked::default().workers(7).max_connections(None).block_on_close(false),
        Parked::default().block_on_close(false).max_connections(None).workers(7),
    ] {
        let expected = (7, None, false);
        assert_eq!((parked.workers, parked.max_connections, parked.block_on_close), expected);
    }
    for in_loop in [
        InReactor::default().max_connections(Some(7)).max_buffered(Some(8)),
        InReactor::default().max_buffered(Some(8)).max_connections(Some(7)),
    ] {
        assert_eq!((in_loop.max_connections, in_loop.max_buffered), (Some(7), Some(8)));
    }
}

/// Tells the test the kind of each error.
struct Errors(Mutex<mpsc::Sender<ErrorKind>>);

impl Hooks<Arc<Stream>> for Errors {
    fn handle_error(
        &self,
        _: &BaseServer<Arc<Stream>>,
        _: &Arc<Stream>,
        _: &Address,
        error: &HandlerError,
    ) {
        let kind = error.downcast_ref::<std::io::Error>().unwrap().kind();
        self.0.lock().unwrap().send(kind).unwrap();
    }
}

fn errors() -> (Errors, mpsc::Receiver<ErrorKind>) {
    let (tell, told) = mpsc::channel();
    (Errors(Mutex::new(tell)), told)
}

#[test]
fn clients_that_do_not_read_share_a_bound_and_others_are_served() {
    const ANSWER: usize = 12 << 20;
    let handle = |exchange: &mut LoopExchange| {
        let size = if exchange.recv(100) == b"much" { ANSWER } else { 5 };
        exchange.sendall(&vec![b'x'; size]);
        Ok(())
    };
    on_every_config_and_noise(|config| {
        let (hooks, told) = errors();
        let server = ReactorTcpServer::builder(ANY)
            .config(config.clone())
            .concurrency(InReactor::default().max_buffered(Some(2 * ANSWER)))
            .hooks(hooks)
            .build_fn(handle)
            .unwrap();
        while_serving(&server, || {
            let ask_for_much = || {
                let mut client = connect(&server.server_address());
                client.write_all(b"much").unwrap();
                client
            };
            let read = |mut client: TcpStream| client.read_exact(&mut vec![0; ANSWER]);
            let silent: Vec<_> = (0..10).map(|_| ask_for_much()).collect();
            assert_eq!(told.recv_timeout(LONG).unwrap(), ErrorKind::StorageFull);
            // A small answer is still possible, and when they read, a long one is, too.
            assert_eq!(ask(&server.server_address(), b"little"), b"xxxxx");
            let refused = silent.into_iter().map(read).filter_map(Result::err);
            let refused: Vec<_> = refused.map(|error| error.kind()).collect();
            assert!((1..10).contains(&refused.len()), "{} of 10 were refused", refused.len());
            assert!(refused.iter().all(|&kind| kind == ErrorKind::ConnectionReset), "{refused:?}");
            assert_eq!(told.try_iter().count(), refused.len() - 1);
            read(ask_for_much()).unwrap();
        });
        assert!(told.try_recv().is_err());
    });
}

#[test]
fn what_others_send_to_a_client_is_bounded_also_before_the_loop_takes_it() {
    let (begin, begun) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let handle = move |exchange: &mut LoopExchange| {
        if exchange.recv(100) == b"wait" {
            begin.send(())?;
            let _ = wait.lock().unwrap().recv(); // the loop waits with it
        }
        Ok(())
    };
    let (hooks, told) = errors();
    let server = ReactorTcpServer::builder(ANY).hooks(hooks).build_fn(handle).unwrap();
    while_serving(&server, || {
        let mut waiting = connect(&server.server_address());
        waiting.write_all(b"wait").unwrap();
        begun.recv_timeout(LONG).unwrap();
        let (request, _) = server.connections().pop().unwrap();
        for _ in 0..64 {
            server.sendall(&request, &[b'x'; 1 << 20]).unwrap();
        }
        drop(go);
        assert_eq!(told.recv_timeout(LONG).unwrap(), ErrorKind::StorageFull);
        await_that("it is closed", || server.connections().is_empty());
    });
}

#[test]
fn a_thread_for_each_datagram_is_bounded_and_none_is_lost() {
    on_every_config_and_noise(|config| {
        let (begin, begun) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let handle = move |exchange: &mut Exchange<Datagram>| -> HandlerResult {
            let Datagram { data, socket, .. } = &exchange.request;
            begin.send(())?;
            wait.lock().unwrap().recv()?;
            socket.sendto(data, &exchange.client_address)?;
            Ok(())
        };
        let server = ThreadingUdpServer::builder(ANY)
            .config(config.clone())
            .concurrency(Threading::default().max_threads(Some(2)))
            .build_fn(handle)
            .unwrap();
        let client = UdpSocket::bind(ANY).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.connect(server.server_address().to_string()).unwrap();
        while_serving(&server, || {
            for number in 0..5 {
                client.send(&[number]).unwrap();
            }
            for _ in 0..2 {
                begun.recv_timeout(LONG).unwrap();
            }
            // The third is not even received: it waits in the kernel.
            assert!(begun.recv_timeout(Duration::from_millis(20)).is_err());
            let mut answers = Vec::new();
            for _ in 0..5 {
                go.send(()).unwrap();
                let mut answer = [0];
                client.recv(&mut answer).unwrap();
                answers.push(answer[0]);
            }
            answers.sort_unstable();
            assert_eq!(answers, [0, 1, 2, 3, 4]);
        });
    });
}
