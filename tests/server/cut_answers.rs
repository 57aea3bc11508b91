//! A client in the loop whose output cannot be delivered whole is reset, also while it reads: an end would
//! look as if that were all. On every backend and trigger.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use support::MINUTE;
use support::server::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Concurrency, Exchange, HandlerError, HandlerResult, Hooks, InReactor, LoopExchange,
    PooledTcpServer, PythonSocket, ReactorTcpServer, Server, Tcp, TcpServer, ThreadingTcpServer,
};

/// Shuts a request down, and then gives its client time to see that.
struct Slow(Mutex<mpsc::Receiver<ErrorKind>>, mpsc::Sender<ErrorKind>);

impl Hooks<Arc<Stream>> for Slow {
    fn shutdown_request(&self, server: &BaseServer<Arc<Stream>>, request: &Arc<Stream>) {
        server.shutdown_request(request);
        // An end would come at once, and a reset when the stream is closed.
        let early = self.0.lock().unwrap().recv_timeout(Duration::from_millis(50));
        early.into_iter().for_each(|early| self.1.send(early).unwrap());
    }

    fn handle_error(
        &self,
        _: &BaseServer<Arc<Stream>>,
        _: &Arc<Stream>,
        _: &Address,
        error: &HandlerError,
    ) {
        let kind = error.downcast_ref::<std::io::Error>().unwrap().kind();
        assert_eq!(kind, ErrorKind::StorageFull);
    }
}

#[test]
fn a_client_that_reads_is_reset_when_the_rest_of_its_answer_is_dropped() {
    const ANSWER: usize = 24 << 20;
    let handle = |exchange: &mut LoopExchange| -> HandlerResult {
        exchange.consume(usize::MAX);
        exchange.sendall(&vec![b'x'; ANSWER]);
        Ok(())
    };
    on_every_config(|config| {
        let (tell, told) = mpsc::channel();
        let (tell_early, told_early) = mpsc::channel();
        let server = ReactorTcpServer::builder(ANY)
            .config(config.clone())
            .concurrency(InReactor::default().max_buffered(Some(1 << 20)))
            .hooks(Slow(Mutex::new(told), tell_early))
            .build_fn(handle)
            .unwrap();
        while_serving(&server, || {
            // Where the server stands still while the client reads, nothing has to be dropped.
            let mut attempts = (0..20).map(|_| {
                let (mut client, tell) = (connect(&server.server_address()), tell.clone());
                client.write_all(b"much").unwrap();
                let read = move || {
                    let end = client.read_exact(&mut vec![0; ANSWER]).map_err(|end| end.kind());
                    end.inspect_err(|end| tell.send(*end).unwrap_or_default())
                };
                thread::spawn(read).join().unwrap()
            });
            let end = attempts.find_map(Result::err);
            assert_eq!(end, Some(ErrorKind::ConnectionReset));
        });
        assert!(told_early.try_recv().is_err());
    });
}

/// Reads on in small steps. Returns how much it was, and whether there was an end.
fn reads_slowly(mut client: TcpStream) -> (usize, Result<(), ErrorKind>) {
    let (mut total, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return (total, Ok(())),
            Ok(count) => total += count,
            Err(error) => return (total, Err(error.kind())),
        }
        thread::sleep(Duration::from_millis(2)); // this is what slow means
    }
}

/// More than a client reads within the grace of the close.
const LONG_ANSWER: &[u8] = &[b'x'; 64 << 20];

fn is_reset_by_a_close<C: Concurrency>(server: &Server<Tcp, C>) {
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let mut client = connect(&server.server_address());
        client.write_all(b"much").unwrap();
        client.read_exact(&mut [0]).unwrap();
        let reader = scope.spawn(|| reads_slowly(client));
        if let Err(late) = server.server_close_within(Duration::from_millis(10)) {
            assert_eq!(late.kind(), ErrorKind::TimedOut); // on a busy machine
            server.server_close();
        }
        serving.join().unwrap().unwrap();
        // Where the server stands still for long, the client is in time.
        let (read, end) = reader.join().unwrap();
        let is_whole = 1 + read == LONG_ANSWER.len() && end.is_ok();
        assert!(is_whole || end == Err(ErrorKind::ConnectionReset), "{read} bytes, {end:?}");
    });
}

#[test]
fn a_client_that_reads_is_reset_when_the_grace_of_a_close_is_over() {
    on_every_config(|config| {
        let handle = |exchange: &mut LoopExchange| -> HandlerResult {
            exchange.consume(usize::MAX);
            exchange.sendall(LONG_ANSWER);
            Ok(())
        };
        let builder = ReactorTcpServer::builder(ANY).config(config.clone());
        is_reset_by_a_close(&builder.build_fn(handle).unwrap());
    });
    let handle = |exchange: &mut Exchange| -> HandlerResult {
        exchange.request.recv(10)?;
        let cut = exchange.request.sendall(LONG_ANSWER).unwrap_err();
        let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
        assert!(kinds.contains(&cut.kind()), "{cut}");
        Ok(())
    };
    is_reset_by_a_close(&ThreadingTcpServer::builder(ANY).build_fn(handle).unwrap());
    is_reset_by_a_close(&PooledTcpServer::builder(ANY).build_fn(handle).unwrap());
    is_reset_by_a_close(&TcpServer::builder(ANY).build_fn(handle).unwrap());
}
